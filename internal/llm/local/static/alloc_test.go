//go:build !race

package static

import "testing"

// The race detector makes a sync.Pool forget on purpose, so this is built without it.

func TestEmbedAllocatesOnlyTheVector(t *testing.T) { // not parallel: it counts allocations
	m := load(t)
	m.Embed("warm the buffers up with a text of some length")
	got := testing.AllocsPerRun(200, func() { m.Embed("Nora adopted a grey cat from the shelter.") })
	if got > 1.1 { // the vector, and seldom a buffer that a garbage collection took
		t.Errorf("%.1f allocations", got)
	}
}
