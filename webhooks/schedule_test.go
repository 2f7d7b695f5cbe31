package webhooks

import (
	"net/http"
	"testing"
	"time"
)

func TestDefaultSchedule(t *testing.T) {
	t.Parallel()
	s := Schedule{Jitter: -1}.orDefault()
	var at []time.Duration
	total := time.Duration(0)
	for made := 0; ; made++ {
		wait, more := s.next(made, 0)
		if !more {
			break
		}
		total += wait
		at = append(at, total)
	}
	if len(at) != 10 || at[1] != 5*time.Second || at[2] != 5*time.Minute+5*time.Second || total != 75*time.Hour+35*time.Minute+5*time.Second {
		t.Errorf("attempts at %v", at)
	}
}

func TestJitterIsPositiveAndBounded(t *testing.T) {
	t.Parallel()
	s := Schedule{Delays: []time.Duration{0, time.Hour}}.orDefault()
	seen := map[time.Duration]bool{}
	for range 200 {
		wait, _ := s.next(1, 0)
		if wait < time.Hour || wait > time.Hour*12/10 {
			t.Fatalf("an hour became %s", wait)
		}
		seen[wait] = true
	}
	if len(seen) < 100 {
		t.Errorf("200 waits have %d lengths", len(seen))
	}
	if wait, more := s.next(0, 0); wait != 0 || !more {
		t.Errorf("the first attempt waits %s", wait)
	}
}

func TestRetryAfterIsBoundedByTheSchedule(t *testing.T) {
	t.Parallel()
	s := Schedule{Delays: []time.Duration{0, time.Minute, time.Hour}, Jitter: -1}.orDefault()
	for asked, want := range map[time.Duration]time.Duration{
		0: time.Minute, time.Second: time.Minute, 10 * time.Minute: 10 * time.Minute, 48 * time.Hour: time.Hour,
	} {
		if wait, more := s.next(1, asked); wait != want || !more {
			t.Errorf("asked for %s: %s, %v", asked, wait, more)
		}
	}
	if _, more := s.next(3, time.Minute); more {
		t.Error("asking makes more attempts")
	}
}

func TestRetryAfterForms(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, " 7 ": 7 * time.Second, "-5": 0, "1.5": 0, "soon": 0,
		now.Add(time.Hour).Format(http.TimeFormat):  time.Hour,
		now.Add(-time.Hour).Format(http.TimeFormat): 0,
		now.Add(time.Minute).Format(time.RFC850):    time.Minute,
		now.Add(time.Minute).Format(time.ANSIC):     time.Minute,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
	if got := retryAfter("9223372036854775807", now); got <= 0 {
		t.Errorf("a huge number overflows to %s", got)
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Fri, 02 Jan 2026 04:04:05 GMT")
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value string) {
		if got := retryAfter(value, now); got < 0 {
			t.Errorf("%q: %s", value, got)
		}
	})
}
