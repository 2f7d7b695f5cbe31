package store

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
)

// Full-text search is BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009), in two
// parts, so that an index that knows nothing of words can do it with sparse vectors: a passage has a weight for each of its
// terms, made once, and a query counts each of its terms by how rare it is at that moment. The score of a passage is the
// sum of IDF times weight over the query's terms. Every adapter ranks by this, so all of them rank alike.

// A Term is a stemmed word by its 32-bit FNV-1a hash, which is what sparse vectors are indexed by. Two words that share
// one count as the same word.
type Term uint32

// TermWeight is what a term counts for in one passage.
type TermWeight struct {
	Term   Term
	Weight float32
}

const (
	bm25K1 = 0.9 // how soon another occurrence of the same term adds little
	bm25B  = 0.2 // how much a long passage has to be better than a short one
	// bm25Length is the length, in terms, of a passage that counts as neither long nor short. It is fixed, as weights are
	// made once: the mean of what is stored would move with every passage.
	bm25Length = 24
)

// MaxQueryTerms is how many different terms of a query are looked for: the first ones.
const MaxQueryTerms = 64

// PassageTerms returns what each term of a passage counts for, by term. It has no terms where the text has no words.
func PassageTerms(text string) []TermWeight {
	s, counts, length := newStemmer(), map[Term]int{}, 0
	for w := range words(text) {
		length++
		counts[termOf(s.stem(w))]++
	}
	norm := bm25K1 * (1 - bm25B + bm25B*float64(length)/bm25Length)
	out := make([]TermWeight, 0, len(counts))
	for t, n := range counts {
		tf := float64(n)
		out = append(out, TermWeight{t, float32(tf * (bm25K1 + 1) / (tf + norm))})
	}
	slices.SortFunc(out, func(a, b TermWeight) int { return cmp.Compare(a.Term, b.Term) })
	return out
}

// QueryTerms returns the different terms of a query, at most [MaxQueryTerms]: without those of words that say nothing,
// unless there are no others.
func QueryTerms(text string) []Term {
	s := newStemmer()
	var telling, all []Term
	for w := range words(text) {
		t := termOf(s.stem(w))
		if !slices.Contains(all, t) && len(all) < MaxQueryTerms {
			all = append(all, t)
		}
		if !isStopWord(w) && !slices.Contains(telling, t) {
			telling = append(telling, t)
		}
		if len(telling) == MaxQueryTerms {
			break
		}
	}
	if len(telling) == 0 {
		return all
	}
	return telling
}

// IDF says how telling a term is that n of all passages have. It is what Qdrant's modifier "idf" multiplies by.
func IDF(all, n int) float64 {
	return math.Log1p((float64(all) - float64(n) + 0.5) / (float64(n) + 0.5))
}

func termOf(word string) Term {
	h := fnv.New32a()
	_, _ = h.Write([]byte(word)) // a hash never fails
	return Term(h.Sum32())
}
