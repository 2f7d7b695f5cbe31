// Package id makes the identifiers of everything Switchyard stores: a prefix that names the kind, and a ULID, so that
// ids sort by time and new rows land at the end of an index.
package id

import (
	"crypto/sha256"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// The prefixes.
const (
	Memory    = "mem_"
	Batch     = "bat_"
	Endpoint  = "whe_"
	Delivery  = "dlv_"
	Event     = "evt_"
	Key       = "key_"
	Request   = "req_"
	Process   = "prc_"
	Workspace = "wsp_"
	Node      = "nod_"
)

// New makes an id of the kind. Ids made by one process sort in the order in which they were made.
func New(prefix string) string { return prefix + ulid.Make().String() }

// From makes an id of the kind out of parts: the same parts give the same id, so that writing it twice changes nothing.
// It sorts by at, like an id made by [New] at that moment.
func From(prefix string, at time.Time, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	var u ulid.ULID
	_ = u.SetTime(ulid.Timestamp(at)) // fails past the year 10889 only
	copy(u[6:], sum[:10])
	return prefix + u.String()
}

// Time is when an id was made; false for what is not an id.
func Time(s string) (time.Time, bool) {
	_, tail, ok := strings.Cut(s, "_")
	u, err := ulid.ParseStrict(tail)
	return ulid.Time(u.Time()), ok && err == nil
}
