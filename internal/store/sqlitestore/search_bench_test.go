package sqlitestore

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

var benchModel = store.Model{ID: "bench", Dimensions: 256}

// library makes memories whose words are spread as in English: some are in many, most are in few.
type library struct {
	rand *rand.Rand
	zipf *rand.Zipf
	n    int
}

func newLibrary() *library {
	r := rand.New(rand.NewPCG(1, 2))
	return &library{rand: r, zipf: rand.NewZipf(r, 1.2, 8, 50_000)}
}

func (l *library) vector() []float32 {
	v := make([]float32, benchModel.Dimensions)
	for i := range v {
		v[i] = float32(l.rand.NormFloat64())
	}
	return v
}

func (l *library) words(n int) string {
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "word%d ", l.zipf.Uint64())
	}
	return b.String()
}

func (l *library) page(workspace string) []store.Point {
	page := make([]store.Point, store.PageSize)
	for i := range page {
		l.n++
		page[i] = store.Point{
			Workspace: workspace, MemoryID: fmt.Sprintf("mem_%08d", l.n), Version: 1, Text: l.words(30), Vector: l.vector(),
			Fields: store.Fields{CreatedAt: memory.Now().Time, Metadata: memory.Metadata{
				"half": l.n%2 == 0, "hundredth": float64(l.n % 100), "conversation": fmt.Sprint("c", l.n%10), "session": fmt.Sprint("s", l.n/40)}},
		}
	}
	return page
}

func eq(field string, value any) *store.Filter {
	return &store.Filter{Op: store.Eq, Field: field, Values: []any{value}}
}

// BenchmarkSearch asks a workspace of 100,000 memories, beside 100 small ones.
func BenchmarkSearch(b *testing.B) {
	v := openNew(b).Vectors()
	l := newLibrary()
	for i := range 100 {
		if err := v.Upsert(b.Context(), benchModel, l.page(fmt.Sprint("small ", i))); err != nil {
			b.Fatal(err)
		}
	}
	for range 100_000/store.PageSize + 1 {
		if err := v.Upsert(b.Context(), benchModel, l.page("big")); err != nil {
			b.Fatal(err)
		}
	}
	for _, mode := range []store.Mode{store.Vector, store.Lexical, store.Hybrid} {
		for _, c := range []struct {
			name, workspace string
			filter          *store.Filter
			exclude         []string
		}{
			{name: "all", workspace: "big"},
			{name: "one-excluded", workspace: "big", exclude: []string{"mem_00050000"}},
			{name: "hundredth", workspace: "big", filter: eq("metadata.hundredth", 7.0)},
			{name: "half", workspace: "big", filter: eq("metadata.half", true)},
			{name: "small-workspace", workspace: "small 50"},
		} {
			b.Run(fmt.Sprintf("%s/%s", mode, c.name), func(b *testing.B) {
				for b.Loop() {
					q := store.VectorQuery{
						Workspace: c.workspace, Mode: mode, Model: benchModel, Vector: l.vector(), Text: l.words(6),
						Filter: c.filter, Exclude: c.exclude, Limit: 10}
					if _, err := v.Search(b.Context(), q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkUpsert writes pages of 64 memories, and single ones from many callers at a time.
func BenchmarkUpsert(b *testing.B) {
	b.Run("pages64", func(b *testing.B) {
		v, l := openNew(b).Vectors(), newLibrary()
		for b.Loop() {
			if err := v.Upsert(b.Context(), benchModel, l.page("w")); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(store.PageSize*b.N)/b.Elapsed().Seconds(), "memories/s")
	})
	b.Run("pages64-again", func(b *testing.B) {
		v, l := openNew(b).Vectors(), newLibrary()
		page := l.page("w")
		for b.Loop() {
			for i := range page {
				page[i].Version++
			}
			if err := v.Upsert(b.Context(), benchModel, page); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(store.PageSize*b.N)/b.Elapsed().Seconds(), "memories/s")
	})
	b.Run("64callers", func(b *testing.B) {
		v, l := openNew(b).Vectors(), newLibrary()
		points := make(chan store.Point, 1024)
		go func() {
			defer close(points)
			for n := 0; n < b.N+store.PageSize; {
				for _, p := range l.page("w") {
					points <- p
					n++
				}
			}
		}()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := v.Upsert(b.Context(), benchModel, []store.Point{<-points}); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "memories/s")
		for range points { // what was made too much
		}
	})
}
