// Package batch is the durable track: Temporal workflows that take memories, and batches of them, through the pipeline,
// and the recovery that gives them what fell off the realtime track. Temporal carries ids, never content.
package batch

import (
	"cmp"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Policy is what workflows decide by. A run keeps to the one that was in force when it began, so that a change of
// settings does not change what is under way. The zero value works.
type Policy struct {
	// Window is how many pages of a batch are at work at once. Default 4.
	Window int `json:"window" yaml:"window"`
	// MaxWaiting is how many pages of a batch may wait for a passing fault to pass before no further one is begun.
	// Default 64.
	MaxWaiting int `json:"max_waiting" yaml:"max_waiting"`
	// Patience is how long a memory is tried again after passing faults, from the beginning of its run. Default 24h.
	Patience time.Duration `json:"patience" yaml:"patience"`
	// RoundBackoff is the wait before a page's second round; it doubles up to MaxRoundBackoff. Default 5s.
	RoundBackoff time.Duration `json:"round_backoff" yaml:"round_backoff"`
	// MaxRoundBackoff caps the wait between rounds. Default 1m.
	MaxRoundBackoff time.Duration `json:"max_round_backoff" yaml:"max_round_backoff"`
	// MaxEvents is how long a batch's history grows before the batch continues as a new run. Default 4,096.
	MaxEvents int `json:"max_events" yaml:"max_events"`
}

func (p Policy) withDefaults() Policy {
	p.Window = cmp.Or(p.Window, 4)
	p.MaxWaiting = cmp.Or(p.MaxWaiting, 64)
	p.Patience = cmp.Or(p.Patience, 24*time.Hour)
	p.RoundBackoff = cmp.Or(p.RoundBackoff, 5*time.Second)
	p.MaxRoundBackoff = cmp.Or(p.MaxRoundBackoff, time.Minute)
	p.MaxEvents = cmp.Or(p.MaxEvents, 4_096)
	return p
}

// Config shapes the durable track. The zero value works.
type Config struct {
	// TaskQueue is where workflows and activities wait. Default "switchyard".
	TaskQueue string `yaml:"task_queue"`
	// Policy is what workflows decide by.
	Policy `yaml:",inline"`
	// MaxHold is the longest wait between two attempts of one round; who must wait longer waits for the next round.
	// Default 15s.
	MaxHold time.Duration `yaml:"max_hold"`
	// Heartbeat is how long a worker may be silent before its attempt is given to another. Default 10s.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// Activities is how many attempts a worker has in flight. Default 16.
	Activities int `yaml:"activities"`
	// Lease is how long a started run is trusted before recovery makes sure again that it exists. Default 10m.
	Lease time.Duration `yaml:"lease"`
	// Sweep is how often recovery looks for orphans. Default 2s.
	Sweep time.Duration `yaml:"sweep"`
	// Stop is how long a stopping worker waits for attempts in flight. Default 10s.
	Stop time.Duration `yaml:"stop"`
	// SearchAttributes says whether runs carry workspace, memory and batch id for Temporal's UI; they must be
	// registered with the namespace (the embedded server has them, `switchyard migrate` makes them). Default false.
	SearchAttributes bool `yaml:"search_attributes"`
}

// WithDefaults fills what is not set.
func (c Config) WithDefaults() Config {
	c.TaskQueue = cmp.Or(c.TaskQueue, "switchyard")
	c.Policy = c.Policy.withDefaults()
	c.MaxHold = cmp.Or(c.MaxHold, 15*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 10*time.Second)
	c.Activities = cmp.Or(c.Activities, 16)
	c.Lease = cmp.Or(c.Lease, 10*time.Minute)
	c.Sweep = cmp.Or(c.Sweep, 2*time.Second)
	c.Stop = cmp.Or(c.Stop, 10*time.Second)
	return c
}

// PageRef names what a round works on: a single memory, or a page of a batch. It is all that Temporal ever sees.
type PageRef struct {
	Workspace string `json:"workspace"`
	Owner     string `json:"owner"` // who holds the memories: the workflow's id
	MemoryID  string `json:"memory_id,omitempty"`
	Version   int    `json:"version,omitempty"`
	BatchID   string `json:"batch_id,omitempty"`
	Page      int    `json:"page"`
}

func (p PageRef) ref() memory.Ref {
	return memory.Ref{Workspace: p.Workspace, ID: p.MemoryID, Version: p.Version}
}
