package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// script plays a server: each request gets the next answer. It keeps what was asked, and when.
type script struct {
	answers  []answer
	requests []*http.Request
	bodies   []string
	times    []time.Time
}

type answer struct {
	status int
	header http.Header
	body   string
	err    error // instead of an answer
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	s.requests, s.bodies, s.times = append(s.requests, r), append(s.bodies, string(body)), append(s.times, time.Now())
	if len(s.requests) > len(s.answers) {
		return nil, fmt.Errorf("request %d was not expected: %s %s", len(s.requests), r.Method, r.URL)
	}
	a := s.answers[len(s.requests)-1]
	if a.err != nil {
		return nil, a.err
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Header: a.header,
		Body: io.NopCloser(strings.NewReader(a.body)), Request: r,
	}, nil
}

// gaps are the times between the requests.
func (s *script) gaps() []time.Duration {
	var gaps []time.Duration
	for i := 1; i < len(s.times); i++ {
		gaps = append(gaps, s.times[i].Sub(s.times[i-1]))
	}
	return gaps
}

func dial(t *testing.T, s *script) *client.Client {
	t.Helper()
	c, err := client.New("http://switchyard.test", "sk_test", client.Config{HTTPClient: &http.Client{Transport: s}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ok(body string) answer { return answer{status: http.StatusOK, body: body} }

func problem(status int, code memory.Code, header ...string) answer {
	h := http.Header{"Content-Type": {"application/problem+json"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return answer{status: status, header: h, body: fmt.Sprintf(`{"status":%d,"code":%q,"title":%q}`, status, code, code)}
}

var (
	errCut     = errors.New("connection reset by peer")
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
)

func add(ctx context.Context, c *client.Client) error {
	_, err := c.AddMemory(ctx, memory.Input{Content: "Toto barked."})
	return err
}

func read(ctx context.Context, c *client.Client) error {
	_, err := c.GetMemory(ctx, "mem_1")
	return err
}

func patch(ctx context.Context, c *client.Client) error {
	_, err := c.UpdateMemory(ctx, "mem_1", client.MemoryChange{Content: "Toto slept."})
	return err
}

func pause(ctx context.Context, c *client.Client) error {
	_, err := c.PauseBatch(ctx, "bat_1")
	return err
}

func TestRetries(t *testing.T) {
	t.Parallel()
	away := problem(503, memory.CodeUnavailable)
	busy := problem(429, memory.CodeRateLimited)
	for _, row := range []struct {
		name    string
		call    func(context.Context, *client.Client) error
		answers []answer
		want    memory.Code // of the error; "": none
	}{
		{"ReadsAreRepeated", read, []answer{away, {err: errCut}, busy, ok(`{}`)}, ""},
		{"CreationsAreRepeated", add, []answer{away, {err: errCut}, busy, ok(`{}`)}, ""},
		{"ProxiesThatMissTheServerAreTriedAgain", read, []answer{{status: 502, body: "<html>"}, {status: 504}, ok(`{}`)}, ""},
		{"ARequestStillInFlightIsWaitedFor", add, []answer{{err: errCut}, problem(409, memory.CodeInProgress), ok(`{}`)}, ""},
		{"OtherConflictsAreNot", add, []answer{problem(409, memory.CodeConflict)}, memory.CodeConflict},
		{"ChangesAreNotRepeatedAfterALostAnswer", patch, []answer{{err: errCut}}, memory.CodeInternal},
		{"ChangesAreNotRepeatedWhenUnavailable", patch, []answer{away}, memory.CodeUnavailable},
		{"ChangesAreRepeatedWhenTurnedAway", patch, []answer{busy, ok(`{}`)}, ""},
		{"ChangesAreRepeatedWhenNeverSent", patch, []answer{{err: errRefused}, ok(`{}`)}, ""},
		{"ActionsAreNotRepeatedAfterALostAnswer", pause, []answer{{err: errCut}}, memory.CodeInternal},
		{"MistakesAreNotRepeated", add, []answer{problem(422, memory.CodeInvalid)}, memory.CodeInvalid},
		{"ServerFaultsAreNotRepeated", read, []answer{problem(500, memory.CodeInternal)}, memory.CodeInternal},
		{"NonsenseIsNotAskedForTwice", read, []answer{ok(`nonsense`)}, memory.CodeInternal},
		{"PatienceEnds", read, []answer{away, away, away, away, away}, memory.CodeUnavailable},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: row.answers}
				err := row.call(t.Context(), dial(t, s))
				if got := memory.CodeOf(err); got != row.want {
					t.Errorf("code %q, want %q: %v", got, row.want, err)
				}
				if got, want := len(s.requests), len(row.answers); got != want {
					t.Errorf("%d requests, want %d", got, want)
				}
			})
		})
	}
}

func TestRepeatedCreationKeepsItsKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{{err: errCut}, ok(`{}`), ok(`{}`)}}
		c := dial(t, s)
		if err := errors.Join(add(t.Context(), c), add(t.Context(), c)); err != nil {
			t.Fatal(err)
		}
		keys := make([]string, 3)
		for i, r := range s.requests {
			keys[i] = r.Header.Get("Idempotency-Key")
		}
		if keys[0] == "" || keys[0] != keys[1] || keys[1] == keys[2] {
			t.Errorf("keys %q, want the first two alike and the third another", keys)
		}
		if s.bodies[0] == "" || s.bodies[0] != s.bodies[1] {
			t.Errorf("bodies %q, want the first two alike", s.bodies)
		}
	})
}

func TestPausesGrowAndRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inSeven := time.Now().Add(7 * time.Second).UTC().Format(http.TimeFormat)
		s := &script{answers: []answer{
			problem(429, memory.CodeRateLimited, "Retry-After", "7"),
			{err: errCut},
			{err: errCut},
			ok(`{}`),
			problem(503, memory.CodeUnavailable, "Retry-After", inSeven),
			ok(`{}`),
		}}
		c := dial(t, s)
		if err := read(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		within(t, s.gaps(), 7*time.Second, 7*time.Second, 200*time.Millisecond, 400*time.Millisecond, 400*time.Millisecond, 800*time.Millisecond)

		s.answers[4] = problem(503, memory.CodeUnavailable, "Retry-After", time.Now().Add(7*time.Second).UTC().Format(http.TimeFormat))
		s.times = nil
		if err := read(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		within(t, s.gaps(), 6*time.Second, 7*time.Second) // a date has whole seconds
	})
}

// within checks each gap against its pair of bounds.
func within(t *testing.T, gaps []time.Duration, bounds ...time.Duration) {
	t.Helper()
	if len(gaps) != len(bounds)/2 {
		t.Fatalf("gaps %v, want %d", gaps, len(bounds)/2)
	}
	for i, g := range gaps {
		if g < bounds[2*i] || g > bounds[2*i+1] {
			t.Errorf("gap %d is %v, want %v to %v", i, g, bounds[2*i], bounds[2*i+1])
		}
	}
}

func TestALongerPauseThanAllowedIsTheCallersToTake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := read(t.Context(), dial(t, &script{answers: []answer{problem(429, memory.CodeRateLimited, "Retry-After", "3600")}}))
		var e *client.Error
		if !errors.As(err, &e) || e.RetryAfter != time.Hour {
			t.Errorf("got %v, want an error that says to wait an hour", err)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestCancellationEndsAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := read(ctx, dial(t, &script{answers: []answer{problem(429, memory.CodeRateLimited, "Retry-After", "20")}}))
		var e *client.Error
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || e.Code != memory.CodeRateLimited {
			t.Errorf("got %v, want the deadline and what came before it", err)
		}
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestErrorsSayWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{
		{status: 422, body: `{"type":"about:blank","title":"The memory is not valid","status":422,"detail":"1 field","code":"invalid",
			"errors":[{"pointer":"/content","detail":"content must not be empty"}],"request_id":"req_1"}`},
		{status: 418, header: http.Header{"X-Request-Id": {"req_2"}}, body: "<h1>short  and\nstout</h1>" + strings.Repeat(" tea", 100)},
	}}
	c := dial(t, s)

	err := add(t.Context(), c)
	want := &client.Error{
		Status: 422, Code: memory.CodeInvalid, Type: "about:blank", Title: "The memory is not valid", Detail: "1 field",
		Errors: []client.FieldError{{Pointer: "/content", Detail: "content must not be empty"}}, RequestID: "req_1",
	}
	var got *client.Error
	if !errors.As(err, &got) || cmp.Diff(want, got) != "" {
		t.Errorf("-want +got:\n%s", cmp.Diff(want, got))
	}
	const text = "POST /v1/memories: The memory is not valid: 1 field; /content content must not be empty (invalid, request req_1)"
	if err.Error() != text {
		t.Errorf("got  %s\nwant %s", err, text)
	}

	err = add(t.Context(), c)
	if !errors.As(err, &got) || got.Code != memory.CodeInternal || got.RequestID != "req_2" || len([]rune(got.Detail)) != 201 {
		t.Errorf("got %+v, want an excerpt of what is not a problem document", got)
	}
}
