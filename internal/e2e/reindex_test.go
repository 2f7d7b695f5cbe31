//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestReindexLive moves a production set-up to another embedding model while memories flow and are searched for: reindex is
// killed in the middle, goes on where it was, the processes are started anew one after the other, and what the model before
// had is dropped. No search fails or misses, nothing accepted is lost, and in the end all of it is found by the new vectors.
func TestReindexLive(t *testing.T) {
	c := newCluster(t, "")
	texts := make([]string, 150)
	for i := range texts {
		texts[i] = fmt.Sprintf("The Tin Woodman oiled joint number %d in the forest of Oz.", i)
	}
	b, err := c.a.Client().UploadBatch(c.ctx, bytes.NewReader(Lines("old", texts)), client.BatchOptions{})
	must(t, err)
	b, err = c.a.Client().WaitForBatch(c.ctx, b.ID, nil)
	must(t, err)
	if b.Counts.Completed != len(texts) {
		t.Fatalf("the batch ended with %+v", b.Counts)
	}

	model := newModel(t)
	f := flowIn(c, "the model before", 2*time.Second)
	t.Cleanup(f.cancel)
	look := lookOut(t, c)

	killed := commandOf(c.ctx, "reindex", "--config", c.config)
	killed.Env = append(c.environment(), model.env...)
	must(t, killed.Start())
	select {
	case <-model.half:
	case <-c.ctx.Done():
		t.Fatal("reindex did not come to its second page")
	}
	must(t, killed.Process.Kill())
	_ = killed.Wait() // says that it was killed
	f.until(t, 3)
	close(model.open)
	moved := c.reindex(t, model.env)
	if moved.To.ID != "new" || moved.From.ID == "" || moved.Moved == 0 || moved.Moved > len(texts)+len(f.ids())-64 {
		t.Errorf("after the kill reindex says %+v; there are %d memories, of which it had moved 64", moved, len(texts)+len(f.ids()))
	}
	f.until(t, 3) // the processes have the model before, whose vectors are not in force any more

	for _, p := range []*Process{c.workers["store"], c.workers["llm"], c.b, c.a} {
		if p == c.a {
			look.through.Store(c.b)
		}
		must(t, p.Stop())
		p.Env = append(p.Env, model.env...)
		again(t, p)
	}
	f.until(t, 3)
	accepted := f.stop()
	for _, id := range accepted {
		if m := finished(c.ctx, t, c.a.Client(), id); m.Status != memory.StatusCompleted {
			t.Errorf("%s, which was accepted, ended %s: %+v", id, m.Status, m.Error)
		}
	}
	if done := c.reindex(t, model.env, "--finish"); !done.Dropped {
		t.Errorf("the end says %+v", done)
	}
	t.Logf("%d searches while it moved; %d memories came in", look.stop(), len(accepted))
	for m, err := range c.a.Client().ListMemories(c.ctx, client.MemoryQuery{}) {
		must(t, err)
		res, err := c.b.Client().Search(c.ctx, client.SearchQuery{Query: m.Content, Mode: "vector", Limit: 5})
		must(t, err)
		if FoundAt(res.Items, strings.ToLower(m.Content)) == 0 {
			t.Errorf("%q is not found by its vector", m.Content)
		}
	}
	c.erase()
}

// newerModel is an embedding model on a server. Its third call is the second page of reindex, and waits until it is opened.
type newerModel struct {
	env        []string
	half, open chan struct{}
}

func newModel(t *testing.T) *newerModel {
	t.Helper()
	m := &newerModel{half: make(chan struct{}), open: make(chan struct{})}
	half := sync.OnceFunc(func() { close(m.half) })
	s, err := llmtest.NewServer(llmtest.Config{Script: func(c llmtest.Call) llmtest.Behaviour {
		if c.Method != "Embed" || c.MethodN < 3 {
			return nil
		}
		half()
		return llmtest.When(m.open)
	}})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	m.env = []string{"SWITCHYARD_EMBEDDING_BASE_URL=" + s.URL() + "/v1", "SWITCHYARD_EMBEDDING_API_KEY=test", "SWITCHYARD_EMBEDDING_MODEL=new"}
	return m
}

// reindexed is what reindex --json says.
type reindexed struct {
	From, To struct{ ID string }
	Moved    int
	Dropped  bool
}

func (c *cluster) reindex(t *testing.T, env []string, args ...string) (r reindexed) {
	t.Helper()
	out, err := c.runWith(env, append([]string{"reindex", "--json"}, args...)...)
	at := strings.LastIndex(strings.TrimSpace(out), "\n") + 1 // what it logs comes before
	if err != nil || json.Unmarshal([]byte(out[at:]), &r) != nil {
		t.Fatalf("reindex %v: %v\n%s", args, err, out)
	}
	return r
}

// once is a client of a cluster's process that asks once and no more.
func once(p *Process) *client.Client {
	c, err := client.New(p.URL(), clusterKey, client.Config{Retries: -1})
	if err != nil {
		panic(err) // the URL is ours
	}
	return c
}

// lookout searches for what was there from the beginning, all the time, in each mode.
type lookout struct {
	through atomic.Pointer[Process]
	stop    func() int // returns how many searches there were
}

func lookOut(t *testing.T, c *cluster) *lookout {
	t.Helper()
	l := &lookout{}
	l.through.Store(c.a)
	end, done, n := make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(done)
		for ; ; n++ {
			select {
			case <-end:
				return
			case <-time.After(20 * time.Millisecond): // not to take the machine from what it looks at
			}
			mode := []client.Mode{"hybrid", "vector", "lexical"}[n%3]
			p := l.through.Load()
			res, err := once(p).Search(c.ctx, client.SearchQuery{Query: "The Tin Woodman oiled joint number 7 in the forest of Oz.", Mode: mode, Limit: 10})
			found := err == nil && FoundAt(res.Items, "joint number 7 ") > 0
			if !found && p == l.through.Load() && c.ctx.Err() == nil { // else the process stops, on purpose
				t.Errorf("search %d, %s: %d found, %v", n, mode, len(res.Items), err)
			}
		}
	}()
	l.stop = sync.OnceValue(func() int { close(end); <-done; return n })
	t.Cleanup(func() { l.stop() })
	return l
}
