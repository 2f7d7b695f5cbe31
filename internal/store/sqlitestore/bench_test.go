package sqlitestore

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// BenchmarkPut takes memories in one after the other, from 64 callers at a time, and in pages of 64: what grouping is
// worth. x-single is how many times as fast as one caller alone.
func BenchmarkPut(b *testing.B) {
	content := strings.Repeat("A memory of some length. ", 20)
	rate := func(b *testing.B, n int) float64 {
		perSecond := float64(n) / b.Elapsed().Seconds()
		b.ReportMetric(perSecond, "memories/s")
		b.ReportMetric(0, "ns/op")
		return perSecond
	}
	var single float64
	b.Run("single", func(b *testing.B) {
		ms := openNew(b).Memories()
		for b.Loop() {
			if _, err := ms.Put(b.Context(), []store.Intake{intakeFor("w", content)}); err != nil {
				b.Fatal(err)
			}
		}
		single = rate(b, b.N)
	})
	b.Run("64callers", func(b *testing.B) {
		ms := openNew(b).Memories()
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := ms.Put(b.Context(), []store.Intake{intakeFor("w", content)}); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(rate(b, b.N)/single, "x-single")
	})
	b.Run("pages64", func(b *testing.B) {
		ms := openNew(b).Memories()
		for b.Loop() {
			page := make([]store.Intake, store.PageSize)
			for i := range page {
				page[i] = intakeFor("w", content)
			}
			if _, err := ms.Put(b.Context(), page); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(rate(b, store.PageSize*b.N)/single, "x-single")
	})
	b.Run("pages64-random-ids", func(b *testing.B) { // what time-ordered ids are worth
		ms, n := openNew(b).Memories(), 0
		for b.Loop() {
			page := make([]store.Intake, store.PageSize)
			for i := range page {
				n++
				page[i] = intakeFor("w", content)
				page[i].Memory.ID = id.From(id.Memory, time.UnixMilli(int64(n)*7919%1_000_003), fmt.Sprint(n))
			}
			if _, err := ms.Put(b.Context(), page); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(rate(b, store.PageSize*b.N)/single, "x-single")
	})
}

// BenchmarkLife takes memories all the way, from 64 callers at a time, in four writes each: put, claim, a checkpoint, the end.
func BenchmarkLife(b *testing.B) {
	s := openNew(b)
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := wholeLife(s); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "memories/s")
}

// BenchmarkAtAMillion measures the calls that the service makes all the time in a store of a million finished memories.
func BenchmarkAtAMillion(b *testing.B) {
	if testing.Short() {
		b.Skip("it fills a store with a million memories")
	}
	s := openNew(b)
	finished(b, s, 1_000_000)
	ctx := b.Context()
	last, _, err := s.Memories().List(ctx, store.MemoryQuery{Workspace: "w", Limit: 1})
	if err != nil {
		b.Fatal(err)
	}
	list := func(q store.MemoryQuery) func() error {
		q.Workspace, q.Limit = "w", 50
		return func() error { _, _, err := s.Memories().List(ctx, q); return err }
	}
	for _, row := range []struct {
		name string
		call func() error
	}{
		{"Count", func() error { _, err := s.Memories().Count(ctx, "w"); return err }},
		{"Load", func() error { _, err := s.Leases().Load(ctx); return err }},
		{"Usage", func() error { _, err := s.Memories().Usage(ctx, "w"); return err }},
		{"Orphans", func() error { _, err := s.Leases().Orphans(ctx, time.Now(), 100); return err }},
		{"Owed", func() error { _, err := s.Outbox().Owed(ctx, 100); return err }},
		{"Renew", func() error { _, err := s.Leases().Renew(ctx, "p", store.Forever); return err }},
		{"Get", func() error { _, err := s.Memories().Get(ctx, "w", last[0].ID); return err }},
		{"List", list(store.MemoryQuery{})},
		{"List/failed", list(store.MemoryQuery{Statuses: []memory.Status{memory.StatusFailed}})},
		{"List/metadata", list(store.MemoryQuery{Metadata: map[string]string{"rare": "true"}})},
		{"List/metadata-none", list(store.MemoryQuery{Metadata: map[string]string{"rare": "false"}})},
		{"List/before", list(store.MemoryQuery{CreatedBefore: time.UnixMilli(500_000)})},
		{"Put", func() error { _, err := s.Memories().Put(ctx, []store.Intake{intakeFor("w", "one more")}); return err }},
	} {
		b.Run(row.name, func(b *testing.B) {
			for b.Loop() {
				if err := row.call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// finished makes n finished memories, a millisecond apart. One in 10,000 failed and has a rare label.
func finished(b *testing.B, s *Store, n int) {
	var at atomic.Int64
	for at.Load() < int64(n) {
		page := make([]store.Intake, 1000)
		for i := range page {
			ms := at.Add(1)
			page[i] = intakeFor("w", "A memory of some length.")
			page[i].Memory.CreatedAt = memory.At(time.UnixMilli(ms))
			page[i].Memory.ID = id.From(id.Memory, time.UnixMilli(ms), fmt.Sprint(ms))
			page[i].Lease = store.Lease{Owner: "p", Until: store.Forever}
			if ms%10_000 == 0 {
				page[i].Memory.Metadata["rare"] = true
			}
		}
		ps, err := s.Memories().Put(b.Context(), page)
		if err != nil {
			b.Fatal(err)
		}
		ends := make([]store.Finish, len(ps))
		for i, p := range ps {
			ends[i] = store.Finish{Ref: p.Memory.Ref(), Fence: p.Fence, Status: memory.StatusCompleted}
			if p.Memory.Metadata["rare"] != nil {
				ends[i].Status = memory.StatusFailed
			}
		}
		if _, err := s.Runs().Finish(b.Context(), ends); err != nil {
			b.Fatal(err)
		}
	}
}
