package api

// The examples of the OpenAPI document. A test holds them to the schemas.
const (
	exampleInput    = `{"content":"Dorothy lived in Kansas.","external_id":"oz-1","metadata":{"book":"oz","chapter":1},"track":"auto"}`
	exampleAccepted = `{"id":"mem_01K5A0QZ5T8VJ4M3N2P1R0S9W7","external_id":"oz-1","status":"queued","track":"realtime","track_reason":"single memory, capacity free","version":1,"created_at":"2025-09-16T10:00:00.000Z"}`

	exampleNode  = `{"id":"nod_00000000003VQ8T1J2K4M5N6P7","type":"person","name":"Dorothy","memory_ids":["mem_01K5A0QZ5T8VJ4M3N2P1R0S9W7"]}`
	exampleFound = `{"id":"mem_01K5A0QZ5T8VJ4M3N2P1R0S9W7","external_id":"oz-1","version":1,"status":"completed","track":"realtime","track_reason":"single memory, capacity free",` +
		`"content":"Dorothy lived in Kansas.","metadata":{"book":"oz","chapter":1},"use_cases":["Recall where Dorothy lived"],"related":[{"id":"mem_01K5A0PBZ3N5Q7R9S1T3V5W7X9","score":0.71}],` +
		`"graph":{"nodes":[{"id":"nod_00000000003VQ8T1J2K4M5N6P7","type":"person","name":"Dorothy"}],"relationships":[]},"error":null,` +
		`"created_at":"2025-09-16T10:00:00.000Z","updated_at":"2025-09-16T10:00:02.000Z","started_at":"2025-09-16T10:00:00.010Z","completed_at":"2025-09-16T10:00:02.000Z"}`
	exampleReceipt = `{"name":"index_vectors","status":"completed","track":"realtime","attempts":1,"started_at":"2025-09-16T10:00:00.500Z","duration_ms":12,"tokens":0,"cost_usd":0}`
	exampleMemory  = `{"id":"mem_01K5A0QZ5T8VJ4M3N2P1R0S9W7","external_id":"oz-1","version":1,"status":"completed","track":"realtime","track_reason":"single memory, capacity free",` +
		`"content":"Dorothy lived in Kansas.","metadata":{"book":"oz","chapter":1},"use_cases":["Recall where Dorothy lived"],"related":[],"graph":{"nodes":[],"relationships":[]},` +
		`"steps":[` + exampleReceipt + `],"error":null,"created_at":"2025-09-16T10:00:00.000Z","updated_at":"2025-09-16T10:00:02.000Z"}`
	exampleExplanation = `{"id":"mem_01K5A0QZ5T8VJ4M3N2P1R0S9W7","version":1,"status":"completed","track":"realtime","track_reason":"single memory, capacity free","error":null,` +
		`"took":{"attempts":5,"duration_ms":1990,"tokens":1210,"cost_usd":0.0012},"steps":[` + exampleReceipt + `],` +
		`"written":{"documents":true,"vectors":{"written":true,"model":"text-embedding-3-small","dimensions":1536},"graph":{"written":true,"nodes":2,"relationships":1}}}`

	exampleBatch = `{"id":"bat_01K5A0R2M7C3X9D8F6G5H4J2K1","name":"import","status":"processing","track":"durable","track_reason":"batch",` +
		`"counts":{"total":1000,"queued":700,"processing":50,"completed":240,"degraded":0,"failed":10,"cancelled":0,"rejected":0},"tokens":290400,"cost_usd":0.29,"eta_seconds":84,` +
		`"created_at":"2025-09-16T10:00:00.000Z","started_at":"2025-09-16T10:00:01.000Z","completed_at":null}`

	exampleSchema = `{"mode":"strict","nodes":[{"name":"person","description":"a human being"},{"name":"place"}],"relationships":[{"name":"LIVES_IN"}]}`
	exampleKey    = `{"id":"key_01K5A0S8W2B4N6M8K0J2H4G6F8","name":"importer","scopes":["write"],"hint":"sk_4QZT","created_at":"2025-09-16T10:00:00.000Z","last_used_at":null}`

	exampleEndpoint = `{"id":"whe_01K5A0T4Y6B8N0M2K4J6H8G0F2","url":"https://example.com/hook","events":["batch.completed"],"description":"our importer","header_names":[],"signing":"v1",` +
		`"format":"standard","enabled":true,"failing_since":null,"created_at":"2025-09-16T10:00:00.000Z","updated_at":"2025-09-16T10:00:00.000Z"}`
	exampleDelivery = `{"id":"dlv_01K5A0V7Z9C1P3Q5R7S9T1V3W5","endpoint_id":"whe_01K5A0T4Y6B8N0M2K4J6H8G0F2","url":"https://example.com/hook","event_id":"evt_01K5A0V6X8B0N2M4K6J8H0G2F4",` +
		`"event_type":"batch.completed","status":"delivered","round":1,"attempts":[{"round":1,"at":"2025-09-16T10:05:00.000Z","status_code":200,"latency_ms":42,"answer":"ok"}],"next_attempt_at":null,` +
		`"created_at":"2025-09-16T10:05:00.000Z","updated_at":"2025-09-16T10:05:00.100Z"}`
	exampleRouter = `{"policy":{"max_queued":2000,"max_wait_seconds":10,"max_realtime_bytes":100000},"realtime":{"in_flight":3,"limit":64,"queued":0,"expected_wait_seconds":0,"draining":false,"open":[],"unfinished":3},` +
		`"durable":{"unfinished":50},"breakers":{"chat":"closed","vectors":"closed"}}`
)
