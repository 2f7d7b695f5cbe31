//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func commandOf(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, binary, args...)
}

// TestSplitProcesses is the story of a company that runs several of each: what comes in at one process is read, watched,
// searched and deleted through another. Watching goes by events alone: polling is as good as turned off.
func TestSplitProcesses(t *testing.T) {
	c := newCluster(t, "api: {poll_interval: 10m}\n")
	ctx, a, b := c.ctx, c.a.Client(), c.b.Client()

	t.Run("ReadyWithEveryServer", func(t *testing.T) {
		for _, p := range []*Process{c.a, c.b, c.workers["store"], c.workers["llm"]} {
			status, checks := ready(t, p)
			for _, name := range []string{"mongo", "qdrant", "neo4j", "redis", "temporal"} {
				if checks[name] != "ok" {
					t.Errorf("%s: %s is %q", p.Do, name, checks[name])
				}
			}
			if status != "ready" {
				t.Errorf("%s: %s", p.Do, status)
			}
		}
	})

	t.Run("ReadSearchedAndDeletedThroughAnother", func(t *testing.T) {
		m := add(ctx, t, a, memory.Input{Content: "Dorothy lived in Kansas with Aunt Em and her dog Toto."})
		got := finished(ctx, t, b, m.ID)
		if got.Status != memory.StatusCompleted || got.Track != memory.TrackRealtime {
			t.Errorf("it ended %s on %s (%s)", got.Status, got.Track, got.Reason)
		}
		res, err := b.Search(ctx, client.SearchQuery{Query: "Where did the girl live?", Limit: 3})
		must(t, err)
		if len(res.Items) == 0 || res.Items[0].Memory.ID != m.ID {
			t.Errorf("found %v", res.Items)
		}
		around, err := Neighbours(ctx, b, "Dorothy")
		must(t, err)
		if !around["Toto"] {
			t.Errorf("Toto is not among the neighbours of Dorothy: %v", around)
		}
		_, err = b.DeleteMemory(ctx, m.ID)
		must(t, err)
		if _, err := a.GetMemory(ctx, m.ID); memory.CodeOf(err) != memory.CodeNotFound && !notFound(err) {
			t.Errorf("read where it came in after it was deleted through the other: %v", err)
		}
		poll(ctx, t, "the end of the deletion", func() (bool, error) {
			res, err := a.Search(ctx, client.SearchQuery{Query: "Where did the girl live?", Limit: 3})
			if err != nil {
				return false, err
			}
			around, err := Neighbours(ctx, a, "Dorothy")
			return len(res.Items) == 0 && len(around) == 0, err
		})
	})

	t.Run("WatchedThroughAnother", func(t *testing.T) {
		for _, track := range []memory.Track{memory.TrackRealtime, memory.TrackDurable} {
			work := c.hold()
			m := add(ctx, t, a, memory.Input{Content: fmt.Sprintf("The Scarecrow wanted brains, on the track %s.", track), Track: track})
			first, rest := watching(ctx, t, c.b, m.ID)
			work()
			last := cmp.Or(rest(), first)
			if track == memory.TrackDurable && last == first {
				t.Error("it was over before it was watched")
			}
			if !strings.Contains(last, `"status":"completed"`) {
				t.Errorf("%s: the last event is %s", track, last)
			}
			if got := finished(ctx, t, a, m.ID); got.Track != track {
				t.Errorf("ran on %s, want %s", got.Track, track)
			}
		}
	})

	t.Run("ABatchThatWorkersDoAndTheOtherWatches", func(t *testing.T) {
		r := NewReceiver()
		defer r.Close()
		texts := make([]string, 150)
		for i := range texts {
			texts[i] = fmt.Sprintf("The Tin Woodman oiled joint number %d in the forest of Oz.", i)
		}
		batch, err := a.UploadBatch(ctx, bytes.NewReader(Lines("split", texts)), client.BatchOptions{Name: "split", WebhookURL: r.URL})
		must(t, err)
		batch, err = b.WaitForBatch(ctx, batch.ID, nil)
		must(t, err)
		if batch.Counts.Completed != len(texts) {
			t.Errorf("ended %s with %+v", batch.Status, batch.Counts)
		}
		hook, err := final(ctx, r, batch.ID)
		must(t, err)
		secret, err := b.WebhookSecret(ctx)
		must(t, err)
		must(t, hook.Verify(secret))
	})

	t.Run("OneKeyOneWorkspaceOneExternalID", func(t *testing.T) {
		k, err := a.CreateKey(ctx, "other", []client.Scope{client.ScopeRead})
		must(t, err)
		other, err := client.New(c.b.URL(), k.Key, client.Config{})
		must(t, err)
		_, err = other.Workspace(ctx)
		must(t, err)
		must(t, b.RevokeKey(ctx, k.ID))
		poll(ctx, t, "the end of the key", func() (bool, error) { _, err := other.Workspace(ctx); return err != nil, nil })

		in := memory.Input{Content: "Glinda knew the way home all along.", ExternalID: "glinda"}
		ids := make([]string, 16)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				m, err := []*client.Client{a, b}[i%2].AddMemory(ctx, in)
				if err != nil {
					t.Error(err)
				}
				ids[i] = m.ID
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("one external id became memories %s and %s", ids[0], id)
			}
		}
	})

	t.Run("DoctorSaysWhatIsWellAndWhatIsNot", func(t *testing.T) {
		out, err := c.run("doctor", "--json")
		if err != nil {
			t.Errorf("where all is well: %v\n%s", err, out)
		}
		c.proxies["SWITCHYARD_NEO4J_URI"].Cut()
		out, err = c.run("doctor")
		c.proxies["SWITCHYARD_NEO4J_URI"].Mend("")
		if err == nil || !strings.Contains(out, "wrong  neo4j, connection") || !strings.Contains(out, "is it running, at") {
			t.Errorf("with Neo4j away: %v\n%s", err, out)
		}
	})

	// The memory is in the hands of the process that dies: with Neo4j silent it cannot end, and the workers stand still.
	t.Run("AProcessWithAnotherWebhookKeyIsRefused", func(t *testing.T) {
		another := "SWITCHYARD_WEBHOOK_KEY=" + strings.Repeat("ab", 32)
		for env, says := range map[string]string{another: "sealed with another key", "SWITCHYARD_WEBHOOK_KEY=": "SWITCHYARD_WEBHOOK_KEY must be set"} {
			for _, what := range []string{"serve", "worker"} {
				p := c.process(what, env)
				_ = p.Launch(ctx) // it may be over before it can be asked anything
				select {
				case <-p.Done():
				case <-time.After(time.Minute):
					t.Fatalf("%s with %s goes on", what, env)
				}
				if !strings.Contains(p.LogTail(), says) {
					t.Errorf("%s with %s says:\n%s", what, env, p.LogTail())
				}
			}
		}
		right := c.env
		defer func() { c.env = right }()
		c.env = append(slices.Clone(right), another)
		for command, says := range map[string]string{"doctor": "wrong  webhooks, key", "migrate": "sealed with another key"} {
			if out, err := c.run(command); err == nil || !strings.Contains(out, says) {
				t.Errorf("%s: %v\n%s", command, err, out)
			}
		}
	})

	t.Run("AProcessThatDiesIsTakenOverByAWorker", func(t *testing.T) {
		work := c.hold()
		c.proxies["SWITCHYARD_NEO4J_URI"].Freeze()
		m := add(ctx, t, b, memory.Input{Content: "The Lion found his courage.", Track: memory.TrackRealtime})
		poll(ctx, t, "the last step", func() (bool, error) {
			got, err := a.GetMemory(ctx, m.ID)
			r, _ := got.Receipt(memory.StepIndex)
			return r.Status == memory.StepCompleted && got.Status == memory.StatusProcessing && got.Track == memory.TrackRealtime, err
		})
		must(t, c.b.Kill())
		c.proxies["SWITCHYARD_NEO4J_URI"].Mend("")
		work()
		got := finished(ctx, t, a, m.ID)
		if got.Status != memory.StatusCompleted || got.Track != memory.TrackDurable || got.Reason != "the process that ran it in realtime died" {
			t.Errorf("it ended %s on %s (%s)", got.Status, got.Track, got.Reason)
		}
		for _, r := range got.Steps {
			if r.Name != memory.StepRelationships && r.Attempts != 1 {
				t.Errorf("%s, which was done, was tried %d times", r.Name, r.Attempts)
			}
		}
		again(t, c.b)
	})
	c.erase()
}

func notFound(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.Code == memory.CodeNotFound
}

func add(ctx context.Context, t *testing.T, c *client.Client, in memory.Input) memory.Memory {
	t.Helper()
	m, err := c.AddMemory(ctx, in)
	must(t, err)
	return m
}

// watching begins to follow the events of a memory: it returns with the data of the first one. rest follows them to their
// end and returns the last one's data, "" where there was none but the first, or in words that they broke off.
func watching(ctx context.Context, t *testing.T, p *Process, id string) (first string, rest func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL()+"/v1/memories/"+id+"/events", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+clusterKey)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	lines := bufio.NewScanner(res.Body)
	next := func() (string, bool) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data, true
			}
		}
		return "", false
	}
	first, _ = next()
	return first, func() (last string) {
		for data, ok := next(); ok; data, ok = next() {
			last = data
		}
		if err := lines.Err(); err != nil {
			return fmt.Sprintf("nothing: the events broke off (%v) after %q", err, last)
		}
		return last
	}
}
