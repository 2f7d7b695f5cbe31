package parity

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"github.com/switchyard-ai/switchyard/batch"
	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/llm/openai"
	"github.com/switchyard-ai/switchyard/internal/llm/pace"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// forms are the ways in which a server says how long to wait, and what it comes to.
var forms = map[string]struct {
	header map[string]string
	in     time.Duration // a Retry-After that is the date so far from now; 0: none
	want   time.Duration
}{
	"Seconds":              {map[string]string{"Retry-After": "3"}, 0, 3 * time.Second},
	"ManySeconds":          {map[string]string{"Retry-After": "40"}, 0, 40 * time.Second},
	"FractionOfASecond":    {map[string]string{"Retry-After": "0.5"}, 0, 500 * time.Millisecond},
	"Date":                 {nil, 9 * time.Second, 8 * time.Second}, // a date has whole seconds
	"DateOfLater":          {nil, 50 * time.Second, 49 * time.Second},
	"DateThatHasPassed":    {nil, -time.Hour, 0},
	"Milliseconds":         {map[string]string{"retry-after-ms": "2500"}, 0, 2500 * time.Millisecond},
	"MillisecondsGoFirst":  {map[string]string{"retry-after-ms": "2500", "Retry-After": "40"}, 0, 2500 * time.Millisecond},
	"RequestsAreReset":     {map[string]string{"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "7s"}, 0, 7 * time.Second},
	"TokensAreReset":       {map[string]string{"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m10s"}, 0, 70 * time.Second},
	"Absent":               {nil, 0, 0},
	"AbsurdlyMany":         {map[string]string{"Retry-After": "99999999999999999999"}, 0, memory.MaxRetryAfter},
	"AbsurdlyFar":          {nil, 30 * 365 * 24 * time.Hour, memory.MaxRetryAfter},
	"AbsurdReset":          {map[string]string{"x-ratelimit-reset-tokens": "90000h"}, 0, memory.MaxRetryAfter},
	"Negative":             {map[string]string{"Retry-After": "-5"}, 0, 0},
	"Garbage":              {map[string]string{"Retry-After": "when it is quiet", "retry-after-ms": "NaN", "x-ratelimit-reset-requests": "?"}, 0, 0},
	"GarbageBesideUseful":  {map[string]string{"Retry-After": "when it is quiet", "x-ratelimit-reset-requests": "4s"}, 0, 4 * time.Second},
	"InfiniteMilliseconds": {map[string]string{"retry-after-ms": "Inf"}, 0, memory.MaxRetryAfter},
}

// headers answers 429 with these.
type headers map[string]string

func (h headers) RoundTrip(r *http.Request) (*http.Response, error) {
	res := &http.Response{
		StatusCode: http.StatusTooManyRequests, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}`)),
	}
	for name, value := range h {
		res.Header.Set(name, value)
	}
	return res, nil
}

// limitedOnce is a model that answers the first question with a 429 of that form, through the adapter that reads such
// answers in production, and notes when it was asked.
type limitedOnce struct {
	form string
	now  func() time.Time

	mu    sync.Mutex
	asked []time.Time
}

func (l *limitedOnce) fault(ctx context.Context, c llmtest.Call) error {
	if c.Method != "UseCases" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked = append(l.asked, l.now()); len(l.asked) > 1 {
		return nil
	}
	return refusal(ctx, l.form)
}

// refusal is what the adapter makes of a 429 of that form.
func refusal(ctx context.Context, form string) error {
	h := headers{}
	maps.Copy(h, forms[form].header)
	if in := forms[form].in; in != 0 {
		h["Retry-After"] = time.Now().Add(in).UTC().Format(http.TimeFormat)
	}
	e, err := openai.NewExtractor(openai.Config{BaseURL: "http://model.test/v1", Model: "m", HTTPClient: &http.Client{Transport: h}})
	if err != nil {
		return err
	}
	_, err = e.UseCases(ctx, llm.Question{Content: "Dorothy"})
	return err
}

// pause is how long after the first question the second one came.
func (l *limitedOnce) pause(t *testing.T) time.Duration {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.asked) != 2 {
		t.Fatalf("the model was asked %d times, want twice", len(l.asked))
	}
	return l.asked[1].Sub(l.asked[0])
}

// slack is how much later than asked the next attempt may come: a quarter, by which waits are scattered, and the pause
// between two rounds of attempts.
func slack(want time.Duration) time.Duration { return want/4 + 30*time.Second }

// TestRetryAfterIsObeyedByTheGate sends a second call at every moment until one is let through.
func TestRetryAfterIsObeyedByTheGate(t *testing.T) {
	t.Parallel()
	for form, row := range forms {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &limitedOnce{form: form, now: time.Now}
				e := new(pace.Gate).Extractor(&llmtest.Fake{Fault: l.fault})
				for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
					if _, err := e.UseCases(t.Context(), llm.Question{Content: "Dorothy"}); err == nil {
						break
					}
					if time.Since(start) > time.Hour {
						t.Fatal("the gate stays shut")
					}
				}
				if got := l.pause(t); got < row.want || got > max(row.want, time.Second)+1200*time.Millisecond { // a second for dates, which have no more
					t.Errorf("the model was left alone for %v, it asked for %v", got, row.want)
				}
			})
		})
	}
}

// TestRetryAfterIsObeyedInRealtime: a short wait keeps the memory its place, for a long one it is handed over at once.
func TestRetryAfterIsObeyedInRealtime(t *testing.T) {
	t.Parallel()
	const hold = 15 * time.Second // MaxHold, by default
	for form, row := range forms {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &limitedOnce{form: form, now: time.Now}
				k := newTrackOn(t, &llmtest.Fake{Fault: l.fault}, new(pace.Gate), nil)
				id := k.post()
				time.Sleep(2 * time.Minute)
				fell, held := k.lost()
				if row.want > hold {
					if fell != 1 || held > time.Second {
						t.Errorf("asked to wait %v it held its place for %v; %d fell off the track", row.want, held, fell)
					}
					return
				}
				if got := k.status(id); got != memory.StatusCompleted {
					t.Fatalf("it is %s; %d fell off after %v", got, fell, held)
				}
				if got := l.pause(t); got < row.want || got > row.want+slack(row.want) {
					t.Errorf("the model was left alone for %v, it asked for %v", got, row.want)
				}
				if held > time.Minute {
					t.Errorf("it held its place for %v", held)
				}
			})
		})
	}
}

// TestRetryAfterIsObeyedOnTheDurableTrack does the same in the virtual time of Temporal's test environment. There activities take
// real time: one that waited in its slot would be seen to.
func TestRetryAfterIsObeyedOnTheDurableTrack(t *testing.T) {
	t.Parallel()
	for form, row := range forms {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			var suite testsuite.WorkflowTestSuite
			suite.SetLogger(slog.New(slog.DiscardHandler))
			env := suite.NewTestWorkflowEnvironment()
			l := &limitedOnce{form: form, now: env.Now}
			w := newWorld(t, faults{llm: func() func(context.Context, llmtest.Call) error { return l.fault }})
			w.parts.Extractor = (&pace.Gate{Now: env.Now}).Extractor(w.parts.Extractor)
			p := pipeline.New(w.parts, pipeline.Config{})
			batch.Register(env, batch.NewWorkflows(p, batch.Config{}), batch.NewActivities(batch.Parts{Pipeline: p, Memories: w.store.Memories(), Runs: w.store.Runs()}, batch.Config{}))
			held := watchSlots(env)
			env.ExecuteWorkflow(batch.ProcessMemoryWorkflow, w.put(t, 0, memory.TrackDurable, store.Lease{}))
			if err := env.GetWorkflowError(); err != nil {
				t.Fatal(err)
			}
			if got := l.pause(t); got < row.want || got > row.want+slack(row.want) {
				t.Errorf("the model was left alone for %v, it asked for %v", got, row.want)
			}
			if longest := held(); row.want >= time.Second && longest >= row.want {
				t.Errorf("an activity held its slot for %v", longest)
			}
		})
	}
}

// watchSlots measures for how long activities hold their slots, in real time.
func watchSlots(env *testsuite.TestWorkflowEnvironment) (longest func() time.Duration) {
	var mu sync.Mutex
	since, most := map[string]time.Time{}, time.Duration(0)
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		mu.Lock()
		defer mu.Unlock()
		since[info.ActivityID] = time.Now()
	})
	env.SetOnActivityCompletedListener(func(info *activity.Info, _ converter.EncodedValue, _ error) {
		mu.Lock()
		defer mu.Unlock()
		most = max(most, time.Since(since[info.ActivityID]))
	})
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return most
	}
}
