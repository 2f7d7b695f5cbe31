package api

import (
	"maps"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// describeSchemas says in words what the types of other packages, which know nothing of OpenAPI, mean. A test finds what
// has no words.
func describeSchemas(r huma.Registry) {
	all := r.Map()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for property, s := range all[name].Properties {
			if words := wordsFor(name, property); words != "" && s.Description == "" {
				s.Description = words
			}
			enumerate(name, property, s)
		}
	}
	for name, properties := range nullable() {
		for _, p := range properties {
			makeNullable(all[name], p)
		}
	}
	restrict(all)
}

// makeNullable lets a property be null. A reference cannot carry that itself.
func makeNullable(s *huma.Schema, property string) {
	p := s.Properties[property]
	if p.Ref == "" {
		p.Nullable = true
		return
	}
	s.Properties[property] = &huma.Schema{Description: p.Description, OneOf: []*huma.Schema{{Ref: p.Ref}, {Type: "null"}}}
}

// nullable lists what is always there, but may be null.
func nullable() map[string][]string {
	return map[string][]string{
		"Memory": {"error"}, "Explanation": {"error"},
		"Batch":    {"eta_seconds", "started_at", "completed_at"},
		"Key":      {"last_used_at"},
		"Endpoint": {"failing_since"},
		"Delivery": {"next_attempt_at"},
	}
}

// restrict adds the rules of fields that the types do not carry.
func restrict(all map[string]*huma.Schema) {
	in := all["MemoryInput"].Properties
	in["content"].Pattern, in["content"].PatternDescription = `^[^\x00]*[^\x00\s][^\x00]*$`, "text that is not blank, without NUL"
	in["external_id"].MaxLength = new(255)
	for _, s := range []*huma.Schema{in["metadata"], all["MemoryChange"].Properties["metadata"]} {
		s.MaxProperties = new(64)
		s.AdditionalProperties = &huma.Schema{AnyOf: []*huma.Schema{{Type: huma.TypeString}, {Type: huma.TypeNumber}, {Type: huma.TypeBoolean}}}
	}
	for _, name := range []string{"MemoryInput", "MemoryChange"} {
		all[name].PrecomputeMessages()
	}
}

// loosen takes back, when the document is written, what huma cannot judge exactly: a key with a dot in it would confuse
// its locations. The rules of metadata are those of [memory.Input.Validate].
func loosen(all map[string]*huma.Schema) {
	for _, name := range []string{"MemoryInput", "MemoryChange"} {
		all[name].Properties["metadata"].AdditionalProperties = true
		all[name].Properties["metadata"].MaxProperties = nil
	}
}

// enumerate lists the values of properties that have few.
func enumerate(schema, property string, s *huma.Schema) {
	values := map[string][]any{
		"MemoryInput.track": {"auto", "realtime", "durable"}, "MemoryInput.priority": {"interactive", "normal", "bulk"},
		"Memory.status": statuses(), "Accepted.status": statuses(), "Explanation.status": statuses(), "Item.status": append(statuses(), "rejected"),
		"Batch.status":   {"queued", "processing", "paused", "completed", "completed_with_errors", "failed", "cancelled"},
		"Receipt.status": {"pending", "completed", "failed", "skipped"},
	}[schema+"."+property]
	if s.Enum == nil && values != nil {
		s.Enum = values
		s.PrecomputeMessages()
	}
}

func statuses() []any {
	return []any{"queued", "processing", "completed", "degraded", "failed", "cancelled"}
}

// wordsFor is what a property means: what is said of it in that schema, or what it means everywhere.
func wordsFor(schema, property string) string {
	if w, ok := words()[schema+"."+property]; ok {
		return w
	}
	return words()[property]
}

func words() map[string]string {
	return map[string]string{
		"id": "Its id.", "external_id": "The caller's own key, unique in the workspace: handing it in again is an upsert.",
		"version": "1, and one more for each new content.", "status": "Where it is.", "track": "Who runs it.", "track_reason": "Why it is on that track.",
		"priority": "Its place among work of the same track.", "batch_id": "The batch that it came in.", "webhook_url": "Where to report its end, signed with the workspace's secret.",
		"content": "The text, 1 byte to 100,000 bytes of UTF-8.", "metadata": "The caller's labels: text, numbers and bools, at most 64 of them and 16 kB.",
		"occurred_at": "When what it speaks of happened.", "use_cases": "What it could serve for.", "related": "Other memories that are near in meaning.",
		"graph": "What it says, as nodes and relationships.", "steps": "The receipts of the steps that were tried.", "error": "Why it failed, or what of it did; null where nothing did.",
		"created_at": "When it was made.", "updated_at": "When it last changed.", "started_at": "When work on it began.", "completed_at": "When it was over.",
		"items": "The page, in order.", "tokens": "LLM tokens, input and output.", "cost_usd": "What they cost; 0 where the price is not known.",
		"nodes": "The nodes.", "relationships": "The relationships between them.", "memory_ids": "The memories that it comes from.", "properties": "What else is known.",
		"type": "Its type.", "name": "Its name.", "score": "What it is ranked by, 0 to 1.", "code": "The kind of error, for programs.", "detail": "What went wrong.", "step": "The step that failed.",
		"total": "All of them.", "queued": "Not begun.", "processing": "At work.", "completed": "Done.", "degraded": "Done, but for a step that it can do without.", "failed": "Given up.",
		"cancelled": "Stopped by request, or replaced by a newer version.", "rejected": "Not a valid memory.", "attempts": "The attempts.", "duration_ms": "Of the latest attempt.",
		"model": "The model that answered.", "notice": "What the reader should know, such as content that was cut.", "index": "Its place in the batch, from 0.",
		"line": "Its line in the upload, from 1.", "memory_id": "The memory that it became.", "pointer": "JSON pointer to the field at fault.", "counts": "Its items by status; they add up to total.",
		"eta_seconds": "When it may be done, at the pace so far; null where that is not known.", "url": "Where events go.", "events": "The types of events that it gets; none: all.",
		"description": "For people.", "signing": "v1: a shared secret (HMAC-SHA256). v1a: a key pair (ed25519).", "secret": "The secret, when it is new.", "public_key": "The public key, when it is new.",
		"headers": "Headers to send with each delivery.", "header_names": "The headers sent with each delivery.", "format": "standard: Standard Webhooks. papr: as Papr sends them.",
		"enabled": "Whether events are sent.", "disabled_reason": "Why they are not.", "failing_since": "Since when every attempt failed; null where the latest did not.",
		"endpoint_id": "The endpoint; none for a one-off webhook_url.", "event_id": "The event.", "event_type": "Its type.", "round": "1, and one more for each time it was sent again by hand.",
		"next_attempt_at": "When the next attempt is due; null where there is none.", "payload": "What is sent; not in lists.", "at": "When it was made.",
		"status_code": "The receiver's answer; none: there was no answer.", "latency_ms": "How long it took.", "answer": "The first 1,024 bytes of the answer.",
		"grace_seconds": "How long the old secret signs too.", "recovered": "How many deliveries are made again.", "scopes": "What it may do.", "query": "What to look for.",
		"limit": "How many to return at most.", "filter": "Which memories to look among.", "mode": "What to go by.", "expand_graph": "How many relationships around what was found.",
		"min_score": "What scores less is left out.", "memory": "The memory, without its steps.", "scores": "What each way of searching thinks of it.", "passage": "The part of the content that fits best.",
		"vector": "Similarity of meaning, 0 to 1.", "lexical": "Fitness of words, 0 to 1.", "valid": "What would be taken.", "duplicates": "Valid ones whose external_id came before in the same upload.",
		"rejects": "The first hundred of what would be rejected.", "estimated_tokens": "LLM tokens that it would take.", "estimated_cost_usd": "What they would cost.", "estimated_seconds": "How long it would take.",
		"by_status": "By status; what is not there is 0.", "usage": "What LLM calls took.", "memories": "How many memories there are.", "batches": "How many batches there are.",
		"took": "What the whole took.", "written": "Whether it is there.", "documents": "Whether the document is stored.", "vectors": "The vector index.", "dimensions": "The length of its vectors.",
		"erased_at": "When.", "last_used_at": "When it was last used, within some seconds; null where it never was.", "policy": "What the operator wants.", "realtime": "The realtime track.", "durable": "The durable track.", "in_flight": "Memories at work.",
		"expected_wait_seconds": "Until one that came now would begin.", "draining": "The process is about to stop.", "from": "The node that it goes out from.", "to": "The node that it leads to.",
		"Explanation.written": "What of it is where.", "Took.attempts": "At all steps.", "GraphWrote.nodes": "How many nodes.", "GraphWrote.relationships": "How many relationships.",
		"RealtimeLoad.limit": "How many memories may be at work at once.", "RealtimeLoad.queued": "Memories that wait.", "Receipt.attempts": "How many there were.", "Receipt.error": "Why the latest attempt failed.",
		"Receipt.started_at": "When the latest attempt began.", "Receipt.track": "Who made the latest attempt.", "Item.error": "Why it failed or was rejected.", "Item.version": "The memory's version.",
		"sent": "Of a rejected line: what it was, to be mended and sent again.", "text": "The line as it came.", "bytes": "The line as it came, in base64, where it is not UTF-8.",
		"cut":                   "It was too long to be kept: this is its beginning.",
		"DeliveryAttempt.error": "Why there was no answer, or why it does not count.", "DeliveryAttempt.round": "Of the delivery, when it was made.", "Delivery.url": "Where it goes.",
		"EndpointInput.secret": "A secret of your own, whsec_… (v1) or whsk_… (v1a); none: one is made.", "RotateInput.secret": "A secret of your own; none: one is made.", "Secret.secret": "The secret.",
		"Health.status": "ok.", "Schema.mode": "strict: no other types. open: these are preferred.", "Schema.nodes": "The types of nodes.", "Schema.relationships": "The types of relationships.",
		"Batch.track": "Always durable.", "Census.total": "All of them.", "Workspace.name": "Its name.", "Erasure.id": "The memory.", "Delivery.status": "Where it is.",
		"GraphWrote.written": "Whether the graph holds it.", "VectorsWrote.written": "Whether it can be found.", "VectorsWrote.model": "The model of the vectors.",
		"Router.breakers": "By dependency.", "MemoryInput.track": "A wish; auto leaves it to the router.", "MemoryInput.priority": "Its place among work of the same track. Default interactive; in batches bulk.",
		"MemoryChange.track": "A wish for the run that follows.", "Related.id": "The memory.", "Written.graph": "The graph.", "SearchAnswer.graph": "What is around it, where asked for.",
		"SearchAnswer.usage": "What the LLM took to judge what was found; only where it was asked.",
		"SearchQuery.rerank": "Have the LLM judge what was found, and order it by that.", "Scores.rerank": "The LLM's judgement, 0 to 1.", "SearchUsage.model": "The model that judged.",
		"SearchAnswer.degraded": "What the search had to do without.", "DryRunReport.rejected": "What would be rejected.", "KeyInput.name": "A name for people.", "Took.duration_ms": "From the beginning to the end; null before that.",
	}
}
