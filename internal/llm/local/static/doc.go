// Package static gives every text a vector that means something, with no network, no service and no set-up.
//
// It is a static embedding model: each token of a WordPiece vocabulary has one vector, and a text's vector is their
// weighted mean. The vectors are distilled from all-MiniLM-L6-v2 (Apache-2.0, see NOTICE.md) by the recipe in distil,
// which can be repeated; they are embedded in the binary as one byte a dimension.
//
// What it is good for: finding memories that say the same thing in other words, at a hundred thousand texts a second.
// What it cannot do: word order ("dog bites man"), negation, and languages other than English, of which it knows
// little more than the letters.
//
// Where it comes from: Arora, Liang and Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings" (ICLR 2017),
// for the weights a/(a+p(w)); Model2Vec (Tulkens and van Dongen, 2024) for distilling a sentence transformer into
// token vectors with PCA and Zipf's law in place of counted frequencies; Devlin et al., "BERT" (2018), and the
// reference tokenizer of Hugging Face for the tokenizer, which this one equals token by token; but where the reference's
// tables stop at an old version of Unicode, some six hundred signs and marks of rare scripts, this one knows their kind.
package static
