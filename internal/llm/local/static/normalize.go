package static

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizeText leaves in s.text what BERT's uncased normaliser makes of a text: control characters gone, all white
// space a plain space, a space on either side of a CJK character, accents gone, lower case.
func normalizeText(s *scratch, text string) {
	s.text = s.text[:0]
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			normalizeUnicode(s, text)
			return
		}
		s.text = appendASCII(s.text, text[i])
	}
}

func appendASCII(dst []byte, c byte) []byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return append(dst, c+'a'-'A')
	case c == '\t' || c == '\n' || c == '\r':
		return append(dst, ' ')
	case c < ' ' || c == 0x7f:
		return dst
	default:
		return append(dst, c)
	}
}

// normalizeUnicode keeps the order of the reference: clean, space out CJK, decompose (NFD) and drop the marks that
// do not take space, then lower case.
func normalizeUnicode(s *scratch, text string) {
	clean := s.text[:0]
	for _, r := range text {
		clean = appendClean(clean, r)
	}
	s.nfd = norm.NFD.Append(s.nfd[:0], clean...)
	s.text = clean[:0]
	for rest := s.nfd; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		rest = rest[n:]
		if !unicode.Is(unicode.Mn, r) {
			s.text = utf8.AppendRune(s.text, unicode.ToLower(r))
		}
	}
}

func appendClean(dst []byte, r rune) []byte {
	switch {
	case r < utf8.RuneSelf:
		return appendASCII(dst, byte(r)) //nolint:gosec // below utf8.RuneSelf
	case r == utf8.RuneError || isControl(r):
		return dst
	case unicode.IsSpace(r):
		return append(dst, ' ')
	case isCJK(r):
		return append(utf8.AppendRune(append(dst, ' '), r), ' ')
	default:
		return utf8.AppendRune(dst, r)
	}
}

// isControl says whether r is a control, a format character or for private use. Unassigned code points are not, though
// unicode.C has them.
func isControl(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) }

// isCJK says whether r is in the blocks that BERT calls Chinese: the ideographs, not kana or hangul. The reference
// starts extension E at 2B920, a slip for 2B820; so does this.
func isCJK(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r <= 0x4DBF, 0x4E00 <= r && r <= 0x9FFF, 0xF900 <= r && r <= 0xFAFF:
		return true
	case 0x20000 <= r && r <= 0x2A6DF, 0x2A700 <= r && r <= 0x2B81F, 0x2B920 <= r && r <= 0x2CEAF,
		0x2F800 <= r && r <= 0x2FA1F:
		return true
	default:
		return false
	}
}

// kind is what a rune is to the pre-tokenizer.
type kind uint8

const (
	letter      kind = iota // whatever belongs to a word, digits and signs included
	space                   // between words
	punctuation             // a word of its own
)

// sized is a rune's kind and its length in bytes.
type sized struct {
	kind kind
	size int
}

// kindAt says what the first rune of a normalised, non-empty text is.
func kindAt(text []byte) sized {
	if c := text[0]; c < utf8.RuneSelf {
		return sized{kindASCII(c), 1}
	}
	r, n := utf8.DecodeRune(text)
	switch {
	case unicode.IsSpace(r):
		return sized{space, n}
	case unicode.IsPunct(r):
		return sized{punctuation, n}
	default:
		return sized{letter, n}
	}
}

// kindASCII counts as punctuation, as BERT does, every printable sign that is neither letter nor digit ("$", "+", "^").
func kindASCII(c byte) kind {
	switch {
	case c == ' ':
		return space
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return letter
	default:
		return punctuation
	}
}
