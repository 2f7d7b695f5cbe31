package llmtest

import (
	"hash/fnv"
	"math"
	"strings"
	"unicode"
)

// words returns the words of a text in lower case, without the commonest ones and without plural endings.
func words(text string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(strings.ToLower(text), notInWord) {
		if !strings.Contains(" a an and are as at be by did do does for from had has have he her his i in is it its me my of on or "+
			"she so that the their them they this to was we were what when where which who why will with you your ", " "+w+" ") {
			out = append(out, stem(w))
		}
	}
	return out
}

func notInWord(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

func stem(w string) string {
	if len(w) > 3 && !strings.HasSuffix(w, "ss") {
		return strings.TrimSuffix(w, "s")
	}
	return w
}

// vector hashes the words of a text into a unit vector: texts that share words are near, others nearly at right angles.
// A text without words is a word by itself.
func vector(text string, dimensions int) []float32 {
	ws := words(text)
	if len(ws) == 0 {
		ws = []string{"\x00" + text}
	}
	v := make([]float32, dimensions)
	for _, w := range ws {
		h := fnv.New64a()
		_, _ = h.Write([]byte(w)) // never fails
		sum := h.Sum64()
		v[sum%uint64(dimensions)] += 1 - 2*float32(sum>>63)
	}
	return unit(v)
}

// unit scales v to length 1. Where words cancelled each other out, the first axis stands for the rest.
func unit(v []float32) []float32 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		v[0], sum = 1, 1
	}
	for i := range v {
		v[i] = float32(float64(v[i]) / math.Sqrt(sum))
	}
	return v
}
