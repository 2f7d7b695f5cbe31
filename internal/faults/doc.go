// Package faults is the machine that tries to break the promise: it puts faults at every boundary at which something is
// committed, and, to show that it sees them, bugs into the program. All of it is behind the build tag failpoints: what is
// shipped holds none of it. See internal/docs/guarantees.md.
package faults
