package memory_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestRetryable(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err  error
		code memory.Code
		want bool
	}{
		"Nil":         {nil, "", false},
		"RateLimited": {memory.Errorf(memory.CodeRateLimited, "429"), memory.CodeRateLimited, true},
		"Quota":       {memory.Errorf(memory.CodeQuota, "no credit"), memory.CodeQuota, false},
		"Unavailable": {memory.Errorf(memory.CodeUnavailable, "503"), memory.CodeUnavailable, true},
		"Refused":     {memory.Errorf(memory.CodeRefused, "400"), memory.CodeRefused, false},
		"BadAnswer":   {memory.Errorf(memory.CodeBadAnswer, "nonsense"), memory.CodeBadAnswer, false},
		"Panic":       {memory.Errorf(memory.CodePanic, "panic"), memory.CodePanic, false},
		"Wrapped":     {fmt.Errorf("index mem_1: %w", memory.Wrap(memory.CodeUnavailable, io.EOF, "away")), memory.CodeUnavailable, true},
		"Outermost":   {memory.Wrap(memory.CodeRefused, memory.Errorf(memory.CodeUnavailable, "inner"), "outer"), memory.CodeRefused, false},
		"Deadline":    {fmt.Errorf("call: %w", context.DeadlineExceeded), memory.CodeTimeout, true},
		"Canceled":    {context.Canceled, memory.CodeInterrupted, true},
		"Unknown":     {io.EOF, memory.CodeInternal, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if code := memory.CodeOf(row.err); code != row.code {
				t.Errorf("code %q, want %q", code, row.code)
			}
			if got := memory.Retryable(row.err); got != row.want {
				t.Errorf("retryable: %v, want %v", got, row.want)
			}
		})
	}
}

func TestRetryAfterIsCapped(t *testing.T) {
	t.Parallel()
	for asked, want := range map[time.Duration]time.Duration{-1: 0, 0: 0, time.Second: time.Second, 24 * time.Hour: memory.MaxRetryAfter} {
		if got := memory.RetryAfter(fmt.Errorf("x: %w", &memory.Error{RetryAfter: asked})); got != want {
			t.Errorf("asked for %v: %v, want %v", asked, got, want)
		}
	}
}

func TestAFaultShowsNothingOfItsCause(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial tcp 10.0.0.7: key sk-123")
	for _, err := range []error{secret, memory.Wrap(memory.CodeUnavailable, secret, "the model is away")} {
		f := memory.FaultOf(fmt.Errorf("step: %w", err), "find_related")
		if strings.Contains(f.Detail, "sk-123") || strings.Contains(f.Detail, "10.0.0.7") || f.Step != "find_related" {
			t.Errorf("%+v", f)
		}
	}
}

func TestInputValidate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", memory.MaxContentBytes+1)
	many := memory.Metadata{}
	for i := range memory.MaxMetadataKeys + 1 {
		many[fmt.Sprint(i)] = true
	}
	for name, row := range map[string]struct {
		in      memory.Input
		pointer string // of the one error; "": valid
		code    memory.Code
	}{
		"Least":            {memory.Input{Content: "x"}, "", ""},
		"Most":             {memory.Input{Content: long[1:], Metadata: memory.Metadata{"s": "x", "n": 1.5, "b": true}, Track: "auto", WebhookURL: "https://example.com/x"}, "", ""},
		"Empty":            {memory.Input{}, "/content", memory.CodeInvalid},
		"Blank":            {memory.Input{Content: " \n"}, "/content", memory.CodeInvalid},
		"TooLong":          {memory.Input{Content: long}, "/content", memory.CodeTooLarge},
		"NotUTF8":          {memory.Input{Content: "\xff"}, "/content", memory.CodeInvalid},
		"NUL":              {memory.Input{Content: "a\x00b"}, "/content", memory.CodeInvalid},
		"LongExternalID":   {memory.Input{Content: "x", ExternalID: long[:256]}, "/external_id", memory.CodeInvalid},
		"NestedMetadata":   {memory.Input{Content: "x", Metadata: memory.Metadata{"a/b": map[string]any{}}}, "/metadata/a~1b", memory.CodeInvalid},
		"NullMetadata":     {memory.Input{Content: "x", Metadata: memory.Metadata{"a": nil}}, "/metadata/a", memory.CodeInvalid},
		"EmptyKey":         {memory.Input{Content: "x", Metadata: memory.Metadata{"": "a"}}, "/metadata/", memory.CodeInvalid},
		"ManyKeys":         {memory.Input{Content: "x", Metadata: many}, "/metadata", memory.CodeInvalid},
		"BigMetadata":      {memory.Input{Content: "x", Metadata: memory.Metadata{"a": long[:9000], "b": long[:9000]}}, "/metadata", memory.CodeTooLarge},
		"UnknownTrack":     {memory.Input{Content: "x", Track: "fast"}, "/track", memory.CodeInvalid},
		"UnknownPriority":  {memory.Input{Content: "x", Priority: "high"}, "/priority", memory.CodeInvalid},
		"FTPHook":          {memory.Input{Content: "x", WebhookURL: "ftp://example.com"}, "/webhook_url", memory.CodeInvalid},
		"HookWithPassword": {memory.Input{Content: "x", WebhookURL: "https://u:p@example.com"}, "/webhook_url", memory.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := row.in.Validate()
			var e *memory.Error
			switch {
			case row.pointer == "" && err != nil:
				t.Errorf("valid, and refused: %v", err)
			case row.pointer != "" && (!errors.As(err, &e) || e.Pointer != row.pointer || e.Code != row.code):
				t.Errorf("got %v, want %s at %s", err, row.code, row.pointer)
			}
		})
	}
}

func TestTimeHasThreeDecimals(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"2026-01-02T03:04:05Z", "2026-01-02T03:04:05.1Z", "2026-01-02T04:04:05.123456+01:00"} {
		var at memory.Time
		if err := json.Unmarshal([]byte(`"`+text+`"`), &at); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(at)
		if err != nil || len(out) != len(`"2026-01-02T03:04:05.000Z"`) || !strings.HasPrefix(string(out), `"2026-01-02T03:04:05.`) {
			t.Errorf("%s is written %s, %v", text, out, err)
		}
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	var c memory.Counts
	all := []memory.Status{
		memory.StatusQueued, memory.StatusProcessing, memory.StatusCompleted, memory.StatusDegraded, memory.StatusFailed,
		memory.StatusCancelled, memory.StatusRejected,
	}
	for i, s := range all {
		c.Add(s, i+1)
	}
	if sum := c.Queued + c.Processing + c.Completed + c.Degraded + c.Failed + c.Cancelled + c.Rejected; sum != c.Total || sum != 28 {
		t.Errorf("%+v adds up to %d", c, sum)
	}
	for want, c := range map[memory.BatchStatus]memory.Counts{
		memory.BatchCompleted:           {Total: 3, Completed: 2, Cancelled: 1},
		memory.BatchCompletedWithErrors: {Total: 3, Completed: 1, Rejected: 2},
		memory.BatchFailed:              {Total: 3, Failed: 2, Rejected: 1},
	} {
		if got := c.Outcome(); got != want {
			t.Errorf("%+v ends %s, want %s", c, got, want)
		}
	}
}

func TestEmptyListsAreNotNull(t *testing.T) {
	t.Parallel()
	out, err := json.Marshal(memory.Graph{})
	if diff := cmp.Diff(`{"nodes":[],"relationships":[]}`, string(out)); err != nil || diff != "" {
		t.Error(diff, err)
	}
}
