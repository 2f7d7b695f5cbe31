//go:build failpoints

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// stories are what users do. Together they pass every boundary; each round of them has contents of its own.
var stories = map[string]func(ctx context.Context, w *world, round string) error{
	"single": single, "durable": durable, "retried": retried, "deleted": deleted, "overtaken": overtaken, "batched": batched, "cancelled": cancelled,
	"endpoints": endpoints, "access": access, "waited": waited, "fallen": fallen,
}

// tell runs all stories side by side, or only those that are named.
func (w *world) tell(ctx context.Context, round int, only ...string) {
	var g errgroup.Group
	for name, story := range stories {
		if len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		g.Go(func() error {
			if err := story(ctx, w, fmt.Sprintf("%s-%d", w.name, round)); err != nil {
				w.breachf("story", "%s: %v", name, err)
			}
			return nil
		})
	}
	_ = g.Wait()
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings only
	}
	return string(b)
}

// post hands a memory in and expects it to be finished.
func (w *world) post(ctx context.Context, key, content string, more map[string]any, header ...string) (string, error) {
	body := map[string]any{"content": content}
	maps.Copy(body, more)
	r, err := w.wants(ctx, []int{http.StatusAccepted, http.StatusOK}, http.MethodPost, "/v1/memories", key, encoded(body), header...)
	if err != nil {
		return "", err
	}
	w.expect(expected{id: r.field("id"), content: content, version: 1, told: body["webhook_url"] != nil})
	return r.field("id"), nil
}

func single(ctx context.Context, w *world, round string) error {
	content := "Dorothy lived in Kansas, says single " + round
	id, err := w.post(ctx, "single-"+round, content, map[string]any{"webhook_url": w.hooks.URL})
	if err != nil {
		return err
	}
	again, err := w.post(ctx, "single-"+round, content, map[string]any{"webhook_url": w.hooks.URL})
	if err == nil && again != id {
		w.breachf("twice", "one Idempotency-Key made %s and %s", id, again)
	}
	if err != nil {
		return err
	}
	_, err = w.final(ctx, "/v1/memories/"+id)
	return err
}

func durable(ctx context.Context, w *world, round string) error {
	id, err := w.post(ctx, "durable-"+round, "Toto is a dog, says durable "+round, map[string]any{"track": "durable", "external_id": "d-" + round})
	if err != nil {
		return err
	}
	if _, err = w.final(ctx, "/v1/memories/"+id); err != nil {
		return err
	}
	content := "Toto was a little black dog, says durable " + round
	if _, err = w.wants(ctx, []int{http.StatusAccepted, http.StatusOK}, http.MethodPatch, "/v1/memories/"+id, "", encoded(map[string]any{"content": content})); err != nil {
		return err
	}
	w.expect(expected{id: id, content: content, version: 2})
	_, err = w.final(ctx, "/v1/memories/"+id)
	return err
}

func retried(ctx context.Context, w *world, round string) error {
	content := "The Lion is a coward, says retried " + round
	w.refuse(content, true)
	id, err := w.post(ctx, "retried-"+round, content, nil)
	if err != nil {
		return err
	}
	if _, err = w.final(ctx, "/v1/memories/"+id); err != nil {
		return err
	}
	w.refuse(content, false)
	if _, err = w.wants(ctx, []int{http.StatusAccepted, http.StatusOK, http.StatusConflict}, http.MethodPost, "/v1/memories/"+id+"/retry", "", ""); err != nil {
		return err
	}
	_, err = w.final(ctx, "/v1/memories/"+id)
	return err
}

// erase deletes a memory; where the answer was lost it is gone the next time.
func (w *world) erase(ctx context.Context, id string) error {
	if _, err := w.wants(ctx, []int{http.StatusAccepted, http.StatusNotFound}, http.MethodDelete, "/v1/memories/"+id, "", ""); err != nil {
		return err
	}
	w.expect(expected{id: id, gone: true})
	r, err := w.ask(ctx, http.MethodGet, "/v1/memories/"+id, "", "")
	if err == nil && r.status != http.StatusNotFound {
		w.breachf("resurrected", "%s was erased and is there: %s", id, r.body)
	}
	return err
}

// overtaken is a memory that is erased while it is run: the model has been asked about it, and answers when it is gone.
func overtaken(ctx context.Context, w *world, round string) error {
	content := "The held Scarecrow, says overtaken " + round
	release := w.hold(content)
	defer release()
	inFlight, err := w.post(ctx, "in-flight-"+round, content, nil)
	if err != nil {
		return err
	}
	w.askedAbout(ctx, content)
	return w.erase(ctx, inFlight)
}

// askedAbout waits until the model was asked for use cases of the content; not for ever, since a fault may be in the way.
func (w *world) askedAbout(ctx context.Context, content string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	asked := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.ContainsFunc(w.calls, func(c call) bool { return c.method == "UseCases" && c.text == content })
	}
	for !asked() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func deleted(ctx context.Context, w *world, round string) error {
	done, err := w.post(ctx, "done-"+round, "The Tin Woodman, says deleted "+round, nil)
	if err != nil {
		return err
	}
	if _, err = w.final(ctx, "/v1/memories/"+done); err != nil {
		return err
	}
	return w.erase(ctx, done)
}

// lines makes an upload: a page of lines that are no memories, and the contents.
func lines(contents ...string) string {
	var b strings.Builder
	b.WriteString(strings.Repeat("{\"nothing\":1}\n", 64))
	for _, c := range contents {
		b.WriteString(encoded(map[string]any{"content": c}) + "\n")
	}
	return b.String()
}

type counts struct {
	Counts struct{ Total, Queued, Processing, Completed, Degraded, Failed, Cancelled, Rejected int }
}

func (w *world) upload(ctx context.Context, key, body string) (string, error) {
	r, err := w.wants(ctx, []int{http.StatusAccepted}, http.MethodPost, "/v1/batches?webhook_url="+w.hooks.URL, key, body, "Content-Type", "application/x-ndjson")
	return r.field("id"), err
}

func batched(ctx context.Context, w *world, round string) error {
	refused := "The Witch melted, says batched " + round
	w.refuse(refused, true)
	contents := []string{"The road is yellow, says batched " + round, "The city is green, says batched " + round, refused}
	id, err := w.upload(ctx, "batched-"+round, lines(contents...))
	if err != nil {
		return err
	}
	if _, err := w.final(ctx, "/v1/batches/"+id); err != nil {
		return err
	}
	w.refuse(refused, false)
	if _, err := w.wants(ctx, []int{http.StatusAccepted, http.StatusConflict}, http.MethodPost, "/v1/batches/"+id+"/retry", "", ""); err != nil {
		return err
	}
	r, err := w.final(ctx, "/v1/batches/"+id)
	if err != nil {
		return err
	}
	var c counts
	_ = json.Unmarshal(r.body, &c)
	if n := c.Counts; n.Total != 67 || n.Rejected != 64 || n.Completed != 3 {
		w.breachf("counts", "the batch ended %s", r.body)
	}
	return w.members(ctx, id, contents)
}

// members expects the memories of a batch.
func (w *world) members(ctx context.Context, batch string, contents []string) error {
	r, err := w.wants(ctx, []int{http.StatusOK}, http.MethodGet, "/v1/memories?limit=500&batch_id="+batch, "", "")
	if err != nil {
		return err
	}
	var list struct {
		Items []struct{ ID, Content string }
	}
	_ = json.Unmarshal(r.body, &list)
	if len(list.Items) != len(contents) {
		w.breachf("twice", "the batch made %d memories of %d lines", len(list.Items), len(contents))
	}
	for _, m := range list.Items {
		w.expect(expected{id: m.ID, content: m.Content, version: 1})
	}
	return nil
}

func cancelled(ctx context.Context, w *world, round string) error {
	id, err := w.upload(ctx, "cancelled-"+round, lines("A slow cyclone, says cancelled "+round, "A slow balloon, says cancelled "+round))
	if err != nil {
		return err
	}
	fine := []int{http.StatusOK, http.StatusAccepted, http.StatusConflict} // it may be over, or not begun
	for _, order := range []string{"pause", "resume"} {
		if _, err := w.wants(ctx, fine, http.MethodPost, "/v1/batches/"+id+"/"+order, "", ""); err != nil {
			return err
		}
	}
	if _, err := w.wants(ctx, fine, http.MethodPost, "/v1/batches/"+id+"/cancel?undo=true", "", ""); err != nil {
		return err
	}
	if _, err := w.final(ctx, "/v1/batches/"+id); err != nil {
		return err
	}
	// What was admitted while the order was on its way is undone by the next one.
	if _, err := w.wants(ctx, fine, http.MethodPost, "/v1/batches/"+id+"/cancel?undo=true", "", ""); err != nil {
		return err
	}
	return w.members(ctx, id, nil)
}

func endpoints(ctx context.Context, w *world, round string) error {
	r, err := w.wants(ctx, []int{http.StatusCreated, http.StatusOK}, http.MethodPost, "/v1/webhooks", "endpoint-"+round,
		encoded(map[string]any{"url": w.hooks.URL, "events": []string{"webhook.test"}}))
	if err != nil {
		return err
	}
	path := "/v1/webhooks/" + r.field("id")
	fine := []int{http.StatusOK, http.StatusAccepted, http.StatusCreated, http.StatusNoContent}
	for _, x := range [][3]string{
		{http.MethodPatch, path, `{"description":"changed"}`}, {http.MethodPost, path + "/rotate", "{}"}, {http.MethodPost, path + "/test", ""},
		{http.MethodPost, path + "/recover", `{"since":"2026-01-01T00:00:00Z"}`},
	} {
		if _, err := w.wants(ctx, fine, x[0], x[1], "", x[2]); err != nil {
			return err
		}
	}
	if err := w.redeliver(ctx, path); err != nil {
		return err
	}
	_, err = w.wants(ctx, append(fine, http.StatusNotFound), http.MethodDelete, path, "", "")
	return err
}

// redeliver sends the test event of the endpoint once more, when it was delivered.
func (w *world) redeliver(ctx context.Context, path string) error {
	for {
		r, err := w.wants(ctx, []int{http.StatusOK}, http.MethodGet, path+"/deliveries", "", "")
		if err != nil {
			return err
		}
		var list struct{ Items []struct{ ID, Status string } }
		_ = json.Unmarshal(r.body, &list)
		if len(list.Items) > 0 && list.Items[0].Status == "delivered" {
			_, err := w.wants(ctx, []int{http.StatusAccepted, http.StatusOK, http.StatusConflict}, http.MethodPost, "/v1/deliveries/"+list.Items[0].ID+"/redeliver", "", "")
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the test event was not delivered: %s: %w", r.body, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func access(ctx context.Context, w *world, round string) error {
	r, err := w.wants(ctx, []int{http.StatusCreated, http.StatusOK}, http.MethodPost, "/v1/keys", "key-"+round, `{"name":"a key","scopes":["read"]}`)
	if err != nil {
		return err
	}
	fine := []int{http.StatusOK, http.StatusAccepted, http.StatusNoContent, http.StatusCreated}
	if _, err := w.wants(ctx, append(fine, http.StatusNotFound), http.MethodDelete, "/v1/keys/"+r.field("id"), "", ""); err != nil {
		return err
	}
	if _, err := w.wants(ctx, fine, http.MethodPut, "/v1/schema", "", `{"nodes":[{"name":"Person"}],"relationships":[]}`); err != nil {
		return err
	}
	_, err = w.wants(ctx, fine, http.MethodPost, "/v1/workspace/webhook-secret/rotate", "", "{}")
	return err
}

func waited(ctx context.Context, w *world, round string) error {
	if _, err := w.wants(ctx, []int{http.StatusUnprocessableEntity}, http.MethodPost, "/v1/memories", "invalid-"+round, `{"content":""}`); err != nil {
		return err
	}
	_, err := w.post(ctx, "waited-"+round, "A very slow slow Wizard, says waited "+round, nil, "Prefer", "wait=5")
	return err
}

// fallen is a memory that the realtime track does not get done: the model fails more often than it tries.
func fallen(ctx context.Context, w *world, round string) error {
	id, err := w.post(ctx, "fallen-"+round, "A failing field of poppies, says fallen "+round, nil)
	if err != nil {
		return err
	}
	r, err := w.final(ctx, "/v1/memories/"+id)
	if err == nil && r.field("track") != "durable" {
		w.breachf("untrue", "the memory that fell off is on the track %s: %s", r.field("track"), r.field("track_reason"))
	}
	return err
}
