// Package routing decides on which track work runs, and says why. It is a pure function of the request, the load and
// the policy: no clock, no store, no state.
package routing

import (
	"fmt"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Policy is what the operator wants.
type Policy struct {
	// MaxQueued is how many memories may wait for the realtime track before others go to the durable one. Default 2,000.
	MaxQueued int `json:"max_queued" yaml:"max_queued"`
	// MaxWait is the longest expected wait in the realtime queue before others go to the durable track. Default 10s.
	MaxWait time.Duration `json:"max_wait" yaml:"max_wait"`
	// MaxRealtimeBytes is the largest content that "auto" runs in realtime. Default 100,000: all.
	MaxRealtimeBytes int `json:"max_realtime_bytes" yaml:"max_realtime_bytes"`
}

// WithDefaults fills what is not set.
func (p Policy) WithDefaults() Policy {
	if p.MaxQueued == 0 {
		p.MaxQueued = 2_000
	}
	if p.MaxWait == 0 {
		p.MaxWait = 10 * time.Second
	}
	if p.MaxRealtimeBytes == 0 {
		p.MaxRealtimeBytes = memory.MaxContentBytes
	}
	return p
}

// Load is how busy the realtime track of this process is.
type Load struct {
	InFlight     int           `json:"in_flight"`     // memories at work
	Limit        int           `json:"limit"`         // how many may be at work at once
	Queued       int           `json:"queued"`        // memories waiting
	ExpectedWait time.Duration `json:"expected_wait"` // until one that came now would begin
	Draining     bool          `json:"draining"`      // the process is about to stop
	Open         []string      `json:"open"`          // dependencies whose circuit breaker is open
}

// Request is what is to be routed: one memory, or a batch.
type Request struct {
	Batch bool
	Track memory.Track // the caller's wish; "" and auto leave it to the router
	Bytes int          // of the content
}

// Decision is the track and the reason, in words for people.
type Decision struct {
	Track  memory.Track
	Reason string
}

// Decide routes a request. A wish for realtime is a wish: without capacity the durable track takes it, since nothing
// that came in is turned away for being urgent.
func Decide(r Request, l Load, p Policy) Decision {
	switch why := obstacle(r, l, p); {
	case r.Batch:
		return Decision{memory.TrackDurable, "batch"}
	case r.Track == memory.TrackDurable:
		return Decision{memory.TrackDurable, "asked for"}
	case why != "":
		return Decision{memory.TrackDurable, why}
	case r.Track == memory.TrackRealtime:
		return Decision{memory.TrackRealtime, "asked for, capacity free"}
	}
	return Decision{memory.TrackRealtime, "single memory, capacity free"}
}

// obstacle says why a memory cannot run in realtime now; "" where it can.
func obstacle(r Request, l Load, p Policy) string {
	switch {
	case l.Limit == 0:
		return "this process runs no realtime track"
	case l.Draining:
		return "the process is stopping"
	case len(l.Open) > 0:
		return fmt.Sprintf("%s is failing, its circuit breaker is open", l.Open[0])
	case l.Queued >= p.MaxQueued:
		return fmt.Sprintf("realtime is full: %d memories wait", l.Queued)
	case l.ExpectedWait > p.MaxWait:
		return fmt.Sprintf("realtime is busy: the wait would be %s", l.ExpectedWait.Round(100*time.Millisecond))
	case r.Track != memory.TrackRealtime && r.Bytes > p.MaxRealtimeBytes:
		return fmt.Sprintf("content of %d bytes is over the realtime limit of %d", r.Bytes, p.MaxRealtimeBytes)
	}
	return ""
}
