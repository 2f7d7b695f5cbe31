package local

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A token is a word of a text: letters and digits, with the apostrophes, hyphens and points inside it.
type token struct {
	text    string // as written, without a possessive 's
	lower   string
	upper   bool // begins with a capital
	opens   bool // first of a sentence or a quotation: a capital means nothing there
	loose   bool // something other than white space stands before it
	owner   bool // had a possessive 's
	unaired bool // of a script that is written without blanks
}

// A sentence is a list of tokens, and who says it in a dialogue.
type sentence struct {
	tokens  []token
	speaker string
}

// maxTokens bounds the work on one memory; 100 kB of English are about 18,000 words.
const maxTokens = 50_000

// scanner cuts a text into sentences.
type scanner struct {
	lexicon *lexicon
	text    string
	pos     int
	out     []sentence
	now     sentence
	opens   bool
	loose   bool
	count   int
}

// sentences cuts a text into sentences.
func (l *lexicon) sentences(text string) []sentence {
	s := scanner{lexicon: l, text: text, opens: true, loose: true}
	s.line()
	for s.pos < len(s.text) && s.count < maxTokens {
		r, size := utf8.DecodeRuneInString(s.text[s.pos:])
		switch {
		case inWord(r):
			s.word(r)
		case r == '\n':
			s.pos += size
			s.newline()
		default:
			s.pos += size
			s.sign(r)
		}
	}
	s.end()
	return s.out
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// end ends a sentence.
func (s *scanner) end() {
	if len(s.now.tokens) > 0 {
		s.out = append(s.out, s.now)
		s.now = sentence{speaker: s.now.speaker}
	}
	s.opens, s.loose = true, true
}

// newline ends a sentence where a blank line, a list item or another speaker follows; else it is a blank.
func (s *scanner) newline() {
	rest := s.text[s.pos:]
	trimmed := strings.TrimLeft(rest, " \t")
	switch {
	case trimmed == "" || trimmed[0] == '\n' || trimmed[0] == '\r':
		s.end()
	case strings.IndexByte("-*•#>|", trimmed[0]) >= 0 || '0' <= trimmed[0] && trimmed[0] <= '9':
		s.end()
	}
	s.line()
}

// line takes the "Name:" at the beginning of a line of dialogue.
func (s *scanner) line() {
	name, size := s.lexicon.speaker(s.text[s.pos:])
	if size == 0 {
		return
	}
	s.end()
	s.now.speaker = name
	s.pos += size
}

// speaker reads one to three capitalised words and a colon, and says how long they are; 0: there is none.
func (l *lexicon) speaker(text string) (string, int) {
	head := text[:min(len(text), 60)]
	name, after, ok := strings.Cut(head, ": ")
	words := strings.Fields(name)
	if !ok || after == "" || len(words) == 0 || len(words) > 3 {
		return "", 0
	}
	for _, w := range words {
		r, _ := utf8.DecodeRuneInString(w)
		if !unicode.IsUpper(r) || strings.ContainsFunc(w, func(r rune) bool { return !inWord(r) && !strings.ContainsRune("'’.-", r) }) {
			return "", 0
		}
	}
	if first := strings.ToLower(strings.Trim(words[0], ".")); l.ordinary(first) && !l.given.has(first) && (len(words) == 1 || !l.titles.has(first)) {
		return "", 0
	}
	return strings.Join(words, " "), len(name) + len(": ")
}

// sign deals with what stands between words.
func (s *scanner) sign(r rune) {
	switch r {
	case '.', '!', '?', '…':
		if s.ends(r) {
			s.end()
		} else {
			s.loose = s.loose || r != '.'
		}
	case '。', '！', '？':
		s.end()
	case '“', '"', '‘', '(', '[', '«', '„', '—':
		s.opens, s.loose = true, true
	case ':', '*', '_', '#':
		s.opens, s.loose = true, true
	case ' ', '\t', '\r', '\u00a0':
	default:
		s.loose = true
	}
}

// ends reports whether a sign ends the sentence: white space, a closing sign or nothing follows, and it is not the point
// of an abbreviation.
func (s *scanner) ends(r rune) bool {
	next, _ := utf8.DecodeRuneInString(s.text[s.pos:])
	if s.pos < len(s.text) && !unicode.IsSpace(next) && !strings.ContainsRune("”\"’')]»", next) {
		return false
	}
	if r != '.' || len(s.now.tokens) == 0 {
		return true
	}
	last := s.now.tokens[len(s.now.tokens)-1]
	initial := utf8.RuneCountInString(last.text) == 1 && last.upper && last.lower != "i"
	return !initial && !s.lexicon.short.has(last.lower)
}

// word takes the word at the scanner's place.
func (s *scanner) word(first rune) {
	from := s.pos
	unaired := isUnaired(first)
	for s.pos < len(s.text) {
		r, size := utf8.DecodeRuneInString(s.text[s.pos:])
		if inWord(r) && isUnaired(r) != unaired {
			break
		}
		if !inWord(r) && !s.inside(r, size) {
			break
		}
		s.pos += size
	}
	if unaired {
		s.unaired(s.text[from:s.pos])
		return
	}
	s.add(s.text[from:s.pos], token{})
}

// inside reports whether a sign is part of the word around it: an apostrophe or hyphen between letters or digits, a
// point between single capitals, a separator between digits.
func (s *scanner) inside(r rune, size int) bool {
	if s.pos+size >= len(s.text) || s.pos == 0 {
		return false
	}
	before, _ := utf8.DecodeLastRuneInString(s.text[:s.pos])
	after, _ := utf8.DecodeRuneInString(s.text[s.pos+size:])
	if !inWord(before) || !inWord(after) || isUnaired(after) {
		return false
	}
	switch r {
	case '\'', '’', '-':
		return true
	case '.':
		return unicode.IsUpper(before) && unicode.IsUpper(after) || unicode.IsDigit(before) && unicode.IsDigit(after)
	case ',', ':', '/':
		return unicode.IsDigit(before) && unicode.IsDigit(after)
	}
	return false
}

// add adds a word to the sentence.
func (s *scanner) add(word string, t token) {
	t.text = word
	for _, suffix := range []string{"'s", "’s", "'S", "’S"} {
		if cut, ok := strings.CutSuffix(word, suffix); ok && cut != "" {
			t.text, t.owner = cut, true
		}
	}
	first, _ := utf8.DecodeRuneInString(t.text)
	t.text = contraction(t.text)
	t.lower, t.upper = strings.ReplaceAll(strings.ToLower(t.text), "’", "'"), unicode.IsUpper(first)
	t.owner = t.owner && t.lower != "let" && !s.lexicon.little.has(t.lower) // "it's" owns nothing
	t.opens, t.loose = s.opens, s.loose
	s.opens, s.loose = false, false
	s.now.tokens = append(s.now.tokens, t)
	s.count++
}

// contraction drops what is contracted to a word: "I'm" and "they'd" are "I" and "they". "Don't" stays: it denies.
func contraction(word string) string {
	i := strings.LastIndexAny(word, "'’")
	if i <= 0 {
		return word
	}
	switch strings.ToLower(strings.TrimLeft(word[i:], "'’")) {
	case "m", "re", "ve", "d", "ll":
		return word[:i]
	}
	return word
}

// isUnaired reports whether a script puts no blanks between words, so that only signs and particles part them.
func isUnaired(r rune) bool {
	return r == 'ー' || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// particles are the commonest characters of Chinese that are words by themselves, and part others.
const particles = "的了是在和与也就都而及着过吗呢吧啊我你他她它们这那有不到说上下从对把被让给很"

// unaired cuts a run of such a script at particles and at hiragana, which in Japanese are mostly endings.
func (s *scanner) unaired(run string) {
	for _, w := range strings.FieldsFunc(run, func(r rune) bool {
		return strings.ContainsRune(particles, r) || unicode.Is(unicode.Hiragana, r)
	}) {
		s.loose = true // no two of them are read as one phrase
		s.add(clip(w, 12), token{unaired: true})
	}
}

// clip keeps the first n characters of a text.
func clip(text string, n int) string {
	for i := range text {
		if n--; n < 0 {
			return text[:i]
		}
	}
	return text
}
