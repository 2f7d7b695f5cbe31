package main

import (
	"maps"
	"sync"
	"time"
)

// disturbance is something that was done, for as long as it may have cost answers that were on their way.
type disturbance struct {
	process  string // "": to all
	what     string
	from, to time.Time
}

// unkept is how long after an answer its checkpoint may still be on its way.
const unkept = 5 * time.Second

// explained reports whether an answer may have been lost: its process was killed, frozen or cut off while it asked, or
// before it could keep what it got.
func explained(p payment, ds []disturbance) bool {
	for _, d := range ds {
		if (d.process == "" || d.process == p.process) && !p.from.After(d.to) && !p.to.Add(unkept).Before(d.from) {
			return true
		}
	}
	return false
}

// log keeps disturbances.
type log struct {
	mu   sync.Mutex
	all  []disturbance
	told map[string]int
}

func (l *log) add(process, what string, from, to time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told == nil {
		l.told = map[string]int{}
	}
	l.told[what]++
	l.all = append(l.all, disturbance{process, what, from, to})
}

func (l *log) list() ([]disturbance, map[string]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	told := map[string]int{}
	maps.Copy(told, l.told)
	return append([]disturbance(nil), l.all...), told
}
