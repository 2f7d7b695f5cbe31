package static

import (
	"math"
	"sync"
)

// Model is a static embedding model. It is safe for concurrent use; all of its methods are pure: the same text gives
// the same vector in every process of the same build.
type Model struct {
	words   *tokenizer
	rows    rows
	scratch sync.Pool // of *scratch
}

// scratch is what one Embed needs besides its result.
type scratch struct {
	text []byte // the text, normalised
	nfd  []byte // the text, decomposed
	ids  []uint16
}

// Load decodes the model embedded in the binary. It takes some milliseconds and keeps about 3 MB: the index of the
// vocabulary. The vectors themselves (about 8 MB) are read in place, from the binary's read-only pages, which all
// processes share. An error means the binary was built from a damaged weights file.
func Load() (*Model, error) {
	r, err := decodeRows(embeddedRows)
	if err != nil {
		return nil, err
	}
	t, err := newTokenizer(embeddedVocabulary, r.count)
	if err != nil {
		return nil, err
	}
	m := &Model{words: t, rows: r}
	m.scratch.New = func() any { return new(scratch) }
	return m, nil
}

// ID names the model and the version of its weights. Vectors of different IDs must never be compared: whoever stores
// vectors stores the ID with them and embeds again when it changes.
func (*Model) ID() string { return "switchyard-static-minilm-v1" }

// Dimensions is the length of every vector that Embed returns.
func (m *Model) Dimensions() int { return m.rows.dims }

// Embed returns the vector of a text: the weighted mean of the vectors of its tokens, scaled to length 1, so that the
// dot product of two is their cosine. The slice is the caller's. Texts of any length are taken whole.
//
// A text without a known token (empty, only spaces, only unknown signs) has no meaning to give: it gets the unit
// vector along the last axis, the one along which texts differ least. So it is near other such texts and
// nearly at right angles to everything else, and no index has to cope with a zero vector.
func (m *Model) Embed(text string) []float32 {
	s, _ := m.scratch.Get().(*scratch)
	defer m.scratch.Put(s)
	m.words.tokenize(s, text)
	v := make([]float32, m.rows.dims)
	for _, id := range s.ids {
		m.rows.addTo(v, int(id))
	}
	normalise(v)
	return v
}

// normalise scales v to length 1; of a zero vector it makes the unit vector along the last axis.
func normalise(v []float32) {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		v[len(v)-1] = 1
		return
	}
	scale := float32(1 / math.Sqrt(sum))
	for i := range v {
		v[i] *= scale
	}
}
