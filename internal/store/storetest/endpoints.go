package storetest

import (
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Endpoints checks what [store.Endpoints] promises. open gives an empty store.
func Endpoints(t *testing.T, open func(testing.TB) store.Endpoints) {
	t.Helper()
	checks[store.Endpoints]{
		{"GetReturnsWhatWasSaved", endpointsGet},
		{"SaveRefusesAnyRevisionButTheStoredOne", endpointsRevision},
		{"ListIsOldestFirst", endpointsList},
		{"DeletedEndpointsAreGone", endpointsDelete},
		{"WorkspacesAreApart", endpointsApart},
	}.run(t, open)
}

func newEndpoint(workspace string, created time.Duration) store.Endpoint {
	return store.Endpoint{
		ID: id.New(id.Endpoint), Workspace: workspace, URL: "https://example.com/hook?a=1", Events: []string{memory.EventBatchCompleted},
		Description: "the wizard’s", Headers: map[string]string{"X-Team": "oz"}, Signing: "v1a", Format: "papr",
		Secrets:  []store.Secret{{Sealed: []byte{0, 255}}, {Sealed: []byte("old"), Expires: noon.Add(time.Hour)}},
		Disabled: "gone", FailingFrom: noon.Add(-time.Hour), CreatedAt: after(created), UpdatedAt: after(created + time.Second),
	}
}

func endpointsGet(t *testing.T, s store.Endpoints) {
	e := newEndpoint(newWorkspace(), 0)
	_, err := s.Get(t.Context(), e.Workspace, e.ID)
	wantCode(t, err, memory.CodeNotFound)
	must(t, s.Save(t.Context(), e))
	e.Revision = 1
	want(t, "saved", e, get[store.Endpoint](t)(s.Get(t.Context(), e.Workspace, e.ID)))
	e.Events, e.Headers, e.Disabled, e.FailingFrom, e.UpdatedAt = nil, nil, "", time.Time{}, after(time.Hour)
	must(t, s.Save(t.Context(), e))
	e.Revision = 2
	want(t, "saved again", e, get[store.Endpoint](t)(s.Get(t.Context(), e.Workspace, e.ID)))
}

func endpointsRevision(t *testing.T, s store.Endpoints) {
	e := newEndpoint(newWorkspace(), 0)
	e.Revision = 1
	wantCode(t, s.Save(t.Context(), e), memory.CodeConflict) // nothing is stored
	e.Revision = 0
	must(t, s.Save(t.Context(), e))
	for _, wrong := range []int64{0, 2} {
		e.Revision = wrong
		wantCode(t, s.Save(t.Context(), e), memory.CodeConflict)
	}
}

func endpointsList(t *testing.T, s store.Endpoints) {
	ws := newWorkspace()
	young, old := newEndpoint(ws, time.Hour), newEndpoint(ws, 0)
	for _, e := range []store.Endpoint{young, old, newEndpoint(newWorkspace(), 0)} {
		must(t, s.Save(t.Context(), e))
	}
	young.Revision, old.Revision = 1, 1
	want(t, "endpoints", []store.Endpoint{old, young}, get[[]store.Endpoint](t)(s.List(t.Context(), ws)))
	want(t, "endpoints of an unknown workspace", []store.Endpoint{}, get[[]store.Endpoint](t)(s.List(t.Context(), newWorkspace())))
}

func endpointsDelete(t *testing.T, s store.Endpoints) {
	e := newEndpoint(newWorkspace(), 0)
	wantCode(t, s.Delete(t.Context(), e.Workspace, e.ID), memory.CodeNotFound)
	must(t, s.Save(t.Context(), e))
	must(t, s.Delete(t.Context(), e.Workspace, e.ID))
	_, err := s.Get(t.Context(), e.Workspace, e.ID)
	wantCode(t, err, memory.CodeNotFound)
}

func endpointsApart(t *testing.T, s store.Endpoints) {
	e := newEndpoint(newWorkspace(), 0)
	must(t, s.Save(t.Context(), e))
	other := newWorkspace()
	_, err := s.Get(t.Context(), other, e.ID)
	wantCode(t, err, memory.CodeNotFound)
	wantCode(t, s.Delete(t.Context(), other, e.ID), memory.CodeNotFound)
	theft := e
	theft.Workspace, theft.Revision = other, 1
	wantCode(t, s.Save(t.Context(), theft), memory.CodeConflict)
	e.Revision = 1
	want(t, "the endpoint", e, get[store.Endpoint](t)(s.Get(t.Context(), e.Workspace, e.ID)))
}
