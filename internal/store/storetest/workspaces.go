package storetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Workspaces checks what [store.Workspaces] promises. open gives an empty store.
func Workspaces(t *testing.T, open func(testing.TB) store.Workspaces) {
	t.Helper()
	checks[store.Workspaces]{
		{"GetReturnsWhatWasSaved", workspacesGet},
		{"SaveRefusesAnyRevisionButTheStoredOne", workspacesRevision},
		{"OneOfManySavesWins", workspacesRace},
		{"ListIsOldestFirst", workspacesList},
	}.run(t, open)
}

func newTenant(created time.Duration) store.Workspace {
	return store.Workspace{
		ID: newWorkspace(), Name: "Emerald City", CreatedAt: after(created),
		Secrets: []store.Secret{{Sealed: []byte{0, 1, 255}}, {Sealed: []byte("old"), Expires: noon.Add(time.Hour)}},
		Schema:  []byte(`{"nodes":[{"type":"Wizard"}]}`),
	}
}

func workspacesGet(t *testing.T, s store.Workspaces) {
	w := newTenant(0)
	_, err := s.Get(t.Context(), w.ID)
	wantCode(t, err, memory.CodeNotFound)
	must(t, s.Save(t.Context(), w))
	w.Revision = 1
	want(t, "saved", w, get[store.Workspace](t)(s.Get(t.Context(), w.ID)))
	w.Name, w.Secrets, w.Schema = "Oz", nil, nil
	must(t, s.Save(t.Context(), w))
	w.Revision = 2
	want(t, "saved again", w, get[store.Workspace](t)(s.Get(t.Context(), w.ID)))
	if got := get[store.Workspace](t)(s.Get(t.Context(), w.ID)); got.Schema != nil {
		t.Errorf("the schema is %q, want nil: the default", got.Schema)
	}
}

func workspacesRevision(t *testing.T, s store.Workspaces) {
	w := newTenant(0)
	w.Revision = 1
	wantCode(t, s.Save(t.Context(), w), memory.CodeConflict) // nothing is stored
	w.Revision = 0
	must(t, s.Save(t.Context(), w))
	for _, wrong := range []int64{0, 2, 7} {
		w.Revision = wrong
		wantCode(t, s.Save(t.Context(), w), memory.CodeConflict)
	}
	if got := get[store.Workspace](t)(s.Get(t.Context(), w.ID)); got.Revision != 1 {
		t.Errorf("the revision is %d after refused saves, want 1", got.Revision)
	}
}

func workspacesRace(t *testing.T, s store.Workspaces) {
	w := newTenant(0)
	for revision := range int64(3) {
		w.Revision = revision
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				switch err := s.Save(t.Context(), w); memory.CodeOf(err) {
				case "":
					won.Add(1)
				case memory.CodeConflict:
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d saves of revision %d succeeded, want 1", won.Load(), revision)
		}
	}
}

func workspacesList(t *testing.T, s store.Workspaces) {
	want(t, "no workspaces", []store.Workspace{}, get[[]store.Workspace](t)(s.List(t.Context())))
	young, old := newTenant(time.Hour), newTenant(0)
	must(t, s.Save(t.Context(), young))
	must(t, s.Save(t.Context(), old))
	young.Revision, old.Revision = 1, 1
	want(t, "workspaces", []store.Workspace{old, young}, get[[]store.Workspace](t)(s.List(t.Context())))
}
