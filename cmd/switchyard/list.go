package main

import (
	"iter"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

const maxPage = 500

// pageSize is how many to fetch at a time where limit are wanted (0: all).
func pageSize(limit int) int {
	if limit <= 0 {
		return maxPage
	}
	return min(limit, maxPage)
}

// each prints an item as it comes where machines read along; nil where the whole is printed later.
func (r *remote) each() func(any) error {
	if r.json {
		return r.printJSON
	}
	return nil
}

// collect goes through a list up to the limit (0: to the end). Items are given to each as they come, or, where that is
// nil, returned.
func collect[T any](items iter.Seq2[T, error], limit int, each func(any) error) ([]T, error) {
	var all []T
	n := 0
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		if each == nil {
			all = append(all, item)
		} else if err := each(item); err != nil {
			return nil, err
		}
		if n++; n == limit {
			break
		}
	}
	return all, nil
}

func memoryStatuses(names []string) []memory.Status {
	out := make([]memory.Status, len(names))
	for i, s := range names {
		out[i] = memory.Status(s)
	}
	return out
}
