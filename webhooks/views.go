package webhooks

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// EndpointInput is an endpoint as a caller posts it.
type EndpointInput struct {
	ID          string            `json:"-"` // chosen before; empty: a new one
	URL         string            `json:"url"`
	Events      []string          `json:"events,omitempty"` // none: all
	Description string            `json:"description,omitempty"`
	Signing     string            `json:"signing,omitempty"` // v1 (the default) or v1a
	Secret      string            `json:"secret,omitempty"`  // whsec_… or whsk_…; empty: one is made
	Headers     map[string]string `json:"headers,omitempty"` // sent with each delivery
	Format      string            `json:"format,omitempty"`  // standard (the default) or papr
}

// EndpointPatch is a change of an endpoint; what is nil stays.
type EndpointPatch struct {
	URL         *string            `json:"url,omitempty"`
	Events      *[]string          `json:"events,omitempty"`
	Description *string            `json:"description,omitempty"`
	Headers     *map[string]string `json:"headers,omitempty"` // all of them
	Enabled     *bool              `json:"enabled,omitempty"`
}

// RotateInput says how a secret is replaced.
type RotateInput struct {
	GraceSeconds *int   `json:"grace_seconds,omitempty"` // nil: 86,400
	Secret       string `json:"secret,omitempty"`        // empty: one is made
}

// Endpoint is an endpoint as callers see it.
type Endpoint struct {
	ID             string       `json:"id"`
	URL            string       `json:"url"`
	Events         []string     `json:"events"`
	Description    string       `json:"description,omitempty"`
	HeaderNames    []string     `json:"header_names"` // the values are not shown again
	Signing        string       `json:"signing"`
	Format         string       `json:"format"`
	Enabled        bool         `json:"enabled"`
	DisabledReason string       `json:"disabled_reason,omitempty"`
	FailingSince   *memory.Time `json:"failing_since"` // since when every attempt failed
	Secret         string       `json:"secret,omitempty"`
	PublicKey      string       `json:"public_key,omitempty"`
	CreatedAt      memory.Time  `json:"created_at"`
	UpdatedAt      memory.Time  `json:"updated_at"`
}

// Delivery is a delivery as callers see it.
type Delivery struct {
	ID            string          `json:"id"`
	EndpointID    string          `json:"endpoint_id,omitempty"` // empty for a one-off webhook_url
	URL           string          `json:"url"`
	EventID       string          `json:"event_id"`
	EventType     string          `json:"event_type"`
	Status        string          `json:"status"`
	Round         int             `json:"round"`
	Attempts      []store.Attempt `json:"attempts"`
	NextAttemptAt *memory.Time    `json:"next_attempt_at"`
	Payload       json.RawMessage `json:"payload,omitempty"` // what is sent; not in lists
	CreatedAt     memory.Time     `json:"created_at"`
	UpdatedAt     memory.Time     `json:"updated_at"`
}

// formatStandard is how callers name the format that is not papr.
const formatStandard = "standard"

func viewEndpoint(e store.Endpoint) Endpoint {
	v := Endpoint{
		ID: e.ID, URL: e.URL, Events: notNil(e.Events), Description: e.Description, Signing: e.Signing, Format: orElse(e.Format, formatStandard),
		HeaderNames: notNil(slices.Sorted(maps.Keys(e.Headers))), Enabled: e.Disabled == "", DisabledReason: e.Disabled,
		CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt,
	}
	if !e.FailingFrom.IsZero() {
		v.FailingSince = memory.At(e.FailingFrom).Ptr()
	}
	return v
}

// showing adds what a caller may see of a key, this once: of v1a the public key only.
func (v Endpoint) showing(key webhook.Key) Endpoint {
	if key.Scheme() == webhook.V1a {
		v.PublicKey = key.Public().Text()
	} else {
		v.Secret = key.Text()
	}
	return v
}

func viewDelivery(d store.Delivery) Delivery {
	v := Delivery{
		ID: d.ID, EndpointID: d.EndpointID, URL: d.URL, EventID: d.EventID, EventType: d.EventType, Status: string(d.Status), Round: max(d.Round, 1),
		Attempts: notNil(d.Attempts), Payload: d.Body, CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt,
	}
	if next := due(d); d.Status == store.DeliveryPending && !next.IsZero() {
		v.NextAttemptAt = memory.At(next).Ptr()
	}
	return v
}

// Limits of what a caller may set.
const (
	maxDescriptionBytes = 1_024
	maxHeaders          = 20
	maxHeaderBytes      = 1_024
)

func invalid(pointer, message string) error {
	return &memory.Error{Code: memory.CodeInvalid, Pointer: pointer, Message: message}
}

func (in EndpointInput) validate() error {
	var format error
	if in.Format != "" && in.Format != formatStandard && in.Format != FormatPapr {
		format = invalid("/format", "must be standard or papr")
	}
	if in.Format == FormatPapr && in.Signing == string(webhook.V1a) {
		format = invalid("/signing", "must be v1 for the format papr, which knows shared secrets only")
	}
	return errors.Join(validEvents(in.Events), validDescription(in.Description), validHeaders(in.Headers), format)
}

func (in EndpointInput) format() string {
	if in.Format == FormatPapr {
		return FormatPapr
	}
	return ""
}

// key is the one that was brought, or a new one.
func (in EndpointInput) key() (webhook.Key, error) {
	scheme := webhook.Scheme(orElse(in.Signing, string(webhook.V1)))
	if scheme != webhook.V1 && scheme != webhook.V1a {
		return webhook.Key{}, invalid("/signing", "must be v1 or v1a")
	}
	switch {
	case in.Secret == "" && scheme == webhook.V1:
		return webhook.GenerateSecret(), nil
	case in.Secret == "":
		return webhook.GenerateKey(), nil
	}
	key, err := webhook.ParseKey(in.Secret)
	if err != nil {
		return key, invalid("/secret", strings.TrimPrefix(err.Error(), "webhook: "))
	}
	if key.Scheme() != scheme || strings.HasPrefix(in.Secret, "whpk_") {
		return webhook.Key{}, invalid("/secret", "must be whsec_… for v1 and whsk_… for v1a")
	}
	return key, nil
}

func (in RotateInput) grace() (time.Duration, error) {
	if in.GraceSeconds == nil {
		return DefaultGrace, nil
	}
	if n := *in.GraceSeconds; n < 0 || n > int(maxGrace/time.Second) {
		return 0, invalid("/grace_seconds", "must be between 0 and 2592000")
	}
	return time.Duration(*in.GraceSeconds) * time.Second, nil
}

func (p EndpointPatch) validate() error {
	var errs []error
	if p.Events != nil {
		errs = append(errs, validEvents(*p.Events))
	}
	if p.Description != nil {
		errs = append(errs, validDescription(*p.Description))
	}
	if p.Headers != nil {
		errs = append(errs, validHeaders(*p.Headers))
	}
	return errors.Join(errs...)
}

// disabledByRequest is the reason of an endpoint that its owner disabled.
const disabledByRequest = "by request"

func (p EndpointPatch) apply(e *store.Endpoint) {
	if p.URL != nil && *p.URL != e.URL {
		e.URL, e.FailingFrom = *p.URL, time.Time{}
	}
	if p.Events != nil {
		e.Events = *p.Events
	}
	if p.Description != nil {
		e.Description = *p.Description
	}
	switch {
	case p.Enabled == nil || *p.Enabled == (e.Disabled == ""):
	case *p.Enabled:
		e.Disabled, e.FailingFrom = "", time.Time{}
	default:
		e.Disabled = disabledByRequest
	}
}

// EventTypes are the types that endpoints can ask for.
func EventTypes() []string {
	return []string{
		memory.EventMemoryCompleted, memory.EventMemoryDegraded, memory.EventMemoryFailed, memory.EventBatchProgress,
		memory.EventBatchCompleted, memory.EventBatchWithErrors, memory.EventBatchFailed, memory.EventBatchCancelled,
		memory.EventEndpointDisabled, memory.EventTest,
	}
}

func validEvents(events []string) error {
	known := EventTypes()
	for _, e := range events {
		if !slices.Contains(known, e) {
			return invalid("/events", "must be among "+strings.Join(known, ", "))
		}
	}
	if len(events) > len(known) {
		return invalid("/events", "names a type twice")
	}
	return nil
}

func validDescription(s string) error {
	if len(s) > maxDescriptionBytes || strings.ToValidUTF8(s, "") != s || strings.ContainsRune(s, 0) {
		return invalid("/description", "must be a text of at most 1024 bytes")
	}
	return nil
}

func validHeaders(headers map[string]string) error {
	if len(headers) > maxHeaders {
		return invalid("/headers", "at most 20 are taken")
	}
	seen, escaped := map[string]bool{}, strings.NewReplacer("~", "~0", "/", "~1")
	for name, value := range headers {
		pointer, canonical := "/headers/"+escaped.Replace(name), http.CanonicalHeaderKey(name)
		switch {
		case !validLabel(name) || ours(canonical) || seen[canonical]:
			return invalid(pointer, "is not a header that can be set")
		case len(value) > maxHeaderBytes || strings.ContainsFunc(value, unprintable):
			return invalid(pointer, "must be printable ASCII of at most 1024 bytes")
		}
		seen[canonical] = true
	}
	return nil
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }

// ours reports whether a header is set by us, or says how the connection works.
func ours(canonical string) bool {
	if strings.HasPrefix(canonical, "Webhook-") || strings.HasPrefix(canonical, "X-Webhook-") || strings.HasPrefix(canonical, "Proxy-") {
		return true
	}
	return slices.Contains([]string{
		"Host", "Content-Length", "Content-Type", "Content-Encoding", "User-Agent", "Connection", "Keep-Alive", "Transfer-Encoding",
		"Te", "Trailer", "Upgrade", "Expect",
	}, canonical)
}
