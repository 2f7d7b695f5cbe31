package store

import (
	"encoding/base64"
	"encoding/json"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// EncodeCursor makes an opaque cursor out of the key of the last row of a page.
func EncodeCursor(key ...any) string {
	b, _ := json.Marshal(key) //nolint:errchkjson // strings and numbers do not fail
	return base64.RawURLEncoding.EncodeToString(b)
}

// DecodeCursor reads the key of a cursor into dest, pointers to strings and numbers. The empty cursor is not for it.
func DecodeCursor(cursor string, dest ...any) error {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	var key []json.RawMessage
	if err == nil {
		err = json.Unmarshal(b, &key)
	}
	if err != nil || len(key) != len(dest) {
		return badCursor(err)
	}
	for i := range dest {
		if err := json.Unmarshal(key[i], dest[i]); err != nil {
			return badCursor(err)
		}
	}
	return nil
}

func badCursor(err error) error {
	return &memory.Error{Code: memory.CodeInvalid, Pointer: "/cursor", Message: "is not a cursor of this list", Err: err}
}
