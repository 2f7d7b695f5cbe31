package openai

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		ms, after string
		want      time.Duration
	}{
		"None":               {"", "", 0},
		"Seconds":            {"", "20", 20 * time.Second},
		"FractionOfASecond":  {"", " 0.25 ", 250 * time.Millisecond},
		"Milliseconds":       {"1500", "", 1500 * time.Millisecond},
		"MillisecondsFirst":  {"10", "20", 10 * time.Millisecond},
		"BadMilliseconds":    {"soon", "20", 20 * time.Second},
		"Date":               {"", "Mon, 23 Nov 2026 09:00:30 GMT", 30 * time.Second},
		"DateInAnOldForm":    {"", "Monday, 23-Nov-26 09:00:30 GMT", 30 * time.Second},
		"DateThatHasPassed":  {"", "Mon, 23 Nov 2026 08:00:00 GMT", 0},
		"DateFarAway":        {"", "Mon, 23 Nov 2099 08:00:00 GMT", longest},
		"Negative":           {"", "-5", 0},
		"NotANumber":         {"NaN", "NaN", 0},
		"Infinite":           {"", "Inf", longest},
		"MoreThanADuration":  {"1e300", "", longest},
		"MoreThanANumber":    {"", "1e999", longest},
		"Words":              {"", "in a minute", 0},
		"NegativeInfinite":   {"", "-Inf", 0},
		"NegativeBeyondALot": {"", "-1e999", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			h.Set("Retry-After-Ms", c.ms)
			h.Set("Retry-After", c.after)
			if got := retryAfter(h, now); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestRetryAfterOfOpenAIsLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header string // name value, one after the other
		want   time.Duration
	}{
		"RequestsAreUsedUp":        {"Remaining-Requests 0 Reset-Requests 7s Remaining-Tokens 900 Reset-Tokens 17ms", 7 * time.Second},
		"TokensAreUsedUp":          {"Remaining-Requests 9 Reset-Requests 17ms Remaining-Tokens 0 Reset-Tokens 6m0s", 6 * time.Minute},
		"BothAreUsedUp":            {"Remaining-Requests 0 Reset-Requests 2s Remaining-Tokens 0 Reset-Tokens 1m2.5s", 62500 * time.Millisecond},
		"NeitherIsSaidToBe":        {"Reset-Requests 8.64s Reset-Tokens 150ms", 150 * time.Millisecond},
		"OnlyOneIsThere":           {"Reset-Tokens 4s", 4 * time.Second},
		"FarAway":                  {"Remaining-Requests 0 Reset-Requests 99999h", longest},
		"Negative":                 {"Remaining-Requests 0 Reset-Requests -5s", 0},
		"Garbage":                  {"Remaining-Requests 0 Reset-Requests soon Reset-Tokens 1.5", 0},
		"GarbageBesideAUsefulOne":  {"Remaining-Requests 0 Reset-Requests 1e9s Reset-Tokens 3s", 3 * time.Second},
		"WhatIsUsedUpHasNoTime":    {"Remaining-Requests 0 Reset-Tokens 3s", 3 * time.Second},
		"MoreThanADurationCanHold": {"Remaining-Tokens 0 Reset-Tokens 9999999999999h", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			for words := strings.Fields(c.header); len(words) > 0; words = words[2:] {
				h.Set("X-Ratelimit-"+words[0], words[1])
			}
			if got := retryAfter(h, time.Now()); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			h.Set("Retry-After", "20")
			if got := retryAfter(h, time.Now()); got != 20*time.Second {
				t.Errorf("beside a Retry-After of 20 s it is %s", got)
			}
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("1", "2")
	f.Add("", "Mon, 23 Nov 2026 09:00:30 GMT")
	f.Add("-1e309", "0x1p-2")
	f.Fuzz(func(t *testing.T, ms, after string) {
		h := http.Header{"Retry-After-Ms": {ms}, "Retry-After": {after}}
		if d := retryAfter(h, time.Unix(0, 0)); d < 0 || d > longest {
			t.Errorf("wait of %s for %q and %q", d, ms, after)
		}
	})
}

func TestReadError(t *testing.T) {
	t.Parallel()
	for body, code := range map[string]string{
		`{"error": {"message": "m", "type": "t", "code": "insufficient_quota"}}`:        "insufficient_quota",
		`{"error": {"message": "m", "type": "exceed_context_size_error", "code": 500}}`: "exceed_context_size_error",
		`{"error": {"message": "m", "type": "invalid_request_error", "code": null}}`:    "invalid_request_error",
		`{"error": "response_format is not supported"}`:                                 "",
		`{"object": "error", "message": "m", "type": "BadRequestError", "code": 400}`:   "",
		`{"detail": [{"loc": ["body"], "msg": "m"}]}`:                                   "",
		`{"error": {"code": "sk-9aB7 leaked"}}`:                                         "",
		`<html>nginx</html>`:                                                            "",
		``:                                                                              "",
		`[1, 2]`:                                                                        "",
		`{"error": null}`:                                                               "",
		`{"error": {"message": "m", "code": {"a": 1}, "type": ""}}`:                     "",
		`{"error": {"code": "` + strings.Repeat("a", 100) + `", "type": "invalid_type"}}`:      "invalid_type",
		`{"message": "m", "type": "server_error", "param": null, "code": "context_overflow"}`:  "context_overflow",
		`{"error": {"code": "model.not-found", "message": "what"}} trailing text is no matter`: "",
	} {
		if e := readError(400, []byte(body)); e.code != code || !strings.HasPrefix(body, e.said) {
			t.Errorf("%s: code %q, said %q", body, e.code, e.said)
		}
	}
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]bool{
		`{"error": {"code": "context_length_exceeded", "message": "m"}}`:                                                true,
		`{"message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"}`:         true,
		`{"error": {"message": "the request exceeds the available context size", "type": "exceed_context_size_error"}}`: true,
		`{"error": "input length exceeds the context length"}`:                                                          true,
		"{\"error\": \"`inputs` must have less than 512 tokens. Given: 600\"}":                                          true,
		`{"error": {"message": "Invalid schema for response_format"}}`:                                                  false,
	} {
		if got := readError(400, []byte(said)).tooLong(); got != want {
			t.Errorf("%s: %t", said, got)
		}
	}
	if readError(429, []byte("context length")).tooLong() {
		t.Error("a rate limit is no matter of length")
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text  string
		limit int
		want  string
	}{
		"ShortEnough":     {"a short text", 3, "a short text"},
		"AtASentence":     {"Toto ran and barked. Dorothy ran. They ran on", 9, "Toto ran and barked. Dorothy ran."},
		"AtABlank":        {"one two three four five six seven", 7, "one two three four five six"},
		"InsideAWord":     {strings.Repeat("x", 100), 10, strings.Repeat("x", 40)},
		"ChineseSentence": {"他住在堪萨斯。他很快乐，他跑。他们", 16, "他住在堪萨斯。他很快乐，他跑。"},
		"Emoji":           {"🎉🎉🎉", 2, "🎉🎉"},
		"Nothing":         {"", 5, ""},
		"NoRoom":          {"abc", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := fit(c.text, c.limit); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzFit(f *testing.F) {
	f.Add("Toto ran. Dorothy ran.", 3)
	f.Add("多萝西和亨利叔叔", 2)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if !utf8.ValidString(text) || limit < 0 || limit > 1<<20 {
			return
		}
		got := fit(text, limit)
		if !strings.HasPrefix(text, got) || !utf8.ValidString(got) || estimate(got) > limit {
			t.Errorf("%q of %q at %d tokens", got, text, limit)
		}
		if h := half(text); len(text) > 8 && len(h) >= len(text) {
			t.Errorf("half of %q is %q", text, h)
		}
	})
}

func FuzzFindObject(f *testing.F) {
	f.Add("Here: ```json\n{\"use_cases\": [\"a\"]}\n```")
	f.Add("<think>{\"use_cases\": []}</think>{{{{{")
	f.Add(strings.Repeat(`{"a":`, 100))
	f.Fuzz(func(t *testing.T, text string) {
		raw, ok := findObject(text, "use_cases")
		var fields map[string]json.RawMessage
		if ok && (json.Unmarshal(raw, &fields) != nil || fields["use_cases"] == nil || !strings.Contains(text, string(raw))) {
			t.Errorf("found %q in %q", raw, text)
		}
		for _, s := range firstOf(readUseCases(text)) {
			if s == "" || utf8.RuneCountInString(s) > maxUseCaseRunes || !utf8.ValidString(s) {
				t.Errorf("use case %q", s)
			}
		}
	})
}

func firstOf(list []string, _ problem) []string { return list }

func FuzzReadGraph(f *testing.F) {
	f.Add(`{"nodes": [{"id": 0, "type": "a b", "name": "x"}, {"id": "1", "type": "c", "name": "y"}],
		"relationships": [{"from": 0, "to": 1, "type": "r"}]}`, false)
	f.Add(`{"nodes": [{"id": null, "type": "Place", "name": "x", "properties": {"a": 1}}], "relationships": null}`, true)
	f.Fuzz(func(t *testing.T, answer string, strict bool) {
		s := llm.Schema{Nodes: []llm.Type{{Name: "Place"}}, Relationships: []llm.Type{{Name: "NEAR"}}}
		if strict {
			s.Mode = "strict"
		}
		g, wrong := readGraph(answer, s)
		if wrong == "" {
			llmtest.CheckGraph(t, g)
		}
	})
}
