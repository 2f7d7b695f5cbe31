package static

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTokenize(t *testing.T) {
	t.Parallel()
	words, err := newTokenizer("[UNK]\nun\n##want\n##ed\nrun\n##ning\n,\n中\ne\n", 9)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, text string
		want       []uint16
	}{
		{"TheLongestPieceComesFirst", "unwanted running", []uint16{1, 2, 3, 4, 5}},
		{"PunctuationIsAWord", "run,run", []uint16{4, 6, 4}},
		{"ACJKCharacterIsAWord", "run中run", []uint16{4, 7, 4}},
		{"AWordWithAnUnknownPieceIsUnknown", "unx run", []uint16{0, 4}},
		{"AccentsAndCaseGo", "É e\u0301", []uint16{8, 8}},
		{"WhatLooksLikeASpecialTokenIsText", "[UNK]", []uint16{0, 0, 0}},
		{"AWordOfMoreThanAHundredRunesIsUnknown", "un" + strings.Repeat("ed", 49) + " un" + strings.Repeat("ed", 50),
			append(append([]uint16{1}, slices.Repeat([]uint16{3}, 49)...), 0)},
		{"NothingGivesNothing", " \x00\t\u200b", []uint16{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := &scratch{ids: []uint16{}}
			words.tokenize(s, test.text)
			if !slices.Equal(test.want, s.ids) {
				t.Errorf("%v, want %v", s.ids, test.want)
			}
		})
	}
}

func TestDamagedWeightsAreRefused(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", magic, magic + "\x01\x00\x00\x00\x00\x00\x00\x00", embeddedRows[:len(embeddedRows)-1],
		"x" + embeddedRows[1:], magic + "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if _, err := decodeRows(data); !errors.Is(err, errDamaged) {
			t.Errorf("%d bytes: %v", len(data), err)
		}
	}
	for _, vocabulary := range []string{"", "a\nb\n", "[UNK]\n" + strings.Repeat("x", 65) + "\n"} {
		if _, err := newTokenizer(vocabulary, 2); !errors.Is(err, errDamaged) {
			t.Errorf("%q: %v", vocabulary, err)
		}
	}
}

func FuzzTokenize(f *testing.F) {
	for _, c := range goldens(f) {
		f.Add(c.Text)
	}
	f.Add("\xff\xfe broken \xc3")
	m := load(f)
	f.Fuzz(func(t *testing.T, text string) {
		first, second := &scratch{}, &scratch{text: []byte("left over"), ids: []uint16{7}}
		m.words.tokenize(first, text)
		m.words.tokenize(second, text)
		if !slices.Equal(first.ids, second.ids) {
			t.Errorf("%v, then %v", first.ids, second.ids)
		}
		for _, id := range first.ids {
			if int(id) >= m.rows.count {
				t.Errorf("no token %d", id)
			}
		}
		if !utf8.Valid(first.text) {
			t.Errorf("normalised to %q", first.text)
		}
	})
}
