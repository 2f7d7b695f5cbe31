// Package batch is the durable track: Temporal workflows that take memories, and batches of them, through the pipeline,
// and the recovery that gives them what fell off the realtime track. Temporal carries ids, never content.
package batch

import (
	"cmp"
	"errors"
	"fmt"
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
	// LLMTaskQueue is where the activities that ask language models wait; those of runs that began before there was such
	// a queue wait with the others. Default "switchyard-llm".
	LLMTaskQueue string `json:"llm_task_queue,omitempty" yaml:"llm_task_queue"`
}

func (p Policy) withDefaults() Policy {
	p.Window = cmp.Or(p.Window, 4)
	p.MaxWaiting = cmp.Or(p.MaxWaiting, 64)
	p.Patience = cmp.Or(p.Patience, 24*time.Hour)
	p.RoundBackoff = cmp.Or(p.RoundBackoff, 5*time.Second)
	p.MaxRoundBackoff = cmp.Or(p.MaxRoundBackoff, time.Minute)
	p.MaxEvents = cmp.Or(p.MaxEvents, 4_096)
	p.LLMTaskQueue = cmp.Or(p.LLMTaskQueue, "switchyard-llm")
	return p
}

// Config shapes the durable track. The zero value works.
type Config struct {
	// TaskQueue is where workflows wait, and the activities that read and write stores. Default "switchyard".
	TaskQueue string `yaml:"task_queue"`
	// Policy is what workflows decide by.
	Policy `yaml:",inline"`
	// MaxHold is the longest wait between two attempts of one round; who must wait longer waits for the next round.
	// Default 15s.
	MaxHold time.Duration `yaml:"max_hold"`
	// Heartbeat is how long a worker may be silent before its attempt is given to another. Default 10s.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// Work is what a worker takes: "llm" the activities that ask language models, "store" workflows, all other activities,
	// recovery and webhooks, "all" both. Each of the two needs a worker somewhere, or memories wait. Default "all".
	Work Work `yaml:"work"`
	// Activities is how many attempts a worker has in flight, of those that do not ask language models. Default 16.
	Activities int `yaml:"activities"`
	// LLMActivities is how many attempts that ask language models a worker has in flight. Default 16.
	LLMActivities int `yaml:"llm_activities"`
	// LLMActivitiesPerSecond caps how many attempts that ask language models begin in a second, over all workers
	// together. An attempt is a page of up to 64 memories. Default 0: no cap.
	LLMActivitiesPerSecond float64 `yaml:"llm_activities_per_second"`
	// WorkflowSlots is how many workflow tasks a worker has in hand. Default 1,000, Temporal's.
	WorkflowSlots int `yaml:"workflow_slots"`
	// WorkflowPollers is how many calls of a worker wait for workflow tasks; at least 2. Default 2, Temporal's.
	WorkflowPollers int `yaml:"workflow_pollers"`
	// ActivityPollers is how many calls of a worker wait for activities, on each of its queues. Default 2, Temporal's.
	ActivityPollers int `yaml:"activity_pollers"`
	// Versioning says which deployment a worker belongs to. Default: none.
	Versioning Versioning `yaml:"versioning"`
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

// Work is what a worker takes. See [Config].
type Work string

// The kinds of work.
const (
	WorkAll   Work = "all"
	WorkLLM   Work = "llm"
	WorkStore Work = "store"
)

// Takes reports whether a worker with this setting takes that kind of work.
func (w Work) Takes(kind Work) bool { return w == "" || w == WorkAll || w == kind }

// Versioning makes workers a version of a Temporal worker deployment: runs begin on the version that is the current one,
// and Temporal knows which versions still have runs. It needs a Temporal server 1.28 or newer.
type Versioning struct {
	// Deployment is its name. Default "": workers have no version.
	Deployment string `yaml:"deployment"`
	// BuildID names the version. Required with a deployment: two builds under one id could not be told apart.
	BuildID string `yaml:"build_id"`
	// Behavior is what becomes of a run whose version is no longer the current one: "auto-upgrade" moves it to the
	// current one, "pinned" keeps it, and that version's workers must stay until it is over. A batch that continues as a
	// new run stays pinned too. Default "auto-upgrade".
	Behavior string `yaml:"behavior"`
}

// The behaviours of [Versioning].
const (
	AutoUpgrade = "auto-upgrade"
	Pinned      = "pinned"
)

// Validate says what cannot be meant. It looks at what is set only: defaults need no check.
func (c Config) Validate() error {
	v := c.Versioning
	switch {
	case c.Work != "" && c.Work != WorkAll && c.Work != WorkLLM && c.Work != WorkStore:
		return fmt.Errorf("batch.work is %q; it must be all, llm or store", c.Work)
	case v.Behavior != "" && v.Behavior != AutoUpgrade && v.Behavior != Pinned:
		return fmt.Errorf("batch.versioning.behavior is %q; it must be auto-upgrade or pinned", v.Behavior)
	case v.Deployment != "" && v.BuildID == "":
		return errors.New("batch.versioning.build_id must be set where batch.versioning.deployment is: the tag of the image serves well")
	case v.Deployment == "" && v.BuildID != "":
		return errors.New("batch.versioning.deployment must be set where batch.versioning.build_id is")
	case c.WorkflowPollers == 1:
		return errors.New("batch.workflow_pollers must be at least 2: one waits for runs that are at home in the worker, one for others")
	case c.LLMActivitiesPerSecond < 0:
		return errors.New("batch.llm_activities_per_second must not be negative")
	}
	if d := c.WithDefaults(); d.TaskQueue == d.LLMTaskQueue {
		return errors.New("batch.task_queue and batch.llm_task_queue must differ: each is for work of its own")
	}
	return nil
}

// WithDefaults fills what is not set.
func (c Config) WithDefaults() Config {
	c.TaskQueue = cmp.Or(c.TaskQueue, "switchyard")
	c.Policy = c.Policy.withDefaults()
	c.MaxHold = cmp.Or(c.MaxHold, 15*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 10*time.Second)
	c.Work = cmp.Or(c.Work, WorkAll)
	c.Activities = cmp.Or(c.Activities, 16)
	c.LLMActivities = cmp.Or(c.LLMActivities, 16)
	c.Versioning.Behavior = cmp.Or(c.Versioning.Behavior, AutoUpgrade)
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
