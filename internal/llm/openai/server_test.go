package openai_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/llm/openai"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "sk-test-4f9a"

func start(tb testing.TB, script llmtest.Script) *llmtest.Server {
	tb.Helper()
	s, err := llmtest.NewServer(llmtest.Config{Key: key, Script: script})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func extractor(tb testing.TB, s *llmtest.Server, c openai.Config) *openai.Extractor {
	tb.Helper()
	c.BaseURL, c.APIKey = s.URL(), key
	e, err := openai.NewExtractor(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

func embedder(tb testing.TB, s *llmtest.Server, c openai.Config) *openai.Embedder {
	tb.Helper()
	c.BaseURL, c.APIKey = s.URL(), key
	e, err := openai.NewEmbedder(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

func TestEmbedder(t *testing.T) {
	llmtest.Embedder(t, func(tb testing.TB) llm.Embedder { return embedder(tb, start(tb, nil), openai.Config{}) })
}

func TestExtractor(t *testing.T) {
	llmtest.Extractor(t, func(tb testing.TB) llm.Extractor { return extractor(tb, start(tb, nil), openai.Config{}) })
}

func TestExtractorOnServersWithoutStructuredOutputs(t *testing.T) {
	llmtest.Extractor(t, func(tb testing.TB) llm.Extractor {
		return extractor(tb, start(tb, llmtest.Lacks("json_schema", "json_object")), openai.Config{})
	})
}

// faults are the ways in which a server can fail any call.
func faults() map[string]struct {
	behaviour llmtest.Behaviour
	code      memory.Code
	after     time.Duration // Retry-After, to the minute where it is a date
	says      string        // what the message holds
} {
	return map[string]struct {
		behaviour llmtest.Behaviour
		code      memory.Code
		after     time.Duration
		says      string
	}{
		"RateLimitInSeconds":      {llmtest.RateLimit(7 * time.Second), memory.CodeRateLimited, 7 * time.Second, "429 (rate_limit_exceeded)"},
		"RateLimitInFractions":    {llmtest.RateLimit(2500 * time.Millisecond), memory.CodeRateLimited, 2500 * time.Millisecond, "429"},
		"RateLimitInMilliseconds": {llmtest.RateLimitMS(1700 * time.Millisecond), memory.CodeRateLimited, 1700 * time.Millisecond, "429"},
		"RateLimitUntilDate":      {llmtest.RateLimitDate(time.Now().Add(time.Hour)), memory.CodeRateLimited, time.Hour, "429"},
		"RateLimitWithoutWait":    {llmtest.Status(429), memory.CodeRateLimited, 0, "429"},
		"QuotaIsPermanent":        {llmtest.Quota(), memory.CodeQuota, 0, "insufficient_quota"},
		"PaymentRequired":         {llmtest.Status(402), memory.CodeQuota, 0, "402"},
		"InternalError":           {llmtest.Status(500), memory.CodeUnavailable, 0, "500 (internal_server_error)"},
		"BadGatewayPage":          {llmtest.Page(502), memory.CodeUnavailable, 0, "502"},
		"UnavailableWithWait": {llmtest.Fail(503, "overloaded", "Come back", "Retry-After", "11"), memory.CodeUnavailable,
			11 * time.Second, "503 (overloaded)"},
		"GatewayTimeout":   {llmtest.Status(504), memory.CodeUnavailable, 0, "504"},
		"Overloaded":       {llmtest.Status(529), memory.CodeUnavailable, 0, "529"},
		"RequestTimeout":   {llmtest.Status(408), memory.CodeUnavailable, 0, "408"},
		"Conflict":         {llmtest.Status(409), memory.CodeUnavailable, 0, "409"},
		"BrokenJSON":       {llmtest.BrokenJSON(), memory.CodeUnavailable, 0, "broke off"},
		"CutConnection":    {llmtest.Cut(), memory.CodeUnavailable, 0, "broke off"},
		"ResetConnection":  {llmtest.Reset(), memory.CodeUnavailable, 0, "could not be reached"},
		"PageInsteadOfAPI": {llmtest.Page(200), memory.CodeUnavailable, 0, "broke off"},
		"NoKey":            {llmtest.Fail(401, "invalid_api_key", "Incorrect API key: "+key, "", ""), memory.CodeRefused, 0, "401 (invalid_api_key)"},
		"Forbidden":        {llmtest.Status(403), memory.CodeRefused, 0, "403 (forbidden)"},
		"NoSuchModel":      {llmtest.Fail(404, "model_not_found", "The model is not there", "", ""), memory.CodeRefused, 0, "404 (model_not_found)"},
		"BadRequest":       {llmtest.Status(400), memory.CodeRefused, 0, "400 (bad_request)"},
		"Unprocessable":    {llmtest.Status(422), memory.CodeRefused, 0, "422"},
		"NotImplemented":   {llmtest.Status(501), memory.CodeRefused, 0, "501"},
		"KeyAsCode":        {llmtest.Fail(401, key, key, "", ""), memory.CodeRefused, 0, "401"},
	}
}

// calls are the three things that are asked of a server.
func calls(t *testing.T, s *llmtest.Server) map[string]func(context.Context) error {
	e, v := extractor(t, s, openai.Config{}), embedder(t, s, openai.Config{})
	q := llm.Question{Content: "Dorothy and Toto"}
	return map[string]func(context.Context) error{
		"UseCases": func(ctx context.Context) error {
			_, err := e.UseCases(ctx, q)
			return err
		},
		"Graph": func(ctx context.Context) error {
			_, err := e.Graph(ctx, q)
			return err
		},
		"Embed": func(ctx context.Context) error {
			_, err := v.Embed(ctx, []string{"Dorothy", "Toto"})
			return err
		},
	}
}

func TestFaultsGetTheirCode(t *testing.T) {
	t.Parallel()
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, llmtest.Always(f.behaviour))
			for method, call := range calls(t, s) {
				err := call(t.Context())
				var m *memory.Error
				if !errors.As(err, &m) || m.Code != f.code || !strings.Contains(m.Message, f.says) {
					t.Fatalf("%s: %v, want code %s and a message with %q", method, err, f.code, f.says)
				}
				if d := f.after - m.RetryAfter; d != 0 && (f.after != time.Hour || d < 0 || d > time.Minute) {
					t.Errorf("%s: asks to wait %s, want %s", method, m.RetryAfter, f.after)
				}
				if strings.Contains(err.Error(), key) {
					t.Errorf("%s: the key is in the error: %v", method, err)
				}
				if n := s.Stats().Calls[method]; n != 1 {
					t.Errorf("%s: called %d times, retries belong to the tracks", method, n)
				}
			}
		})
	}
}

func TestFaultsPass(t *testing.T) {
	t.Parallel()
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, llmtest.OnContent("", "", 1, f.behaviour))
			for method, call := range calls(t, s) {
				if first, second := call(t.Context()), call(t.Context()); first == nil || second != nil {
					t.Errorf("%s: first %v, second %v", method, first, second)
				}
			}
		})
	}
}

func TestHangingServer(t *testing.T) {
	t.Parallel()
	t.Run("DeadlineIsATimeout", func(t *testing.T) {
		t.Parallel()
		for method, call := range calls(t, start(t, llmtest.Always(llmtest.Hang()))) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			if err := call(ctx); memory.CodeOf(err) != memory.CodeTimeout || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", method, err)
			}
			cancel()
		}
	})
	t.Run("CancelIsAnInterruption", func(t *testing.T) {
		t.Parallel()
		s := start(t, llmtest.Always(llmtest.Hang()))
		for method, call := range calls(t, s) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- call(ctx) }()
			if err := s.Wait(t.Context(), func(st llmtest.Stats) bool { return st.InFlight == 1 }); err != nil {
				t.Fatal(err)
			}
			cancel()
			if err := <-done; memory.CodeOf(err) != memory.CodeInterrupted {
				t.Errorf("%s: %v", method, err)
			}
			if err := s.Wait(t.Context(), func(st llmtest.Stats) bool { return st.InFlight == 0 }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	s, err := llmtest.NewServer(llmtest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	all := calls(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for method, call := range all {
		if err := call(t.Context()); memory.CodeOf(err) != memory.CodeUnavailable {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func TestBaseURLIsChecked(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"localhost:8080", "ftp://host/v1", "http://", "://"} {
		if _, err := openai.NewExtractor(openai.Config{BaseURL: u}); err == nil {
			t.Errorf("extractor takes %q", u)
		}
		if _, err := openai.NewEmbedder(openai.Config{BaseURL: u}); err == nil {
			t.Errorf("embedder takes %q", u)
		}
	}
}

// The environment is read by whoever makes the configuration, never behind its back.
func TestEnvironmentIsNotRead(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-from-environment")
	t.Setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
	t.Setenv("OPENAI_ORG_ID", "org")
	var header http.Header
	s, err := llmtest.NewServer(llmtest.Config{Script: func(c llmtest.Call) llmtest.Behaviour {
		header = c.Request.Header
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := openai.NewEmbedder(openai.Config{BaseURL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Embed(t.Context(), []string{"x"})
	if err != nil || header.Get("Authorization") != "" || header.Get("OpenAI-Organization") != "" {
		t.Errorf("%v, %v", err, header)
	}
	if err := errors.Join(e.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	content := strings.Repeat("Dorothy ", 100)
	for name, c := range map[string]struct {
		config openai.Config
		paid   bool
	}{
		"Default":      {openai.Config{}, true},
		"Dated":        {openai.Config{Model: "gpt-4o-mini-2024-07-18"}, true},
		"Unknown":      {openai.Config{Model: "llama-9"}, false},
		"Configured":   {openai.Config{Model: "llama-9", Prices: map[string]openai.Price{"llama-9": {Input: 1, Output: 2}}}, true},
		"MadeFree":     {openai.Config{Model: "gpt-5", Prices: map[string]openai.Price{"gpt-5": {}}}, false},
		"LongerName":   {openai.Config{Model: "gpt-5-miniature"}, false},
		"OtherVersion": {openai.Config{Model: "gpt-5.4-mini-2026-03-17"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := extractor(t, s, c.config).UseCases(t.Context(), llm.Question{Content: content})
			if err != nil || u.Usage.Tokens < 200 || (u.Usage.CostUSD > 0) != c.paid {
				t.Errorf("%v, usage %+v", err, u.Usage)
			}
			if c.config.Model != "" && u.Usage.Model != c.config.Model {
				t.Errorf("model %q", u.Usage.Model)
			}
		})
	}
	v, err := embedder(t, s, openai.Config{}).Embed(t.Context(), []string{content})
	cost := math.Round(v.Usage.CostUSD*1e9) / 1e9
	if err != nil || v.Usage.Model != "text-embedding-3-small" || v.Usage.Tokens != 201 || cost != 4.02e-6 {
		t.Errorf("%v, usage %+v", err, v.Usage)
	}
}
