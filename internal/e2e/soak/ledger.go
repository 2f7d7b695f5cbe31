package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// entry is an acknowledgement: what the client was told, in its own words.
type entry struct {
	Key   string `json:"key"`             // the memory's own; of a batch what its lines' keys begin with
	ID    string `json:"id"`              // of the memory or batch
	Lines int    `json:"lines,omitempty"` // of a batch
	Hook  bool   `json:"hook,omitempty"`  // a webhook was asked for
}

// ledger is the client's record of what was acknowledged. An entry is on disk before the client goes on.
type ledger struct {
	mu      sync.Mutex
	file    *os.File
	entries []entry
}

func newLedger(path string) (*ledger, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	return &ledger{file: f}, nil
}

func (l *ledger) write(e entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := json.NewEncoder(l.file).Encode(e); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	l.entries = append(l.entries, e)
	return nil
}

func (l *ledger) all() []entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]entry(nil), l.entries...)
}

func (l *ledger) close() error { return l.file.Close() }
