package llmtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFakeEmbedder(t *testing.T) {
	llmtest.Embedder(t, func(testing.TB) llm.Embedder { return new(llmtest.Fake) })
}

func TestFakeExtractor(t *testing.T) {
	llmtest.Extractor(t, func(testing.TB) llm.Extractor { return new(llmtest.Fake) })
	llmtest.Reranker(t, func(testing.TB) llm.Reranker { return new(llmtest.Fake) })
}

func TestFakeFailsAsTold(t *testing.T) {
	t.Parallel()
	fault := memory.Errorf(memory.CodeUnavailable, "away")
	f := &llmtest.Fake{Fault: llmtest.FailTimes("UseCases", "bad", 2, fault)}
	for i, want := range []memory.Code{memory.CodeUnavailable, memory.CodeUnavailable, ""} {
		_, err := f.UseCases(t.Context(), llm.Question{Content: "a bad one"})
		if got := memory.CodeOf(err); got != want {
			t.Errorf("call %d: code %q, want %q", i+1, got, want)
		}
	}
	if _, err := f.UseCases(t.Context(), llm.Question{Content: "a good one"}); err != nil {
		t.Error(err)
	}
	if _, err := f.Embed(t.Context(), []string{"a bad one"}); err != nil {
		t.Errorf("another method: %v", err)
	}
	s := f.Stats()
	if s.Calls["UseCases"] != 4 || s.Answered != 3 || s.InFlight != 0 || f.Count("UseCases", "a bad one") != 3 {
		t.Errorf("stats %+v, %d for the bad one", s, f.Count("UseCases", "a bad one"))
	}
}

func TestFakePanicsAsTold(t *testing.T) {
	t.Parallel()
	f := &llmtest.Fake{Fault: llmtest.PanicOn("Graph", "boom")}
	defer func() {
		if recover() == nil || f.Stats().InFlight != 0 {
			t.Errorf("no panic, or still counted: %+v", f.Stats())
		}
	}()
	_, _ = f.Graph(t.Context(), llm.Question{Content: "boom"})
}

func TestFakeCanBlockUntilTheContextIsDone(t *testing.T) {
	t.Parallel()
	f := &llmtest.Fake{Fault: func(ctx context.Context, _ llmtest.Call) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := f.Embed(ctx, []string{"x"})
		done <- err
	}()
	if err := f.Wait(t.Context(), func(s llmtest.Stats) bool { return s.InFlight == 1 }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func start(t *testing.T, c llmtest.Config) *llmtest.Server {
	t.Helper()
	s, err := llmtest.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client makes a connection a call, so that none is left over.
func client() *http.Client { return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} }

func post(t *testing.T, s *llmtest.Server, path string, body any) (*http.Response, string, error) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+path, bytes.NewReader(b))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client().Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	return res, string(out), err
}

func question(task, content string) map[string]any {
	q, _ := json.Marshal(map[string]string{"task": task, "content": content}) // strings marshal
	return map[string]any{"model": "m", "messages": []map[string]string{
		{"role": "system", "content": "answer"}, {"role": "user", "content": string(q)},
	}}
}

func TestServerAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, llmtest.Config{})
	for name, c := range map[string]struct {
		path string
		body any
		want string
	}{
		"UseCases":   {"/chat/completions", question("use_cases", "Dorothy is here"), `Recall what is known of dorothy`},
		"Graph":      {"/chat/completions", question("graph", "Dorothy and Toto"), `\"name\":\"Toto\"`},
		"OtherChat":  {"/chat/completions", map[string]any{"messages": []any{}}, "nothing to say"},
		"Embeddings": {"/embeddings", map[string]any{"input": []string{"a", "b"}}, `"index":1`},
		"OneInput":   {"/embeddings", map[string]any{"input": "a"}, `"index":0`},
	} {
		t.Run(name, func(t *testing.T) {
			res, body, err := post(t, s, c.path, c.body)
			if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(body, c.want) {
				t.Errorf("%v, %s", err, body)
			}
		})
	}
	if st := s.Stats(); st.Total() != 5 || st.Answered != 5 || st.Tokens == 0 || st.MaxConcurrent != 1 || s.Count("Embed", "a") != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestServerListsModels(t *testing.T) {
	t.Parallel()
	s := start(t, llmtest.Config{Key: "sk-1"})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/models", nil)
	for header, status := range map[string]int{"Bearer sk-1": 200, "Bearer sk-2": 401} {
		req.Header.Set("Authorization", header)
		res, err := client().Do(req)
		if err != nil || res.StatusCode != status {
			t.Fatalf("%v, status %d for %s", err, res.StatusCode, header)
		}
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestServerMisbehavesInSequence(t *testing.T) {
	t.Parallel()
	s := start(t, llmtest.Config{Script: llmtest.Sequence(
		llmtest.RateLimit(1500*time.Millisecond), llmtest.RateLimitMS(20*time.Millisecond), llmtest.Quota(), llmtest.Status(503),
		llmtest.Page(502), llmtest.BrokenJSON(), llmtest.Cut(), llmtest.Reset(), nil,
	)})
	call := func() (int, http.Header, string, error) {
		res, body, err := post(t, s, "/chat/completions", question("graph", "Dorothy and Toto"))
		if res == nil {
			return 0, nil, body, err
		}
		return res.StatusCode, res.Header, body, err
	}
	for i, want := range []struct {
		status        int
		header, value string
		valid, whole  bool
	}{
		{429, "Retry-After", "1.5", true, true}, {429, "Retry-After-Ms", "20", true, true}, {429, "Retry-After", "1", true, true},
		{503, "", "", true, true}, {502, "", "", false, true}, {200, "", "", false, true}, {200, "", "", false, false},
		{0, "", "", false, false}, {200, "", "", true, true}, {200, "", "", true, true},
	} {
		status, header, body, err := call()
		if status != want.status || header.Get(want.header) != want.value || json.Valid([]byte(body)) != want.valid || (err == nil) != want.whole {
			t.Errorf("call %d: %d, %v, %s, %v", i+1, status, header, body, err)
		}
	}
}

func TestServerHangsUntilTheClientGoes(t *testing.T) {
	t.Parallel()
	s := start(t, llmtest.Config{Script: llmtest.Always(llmtest.Hang())})
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/embeddings", strings.NewReader(`{"input":"a"}`))
	done := make(chan error)
	go func() {
		_, err := client().Do(req)
		done <- err
	}()
	if err := s.Wait(t.Context(), func(st llmtest.Stats) bool { return st.InFlight == 1 }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.Wait(t.Context(), func(st llmtest.Stats) bool { return st.InFlight == 0 }); err != nil {
		t.Error(err)
	}
}

func TestServerCloseEndsHangingCalls(t *testing.T) {
	t.Parallel()
	s, err := llmtest.NewServer(llmtest.Config{Script: llmtest.Always(llmtest.Slowly(time.Hour))})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, _, err := post(t, s, "/embeddings", map[string]any{"input": "a"})
		done <- err
	}()
	if err := s.Wait(t.Context(), func(st llmtest.Stats) bool { return st.InFlight == 1 }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if <-done == nil {
		t.Error("the call was answered")
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	bad := llmtest.Status(500)
	count := func(s llmtest.Script, calls ...llmtest.Call) int {
		n := 0
		for _, c := range calls {
			if s(c) != nil {
				n++
			}
		}
		return n
	}
	var many []llmtest.Call
	for i := range 10_000 {
		many = append(many, llmtest.Call{N: i + 1, At: time.Duration(i) * time.Millisecond})
	}
	if n := count(llmtest.Share(0.1, bad), many...); n < 900 || n > 1_100 {
		t.Errorf("a tenth of 10,000 calls is %d", n)
	}
	if n := count(llmtest.Between(time.Second, 2*time.Second, bad), many...); n != 1_000 {
		t.Errorf("%d calls in a second of a thousand", n)
	}
	if n := count(llmtest.FirstOf(llmtest.Sequence(bad, nil, bad), llmtest.Between(0, 5*time.Millisecond, bad)), many...); n != 5 {
		t.Errorf("%d calls by either script", n)
	}
	lacks := llmtest.Lacks("json_schema")
	if n := count(lacks, llmtest.Call{Request: &llmtest.Request{Format: "json_schema"}}, llmtest.Call{Request: &llmtest.Request{}}); n != 1 {
		t.Errorf("%d calls lack the format", n)
	}
}

func TestOnContentCountsEachText(t *testing.T) {
	t.Parallel()
	s := start(t, llmtest.Config{Script: llmtest.OnContent("Embed", "bad", 1, llmtest.Status(500))})
	for i, want := range []int{500, 200} {
		res, _, err := post(t, s, "/embeddings", map[string]any{"input": []string{"good", "bad"}})
		if err != nil || res.StatusCode != want {
			t.Errorf("call %d: %v, %v", i+1, res, err)
		}
	}
}
