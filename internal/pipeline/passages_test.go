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

// TestPassagesEndWhereTheContentDoes cuts contents of two parts that are too long for one passage: the first part, which is
// longer than a third of one, is the first passage.
func TestPassagesEndWhereTheContentDoes(t *testing.T) {
	t.Parallel()
	a, b := strings.Repeat("word ", 80), strings.Repeat("more ", 300)
	han, kana := strings.Repeat("多萝西住在堪萨斯", 18), strings.Repeat("ドロシーは", 60)
	for name, row := range map[string][2]string{
		"Paragraph":         {a + "end,\nof it", "\n\n" + b},
		"Heading":           {a + "\n\nshort\n", "\n## Part two\n\n" + b},
		"HeadingAtTheEnd":   {a + "end.", "\n\n# Part two\n\n" + b},
		"UnderlinedHeading": {a + "end.", "\nPart two\n========\n" + b},
		"ListItem":          {"- " + a + "\n- " + a[:200], "\n- " + b},
		"NumberedItem":      {"1. " + a + "end", "\n2. " + b},
		"Code":              {a, "\n\n```go\nfunc f() {\n\n\treturn\n}\n\n" + b[:900] + "\n```\n" + b},
		"AfterCode":         {"```\n" + a + "\n\n" + a[:100] + "\n```", "\n" + b},
		"Sentence":          {a + "end.", " Then " + b},
		"QuotedSentence":    {a + "“end.”", " Then " + b},
		"NotAnAbbreviation": {a + "end.", " Then " + a[:100] + "e.g. so" + b},
		"Question":          {a + "end?", " Then " + b},
		"Chinese":           {han + "。", strings.Repeat(han, 4)},
		"Japanese":          {kana + "。」", kana + kana},
		"Hindi":             {strings.Repeat("वह यहाँ ", 30) + "है।", " " + strings.Repeat("और ", 200)},
		"Arabic":            {strings.Repeat("هل هذا ", 40) + "كتاب؟", " " + strings.Repeat("نعم ", 200)},
		"Armenian":          {strings.Repeat("բառ ", 60) + "վերջ։", " " + strings.Repeat("ևս ", 300)},
		"Clause":            {a + "end;", " then " + b},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := row[0] + row[1]
			checkPassages(t, content, 1_000)
			first := passages(content, 1_000)[0]
			if got := content[first.Start:first.End]; got != strings.TrimSpace(row[0]) {
				t.Errorf("the first passage ends in …%q, want …%q", tail(got), tail(row[0]))
			}
		})
	}
	t.Run("SignsThatBelongTogetherStayTogether", func(t *testing.T) {
		t.Parallel()
		for _, sign := range []string{"👩‍👩‍👧", "e\u0301", "👍🏽", "नि"} {
			content := strings.Repeat(sign, 300)
			for _, p := range passages(content, 100) {
				if (p.End-p.Start)%len(sign) != 0 {
					t.Errorf("%q is cut at %d-%d", sign, p.Start, p.End)
				}
			}
		}
	})
	t.Run("NothingOf100kBIsLost", func(t *testing.T) {
		t.Parallel()
		content := strings.Repeat("# Part\n\n"+a+"\n\n- one\n- two\n\n```\ncode\n\n```\n"+han+"。\n", 140)[:100_000]
		checkPassages(t, strings.ToValidUTF8(content, ""), 1_000)
	})
}

func tail(s string) string { return s[max(0, len(s)-30):] }

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
