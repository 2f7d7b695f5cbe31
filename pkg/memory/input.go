package memory

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of what a caller may send.
const (
	MaxContentBytes    = 100_000
	MaxMetadataKeys    = 64
	MaxMetadataBytes   = 16_384 // of its JSON form
	MaxExternalIDBytes = 255
	MaxURLBytes        = 2_048
)

// Input is a memory as a caller posts it.
type Input struct {
	Content    string   `json:"content"`
	ExternalID string   `json:"external_id,omitempty"`
	Metadata   Metadata `json:"metadata,omitempty"`
	OccurredAt *Time    `json:"occurred_at,omitempty"`
	Track      Track    `json:"track,omitempty"`
	Priority   Priority `json:"priority,omitempty"`
	WebhookURL string   `json:"webhook_url,omitempty"`
}

// Validate returns every rule that the input breaks, joined, each an *[Error] with a pointer; nil where it breaks none.
func (in *Input) Validate() error {
	return errors.Join(
		validContent(in.Content),
		validText("/external_id", in.ExternalID, MaxExternalIDBytes),
		in.Metadata.Validate(),
		oneOf("/track", string(in.Track), "", string(TrackAuto), string(TrackRealtime), string(TrackDurable)),
		oneOf("/priority", string(in.Priority), "", string(PriorityInteractive), string(PriorityNormal), string(PriorityBulk)),
		ValidURL("/webhook_url", in.WebhookURL),
	)
}

func invalid(pointer, format string, args ...any) error {
	return &Error{Code: CodeInvalid, Pointer: pointer, Message: fmt.Sprintf(format, args...)}
}

func tooLarge(pointer, format string, args ...any) error {
	return &Error{Code: CodeTooLarge, Pointer: pointer, Message: fmt.Sprintf(format, args...)}
}

func validContent(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return invalid("/content", "must not be empty")
	case len(s) > MaxContentBytes:
		return tooLarge("/content", "has %d bytes; at most %d are taken", len(s), MaxContentBytes)
	}
	return validText("/content", s, MaxContentBytes)
}

func validText(pointer, s string, most int) error {
	switch {
	case len(s) > most:
		return invalid(pointer, "has %d bytes; at most %d are taken", len(s), most)
	case !utf8.ValidString(s):
		return invalid(pointer, "must be valid UTF-8")
	case strings.ContainsRune(s, 0):
		return invalid(pointer, "must not contain the NUL character")
	}
	return nil
}

func oneOf(pointer, s string, allowed ...string) error {
	if slices.Contains(allowed, s) {
		return nil
	}
	return invalid(pointer, "must be one of %s", strings.Join(allowed[1:], ", "))
}

// ValidURL checks that s is empty or an absolute http(s) URL without credentials. Whether its address may be reached
// is for the webhook guard to say.
func ValidURL(pointer, s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case len(s) > MaxURLBytes:
		return invalid(pointer, "has %d bytes; at most %d are taken", len(s), MaxURLBytes)
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return invalid(pointer, "must be an absolute http or https URL")
	case u.User != nil:
		return invalid(pointer, "must not contain a user name or password")
	}
	return nil
}

// Validate returns every rule that the metadata break, joined; nil where they break none.
func (md Metadata) Validate() error {
	if len(md) > MaxMetadataKeys {
		return invalid("/metadata", "has %d keys; at most %d are taken", len(md), MaxMetadataKeys)
	}
	var errs []error
	for k, v := range md {
		errs = append(errs, validLabel(k, v))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if b, err := json.Marshal(md); err != nil || len(b) > MaxMetadataBytes {
		return tooLarge("/metadata", "takes %d bytes as JSON; at most %d are taken", len(b), MaxMetadataBytes)
	}
	return nil
}

func validLabel(key string, value any) error {
	pointer := "/metadata/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
	if key == "" || strings.ContainsRune(key, 0) || !utf8.ValidString(key) {
		return invalid(pointer, "a key must be a non-empty text")
	}
	switch v := value.(type) {
	case string:
		return validText(pointer, v, MaxMetadataBytes)
	case bool, int, int64, json.Number:
		return nil
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return nil
		}
	}
	return invalid(pointer, "must be a string, a number or a bool")
}
