//go:build race

package parity

const raced = true
