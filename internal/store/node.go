package store

import (
	"strings"
	"time"
	"unicode"

	"github.com/switchyard-ai/switchyard/internal/id"
)

// NodeID is the id of the node of that type and name in the workspace: every memory that speaks of it means the same
// node.
func NodeID(workspace, kind, name string) string {
	return id.From(id.Node, time.UnixMilli(0), workspace, NormalName(kind), NormalName(name))
}

// NormalName is what names are compared by: lower case, punctuation at the edges and a leading article or a trailing 's
// gone, inner white space one blank.
func NormalName(name string) string {
	words := strings.Fields(strings.ToLower(name))
	if len(words) > 1 && (words[0] == "the" || words[0] == "a" || words[0] == "an") {
		words = words[1:]
	}
	s := strings.TrimFunc(strings.Join(words, " "), func(r rune) bool { return unicode.IsPunct(r) || unicode.IsSpace(r) })
	s = strings.TrimSuffix(strings.TrimSuffix(s, "'s"), "’s")
	if s == "" {
		return strings.TrimSpace(strings.ToLower(name))
	}
	return s
}
