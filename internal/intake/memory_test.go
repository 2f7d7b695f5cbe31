package intake_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// started is what a rig's durable track was asked to start, after everything has come to rest.
func started(r rig) []string {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	synctest.Wait()
	cancel()
	_ = <-done
	var ids []string
	for len(r.durable.memories) > 0 {
		ids = append(ids, (<-r.durable.memories).ID)
	}
	return ids
}

func TestMemory(t *testing.T) {
	t.Parallel()
	input := memory.Input{Content: "a", ExternalID: "x", Metadata: memory.Metadata{"k": "v"}}
	for name, tc := range map[string]struct {
		change    func(*rig, *memory.Input)
		track     memory.Track
		submitted bool
		started   bool
		released  bool
	}{
		"RealtimeWhileThereIsRoom": {func(*rig, *memory.Input) {}, memory.TrackRealtime, true, false, false},
		"DurableWhenAsked":         {func(_ *rig, in *memory.Input) { in.Track = memory.TrackDurable }, memory.TrackDurable, false, true, false},
		"DurableWhenThereIsNone":   {func(r *rig, _ *memory.Input) { r.realtime.load.Draining = true }, memory.TrackDurable, false, true, false},
		"DurableAfterAll":          {func(r *rig, _ *memory.Input) { r.realtime.full = true }, memory.TrackDurable, false, true, true},
		"ReleaseFailsRecoveryTakesIt": {func(r *rig, _ *memory.Input) { r.realtime.full, r.runs.err = true, errors.New("away") },
			memory.TrackRealtime, false, true, true},
		"AResumedOneRuns":       {func(r *rig, _ *memory.Input) { r.memories.kind = store.Resumed }, memory.TrackRealtime, true, false, false},
		"AnUnchangedOneDoesNot": {func(r *rig, _ *memory.Input) { r.memories.kind = store.Unchanged }, memory.TrackRealtime, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, in := newRig(intake.Config{}), input
				tc.change(&r, &in)
				put, err := r.Memory(t.Context(), "w", in, "mem_1")
				if err != nil {
					t.Fatal(err)
				}
				if put.Memory.Track != tc.track || put.Memory.Reason == "" {
					t.Errorf("track %q for %q", put.Memory.Track, put.Memory.Reason)
				}
				if got := len(r.realtime.submitted) == 1; got != tc.submitted {
					t.Errorf("submitted: %v", got)
				}
				if got := len(started(r)) == 1; got != tc.started {
					t.Errorf("started: %v", got)
				}
				if got := len(r.runs.released) == 1; got != tc.released || got && r.runs.released[0].Fence != 7 {
					t.Errorf("released %+v", r.runs.released)
				}
				checkLease(t, r.memories.got[0])
			})
		})
	}
}

// checkLease holds an intake to the lease of its track.
func checkLease(t *testing.T, in store.Intake) {
	t.Helper()
	if realtime := in.Memory.Track == memory.TrackRealtime; realtime != (in.Lease.Owner != "") || realtime != in.Lease.Until.After(time.Now()) {
		t.Errorf("a %s memory under the lease %+v", in.Memory.Track, in.Lease)
	}
}

func TestMemoryIsStoredThoughTheCallerLeft(t *testing.T) {
	t.Parallel()
	r := newRig(intake.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	put, err := r.Memory(ctx, "w", memory.Input{Content: "a"}, "")
	if err != nil || len(r.realtime.submitted) != 1 || put.Memory.ID == "" {
		t.Errorf("got %+v, %v; submitted %d", put, err, len(r.realtime.submitted))
	}
}

// TestARequestThatWasNotAnsweredIsNotCarriedOutAgain sends a request again, under its id, whose memory has ended without
// success since: it is not run, or told of, a second time.
func TestARequestThatWasNotAnsweredIsNotCarriedOutAgain(t *testing.T) {
	t.Parallel()
	for _, status := range []memory.Status{memory.StatusQueued, memory.StatusProcessing, memory.StatusCompleted, memory.StatusDegraded, memory.StatusFailed} {
		r := newRig(intake.Config{})
		r.memories.kind = store.Resumed
		r.memories.made = []memory.Memory{{ID: "mem_1", Status: status, Version: 1, Content: "a"}}
		put, err := r.Memory(t.Context(), "w", memory.Input{Content: "a"}, "mem_1")
		if err != nil || put.Kind != store.Unchanged || put.Memory.Status != status || len(r.memories.got) != 0 || len(r.realtime.submitted) != 0 {
			t.Errorf("%s: %+v, %v; %d put, %d submitted", status, put, err, len(r.memories.got), len(r.realtime.submitted))
		}
	}
}

func TestMemoryRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		input memory.Input
		code  memory.Code
		at    string
	}{
		"NoContent":    {memory.Input{}, memory.CodeInvalid, "/content"},
		"ForbiddenURL": {memory.Input{Content: "a", WebhookURL: "http://10.0.0.1/"}, memory.CodeForbiddenURL, "/webhook_url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(intake.Config{})
			_, err := r.Memory(t.Context(), "w", tc.input, "")
			var e *memory.Error
			if !errors.As(err, &e) || e.Code != tc.code || e.Pointer != tc.at || len(r.memories.got) != 0 {
				t.Errorf("got %v, stored %d", err, len(r.memories.got))
			}
		})
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	failed := memory.Memory{ID: "mem_1", Workspace: "w", Version: 3, Status: memory.StatusFailed, Content: "a", ExternalID: "x", BatchID: "bat_1", Priority: memory.PriorityBulk}
	t.Run("KeepsWhatWasSent", func(t *testing.T) {
		t.Parallel()
		r := newRig(intake.Config{})
		r.memories.kind = store.Resumed
		if _, err := r.Retry(t.Context(), failed); err != nil {
			t.Fatal(err)
		}
		got := r.memories.got[0]
		m := got.Memory
		if got.IfVersion != 3 || m.ID != "mem_1" || m.Content != "a" || m.ExternalID != "x" || m.BatchID != "" || m.Status != memory.StatusQueued {
			t.Errorf("put %+v", got)
		}
		if diff := cmp.Diff([]memory.Priority{memory.PriorityBulk}, r.realtime.urgency); diff != "" {
			t.Error(diff)
		}
	})
	for _, s := range []memory.Status{memory.StatusCompleted, memory.StatusQueued, memory.StatusProcessing} {
		t.Run("NotOf"+string(s), func(t *testing.T) {
			t.Parallel()
			m := failed
			m.Status = s
			if _, err := newRig(intake.Config{}).Retry(t.Context(), m); memory.CodeOf(err) != memory.CodeConflict {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	m := memory.Memory{ID: "mem_1", Workspace: "w", Version: 1, Status: memory.StatusCompleted, Content: "a", Metadata: memory.Metadata{"k": "v"}}
	text, meta := "b", memory.Metadata{"k": "w"}
	t.Run("LeavesTheRest", func(t *testing.T) {
		t.Parallel()
		r := newRig(intake.Config{})
		r.memories.kind = store.Updated
		for _, c := range []intake.Change{{Content: &text}, {Metadata: &meta}} {
			if _, err := r.Change(t.Context(), m, c); err != nil {
				t.Fatal(err)
			}
		}
		first, second := r.memories.got[0].Memory, r.memories.got[1].Memory
		if first.Content != "b" || first.Metadata["k"] != "v" || second.Content != "a" || second.Metadata["k"] != "w" {
			t.Errorf("put %+v and %+v", first, second)
		}
	})
	t.Run("IsAConflictWhereItWasChangedMeanwhile", func(t *testing.T) {
		t.Parallel()
		r := newRig(intake.Config{})
		r.memories.kind = store.Stale
		if _, err := r.Change(t.Context(), m, intake.Change{Content: &text}); memory.CodeOf(err) != memory.CodeConflict {
			t.Errorf("got %v", err)
		}
	})
	t.Run("IsCheckedLikeANewOne", func(t *testing.T) {
		t.Parallel()
		empty := ""
		if _, err := newRig(intake.Config{}).Change(t.Context(), m, intake.Change{Content: &empty}); memory.CodeOf(err) != memory.CodeInvalid {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnAbsentDurableEngineDelaysNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(intake.Config{StartQueue: 2})
		r.durable.err = memory.Errorf(memory.CodeUnavailable, "away")
		for range 5 { // nothing takes starts out of the queue of two
			if _, err := r.Memory(t.Context(), "w", memory.Input{Content: "a", Track: memory.TrackDurable}, ""); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(started(r)); got != 2 {
			t.Errorf("%d starts were tried", got)
		}
	})
}

func TestAbandonedUploadsAreSwept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(intake.Config{UploadRetention: time.Hour})
		r.batches.swept = make(chan time.Time)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		if before := <-r.batches.swept; time.Since(before) != time.Hour {
			t.Errorf("swept what is older than %s", time.Since(before))
		}
		cancel()
		_ = <-done
	})
}
