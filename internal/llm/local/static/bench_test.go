package static

import "testing"

// BenchmarkEmbed embeds a short text of 14 tokens; texts/s is the figure for one core.
func BenchmarkEmbed(b *testing.B) {
	m := load(b)
	b.ReportAllocs()
	for b.Loop() {
		m.Embed("Nora adopted a grey cat from the shelter in March.")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "texts/s")
}

// BenchmarkEmbedUnicode takes the path for texts that are not ASCII.
func BenchmarkEmbedUnicode(b *testing.B) {
	m := load(b)
	b.ReportAllocs()
	for b.Loop() {
		m.Embed("Zoë ordered a café crème — and paid 4 € for it.")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "texts/s")
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		load(b)
	}
}
