package static

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

const (
	unknownToken  = "[UNK]"
	continuation  = "##" // marks, in the vocabulary, a piece that continues a word
	longestWord   = 100  // in runes; a longer word is one unknown token, as in BERT
	longestPieces = 64   // in bytes; longer than any piece of a vocabulary, asserted when it is read
)

// tokenizer splits a text into the tokens of a BERT vocabulary: uncased WordPiece, without the [CLS] and [SEP] around.
// What looks like a special token in a text ("[SEP]") is text: brackets and a word.
type tokenizer struct {
	starts    map[string]uint16 // pieces that begin a word
	continues map[string]uint16 // pieces that continue one, without their mark
	unknown   uint16
}

// newTokenizer reads a vocabulary, one token a line, the line number being the id.
func newTokenizer(vocabulary string, size int) (*tokenizer, error) {
	lines := strings.Split(strings.TrimSuffix(vocabulary, "\n"), "\n")
	if len(lines) != size || size > math.MaxUint16 {
		return nil, fmt.Errorf("%w: %d tokens for %d vectors", errDamaged, len(lines), size)
	}
	t := &tokenizer{starts: make(map[string]uint16, size), continues: make(map[string]uint16)}
	for id, token := range lines {
		if len(token) > longestPieces {
			return nil, fmt.Errorf("%w: token %d is too long", errDamaged, id)
		}
		t.add(token, uint16(id))
	}
	unknown, ok := t.starts[unknownToken]
	if !ok {
		return nil, fmt.Errorf("%w: no %s", errDamaged, unknownToken)
	}
	t.unknown = unknown
	return t, nil
}

func (t *tokenizer) add(token string, id uint16) {
	if piece, ok := strings.CutPrefix(token, continuation); ok && piece != "" {
		t.continues[piece] = id
		return
	}
	t.starts[token] = id
}

// tokenize leaves the ids of the text's tokens in s.ids.
func (t *tokenizer) tokenize(s *scratch, text string) {
	s.ids = s.ids[:0]
	normalizeText(s, text)
	for rest := s.text; len(rest) > 0; {
		n := wordLength(rest)
		if rest[0] != ' ' {
			s.ids = t.pieces(s.ids, rest[:n])
		}
		rest = rest[n:]
	}
}

// wordLength is the length in bytes of what stands first in a normalised text: a run of spaces, one punctuation
// mark, or a word.
func wordLength(text []byte) int {
	first := kindAt(text)
	n := first.size
	for first.kind != punctuation && n < len(text) {
		next := kindAt(text[n:])
		if next.kind != first.kind {
			break
		}
		n += next.size
	}
	return n
}

// pieces appends the ids of a word's pieces: the longest that begins it, then the longest that continues it, and so on.
// A word that cannot be pieced together whole is one unknown token.
func (t *tokenizer) pieces(ids []uint16, word []byte) []uint16 {
	if len(word) > longestWord && utf8.RuneCount(word) > longestWord {
		return append(ids, t.unknown)
	}
	before := len(ids)
	for known := t.starts; len(word) > 0; known = t.continues {
		id, n := longest(known, word)
		if n == 0 {
			return append(ids[:before], t.unknown)
		}
		ids, word = append(ids, id), word[n:]
	}
	return ids
}

// longest finds the longest known piece that word begins with; its length is 0 when there is none. It may look at
// cuts inside a rune: no piece ends there, so none is found.
func longest(known map[string]uint16, word []byte) (id uint16, length int) {
	for n := min(len(word), longestPieces); n > 0; n-- {
		if id, ok := known[string(word[:n])]; ok {
			return id, n
		}
	}
	return 0, 0
}
