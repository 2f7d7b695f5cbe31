package pipeline

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPassages(t *testing.T) {
	t.Parallel()
	paragraph := strings.Repeat("The road was paved with yellow brick. ", 20)
	for name, content := range map[string]string{
		"Short":      "Toto barked.",
		"OneByte":    "x",
		"Paragraphs": paragraph + "\n\n" + paragraph + "\n\n" + paragraph,
		"NoBoundary": strings.Repeat("x", 5_000),
		"Emoji":      strings.Repeat("🦁", 2_000),
		"Chinese":    strings.Repeat("多萝西住在堪萨斯。", 400),
		"EdgesBlank": "  \n" + paragraph + "\n ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkPassages(t, content, 1_000)
		})
	}

	t.Run("LongContentIsCutAtSentences", func(t *testing.T) {
		t.Parallel()
		for _, p := range passages(strings.Repeat(paragraph, 5), 1_000) {
			text := strings.Repeat(paragraph, 5)[p.Start:p.End]
			if !strings.HasSuffix(text, ".") {
				t.Errorf("a passage ends in the middle of a sentence: …%q", text[len(text)-20:])
			}
		}
	})
}

// checkPassages holds passages to their promise: in order, valid UTF-8, not too long, and nothing lost but white space.
func checkPassages(t *testing.T, content string, size int) {
	t.Helper()
	last := 0
	for _, p := range passages(content, size) {
		if p.Start < last || p.End <= p.Start || p.End > len(content) {
			t.Fatalf("passage %d-%d after %d of %d", p.Start, p.End, last, len(content))
		}
		if strings.TrimSpace(content[last:p.Start]) != "" {
			t.Errorf("lost %q", content[last:p.Start])
		}
		if text := content[p.Start:p.End]; utf8.ValidString(content) && !utf8.ValidString(text) {
			t.Errorf("cut within a rune at %d-%d", p.Start, p.End)
		}
		if p.End-p.Start > size+size/4 {
			t.Errorf("a passage of %d bytes", p.End-p.Start)
		}
		last = p.End
	}
	if strings.TrimSpace(content[last:]) != "" {
		t.Errorf("lost the end %q", content[last:])
	}
}

func FuzzPassages(f *testing.F) {
	f.Add("Dorothy lived in Kansas.\n\nToto made her laugh.", 10)
	f.Fuzz(func(t *testing.T, content string, size int) {
		if size < 4 || size > 10_000 || strings.TrimSpace(content) == "" {
			t.Skip("not what callers pass")
		}
		checkPassages(t, content, size)
	})
}
