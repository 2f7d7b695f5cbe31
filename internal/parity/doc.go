// Package parity holds the test that both tracks do the same to a memory: the same memories with the same injected
// faults, through the realtime executor and through Temporal's test environment.
package parity
