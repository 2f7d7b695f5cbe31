package sqlitestore

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

const writerEnv = "SWITCHYARD_TEST_WRITE_UNTIL_KILLED"

// TestKill9 starts this binary again as a process that writes from many goroutines and says what was acknowledged, kills
// it in the middle, and looks for every acknowledged write in what it left.
func TestKill9(t *testing.T) {
	if path := os.Getenv(writerEnv); path != "" {
		writeUntilKilled(t, path)
		return
	}
	t.Parallel()
	for _, after := range []int{1, 100, 1500} {
		t.Run(fmt.Sprint("After", after, "Writes"), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "store.db")
			acknowledged := killAfter(t, path, after, func() {})
			s := openAt(t, path)
			var check string
			if err := s.queryRow(t.Context(), "PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
				t.Errorf("integrity: %s, %v", check, err)
			}
			events, err := s.Outbox().Owed(t.Context(), 1_000_000)
			if err != nil {
				t.Fatal(err)
			}
			owed := map[string]bool{}
			for _, e := range events {
				owed[e.ID] = true
			}
			for _, memoryID := range acknowledged {
				ms, err := s.Memories().Get(t.Context(), "w", memoryID)
				if err != nil || len(ms) != 1 || ms[0].Status != memory.StatusCompleted || len(ms[0].UseCases) != 1 || !owed["evt_"+memoryID] {
					t.Fatalf("lost of %s: %+v, event owed: %v, %v", memoryID, ms, owed["evt_"+memoryID], err)
				}
			}
			counts, err := s.Memories().Count(t.Context(), "w")
			if err != nil || counts[memory.StatusCompleted] != len(events) || len(events) < len(acknowledged) {
				t.Errorf("%v memories, %d events, %d acknowledged, %v", counts, len(events), len(acknowledged), err)
			}
		})
	}
}

// TestTwoProcesses writes to a file to which another process writes without a pause.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	mine := 0
	theirs := killAfter(t, path, 50, func() {
		s, err := Open(t.Context(), path, Config{})
		if err != nil {
			t.Error(err)
			return
		}
		for range 20 {
			if _, err := s.Memories().Put(t.Context(), []store.Intake{intakeFor("mine", "x")}); err != nil {
				t.Error(err)
			}
			mine++
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	s := openAt(t, path)
	for workspace, want := range map[string]int{"mine": mine, "w": len(theirs)} {
		counts, err := s.Memories().Count(t.Context(), workspace)
		got := 0
		for _, n := range counts {
			got += n
		}
		if err != nil || got < want {
			t.Errorf("%d memories of %s, want %d, %v", got, workspace, want, err)
		}
	}
}

// killAfter starts a process that writes, and kills it once it has written n memories and meanwhile has returned. It
// returns the ids of those that the process had said were written.
func killAfter(t *testing.T, path string, n int, meanwhile func()) (acknowledged []string) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill9$")
	cmd.Env = append(os.Environ(), writerEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line, whole := strings.CutSuffix(lines.Text(), ".")
		if !whole || !strings.HasPrefix(line, id.Memory) {
			if len(acknowledged) == 0 {
				t.Errorf("the process said %q", lines.Text())
			}
			continue // the line that the kill cut
		}
		if acknowledged = append(acknowledged, line); len(acknowledged) == n {
			meanwhile()
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Errorf("the process was not killed: %v", err)
	}
	if len(acknowledged) < n {
		t.Errorf("%d writes, want %d", len(acknowledged), n)
	}
	return acknowledged
}

func writeUntilKilled(t *testing.T, path string) {
	s, err := Open(context.Background(), path, Config{CheckpointPages: 100})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				memoryID, err := wholeLife(s)
				if err != nil {
					fmt.Println("failed:", err)
					return
				}
				mu.Lock()
				fmt.Println(memoryID + ".")
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// wholeLife takes a memory in and to its end.
func wholeLife(s *Store) (string, error) {
	ctx, in := context.Background(), intakeFor("w", strings.Repeat("content ", 100))
	ps, err := s.Memories().Put(ctx, []store.Intake{in})
	if err != nil {
		return "", err
	}
	ref := ps[0].Memory.Ref()
	ds, err := s.Runs().Claim(ctx, store.Claim{Refs: []memory.Ref{ref}, Owner: "p", Track: memory.TrackRealtime, Until: store.Forever})
	if err != nil || len(ds) != 1 {
		return "", fmt.Errorf("%d claimed, %w", len(ds), err)
	}
	receipt := memory.Receipt{Name: memory.StepUseCases, Status: memory.StepCompleted}
	if _, err := s.Runs().Checkpoint(ctx, []store.Checkpoint{{Ref: ref, Fence: ds[0].Fence, Receipt: receipt, Output: &memory.Output{UseCases: []string{"a use"}}}}); err != nil {
		return "", err
	}
	e := &memory.Event{ID: "evt_" + ref.ID, Time: memory.Now(), Data: []byte("{}")}
	oks, err := s.Runs().Finish(ctx, []store.Finish{{Ref: ref, Fence: ds[0].Fence, Status: memory.StatusCompleted, Event: e}})
	if err != nil || !oks[0] {
		return "", fmt.Errorf("not finished: %w", err)
	}
	return ref.ID, nil
}

func intakeFor(workspace, content string) store.Intake {
	return store.Intake{Memory: memory.Memory{
		ID: id.New(id.Memory), Workspace: workspace, Content: content, Track: memory.TrackRealtime, Reason: "single memory, capacity free",
		Priority: memory.PriorityInteractive, Metadata: memory.Metadata{"topic": "travel", "year": 2020.0}, CreatedAt: memory.Now(),
	}}
}
