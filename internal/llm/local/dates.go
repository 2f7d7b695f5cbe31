package local

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// dateReader finds dates that mean the same day, month or year wherever they stand; "yesterday" is none. They are named
// in one form, 2023-05-08, 2023-05 or 2023, so that memories that write them differently meet; a day without its year is
// "May 8".
type dateReader struct {
	lexicon *lexicon
	iso     *regexp.Regexp
	slashed *regexp.Regexp
}

func newDateReader(l *lexicon) dateReader {
	return dateReader{
		l, regexp.MustCompile(`^(1\d{3}|20\d{2})-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?$`),
		regexp.MustCompile(`^\d{1,2}/\d{1,2}/\d{2,4}$`),
	}
}

func (d dateReader) dates(s sentence) []mention {
	var out []mention
	for i := 0; i < len(s.tokens); {
		name, size := d.at(s.tokens, i)
		if size == 0 {
			i++
			continue
		}
		out = append(out, mention{Date, name, i, i + size})
		i += size
	}
	return out
}

// at reads the date that begins at a token, and says how many tokens it has.
func (d dateReader) at(ts []token, i int) (string, int) {
	t := ts[i]
	switch {
	case d.iso.MatchString(t.text), d.slashed.MatchString(t.text):
		return t.text, 1
	case d.lexicon.months[t.lower] > 0 && t.upper:
		return d.fromMonth(ts[i:])
	case day(t.lower) > 0 && i+1 < len(ts) && d.lexicon.months[following(ts[i:]).lower] > 0:
		return d.fromDay(ts[i:])
	case year(t.text) && i > 0 && strings.Contains(" in since by until year from during circa around before after ", " "+ts[i-1].lower+" "):
		return t.text, 1
	}
	return "", 0
}

// fromMonth reads "May 8, 2023", "May 8th" and "May 2023".
func (d dateReader) fromMonth(ts []token) (string, int) {
	month := d.lexicon.months[ts[0].lower]
	switch {
	case len(ts) > 2 && day(ts[1].lower) > 0 && year(ts[2].text):
		return fmt.Sprintf("%s-%02d-%02d", ts[2].text, month, day(ts[1].lower)), 3
	case len(ts) > 1 && day(ts[1].lower) > 0 && !ts[1].loose:
		return fmt.Sprintf("%s %d", monthName(month), day(ts[1].lower)), 2
	case len(ts) > 1 && year(ts[1].text):
		return fmt.Sprintf("%s-%02d", ts[1].text, month), 2
	}
	return "", 0
}

// fromDay reads "8 May 2023", "8th of May" and the like.
func (d dateReader) fromDay(ts []token) (string, int) {
	at := 1
	if ts[1].lower == "of" {
		at = 2
	}
	month, n := d.lexicon.months[ts[at].lower], day(ts[0].lower)
	if at+1 < len(ts) && year(ts[at+1].text) {
		return fmt.Sprintf("%s-%02d-%02d", ts[at+1].text, month, n), at + 2
	}
	return fmt.Sprintf("%s %d", monthName(month), n), at + 1
}

// following is the token after the first, or after "of".
func following(ts []token) token {
	switch {
	case len(ts) > 2 && ts[1].lower == "of":
		return ts[2]
	case len(ts) > 1:
		return ts[1]
	}
	return token{}
}

// day is the number of a day of a month, "8" or "8th"; 0: none.
func day(w string) int {
	for _, suffix := range []string{"st", "nd", "rd", "th"} {
		w = strings.TrimSuffix(w, suffix)
	}
	n, err := strconv.Atoi(w)
	if err != nil || n < 1 || n > 31 || len(w) > 2 {
		return 0
	}
	return n
}

// year reports whether a word is a year from 1000 to 2099.
func year(w string) bool {
	n, err := strconv.Atoi(w)
	return err == nil && len(w) == 4 && n >= 1000 && n < 2100
}

func monthName(month int) string {
	return strings.Fields("January February March April May June July August September October November December")[month-1]
}
