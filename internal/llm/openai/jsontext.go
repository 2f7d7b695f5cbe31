package openai

import (
	"encoding/json"
	"strings"
)

// maxStarts bounds how many opening braces are tried, so that a text full of them costs no time.
const maxStarts = 64

// findObject returns the JSON object of an answer: the whole text, or the first object in it that has the key. Models
// without structured outputs wrap it in words, code fences and thoughts; what is thought aloud is not searched.
func findObject(text, key string) (json.RawMessage, bool) {
	if i := strings.LastIndex(text, "</think>"); i >= 0 {
		text = text[i+len("</think>"):]
	}
	for range maxStarts {
		i := strings.IndexByte(text, '{')
		if i < 0 {
			break
		}
		text = text[i:]
		var raw json.RawMessage
		var fields map[string]json.RawMessage
		if json.NewDecoder(strings.NewReader(text)).Decode(&raw) == nil && json.Unmarshal(raw, &fields) == nil {
			if _, ok := fields[key]; ok {
				return raw, true
			}
		}
		text = text[1:]
	}
	return nil, false
}
