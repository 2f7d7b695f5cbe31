package sqlitestore

import (
	"fmt"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestBodyIsKeptOnceForItsDeliveries looks at what the suite cannot see: that a body is stored once, and goes with the
// last delivery that has it. Deliveries of before bodies were shared have theirs under their own seq.
func TestBodyIsKeptOnceForItsDeliveries(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	start := time.Now()
	made := func(event, n int, status store.DeliveryStatus) store.Delivery {
		return store.Delivery{
			ID: fmt.Sprint("dlv_", event, "_", n), Workspace: "wsp_1", Body: fmt.Append(nil, "body ", event), Status: status, Round: 1,
			CreatedAt: memory.At(start), UpdatedAt: memory.At(start),
		}
	}
	want := func(when string, bodies int) {
		t.Helper()
		var n int
		if err := s.queryRow(t.Context(), "SELECT count(*) FROM delivery_bodies").Scan(&n); err != nil || n != bodies {
			t.Errorf("%s: %d bodies, %v; want %d", when, n, err, bodies)
		}
	}
	ds := []store.Delivery{
		made(1, 1, store.DeliveryDelivered), made(1, 2, store.DeliveryPending), made(1, 3, store.DeliveryPending),
		made(2, 1, store.DeliveryDelivered), made(3, 1, store.DeliveryDelivered), made(3, 2, store.DeliveryDelivered),
	}
	if _, err := s.Deliveries().Create(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	want("created", 3)
	old := func(tx *tx) error {
		_, err := tx.exec("UPDATE deliveries SET body_seq = NULL WHERE id = 'dlv_2_1'")
		return err
	}
	if err := s.write(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Deliveries().Get(t.Context(), "wsp_1", "dlv_2_1"); err != nil || string(got.Body) != "body 2" {
		t.Errorf("the body of an older delivery is %q, %v", got.Body, err)
	}
	sweep := func() {
		t.Helper()
		if _, err := s.Deliveries().Sweep(t.Context(), start.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	want("the first deliveries swept", 1)
	for _, d := range ds[1:3] {
		a := store.Attempted{Workspace: "wsp_1", DeliveryID: d.ID, Attempt: store.Attempt{At: memory.At(start)}, Status: store.DeliveryFailed}
		if kept, err := s.Deliveries().Attempted(t.Context(), []store.Attempted{a}); err != nil || !kept[0] {
			t.Fatal(kept, err)
		}
	}
	sweep()
	want("all swept", 0)
}
