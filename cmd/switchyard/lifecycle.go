package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// part is something that runs for as long as the process does: run blocks until its context is done, then drains.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// runStages runs all parts until ctx is done or one of them ends by itself. Then it stops them stage by stage, the first
// first: a stage is stopped only when the one before has drained, which may still need it.
func runStages(ctx context.Context, stages ...[]part) error {
	var (
		ended = make(chan error, 1)
		stops = make([]func() error, len(stages))
	)
	for i, stage := range stages {
		stops[i] = startStage(context.WithoutCancel(ctx), stage, ended)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-ended:
	}
	for _, stop := range stops {
		err = errors.Join(err, stop())
	}
	return err
}

// startStage starts the parts of a stage and returns what stops them and waits for them. A part that ends before it is
// told to is reported on ended.
func startStage(ctx context.Context, stage []part, ended chan<- error) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	var (
		wg   sync.WaitGroup
		errs = make([]error, len(stage))
	)
	for i, p := range stage {
		wg.Go(func() {
			err := p.run(ctx)
			if err != nil {
				err = fmt.Errorf("%s: %w", p.name, err)
			}
			if ctx.Err() != nil {
				errs[i] = err
				return
			}
			if err == nil {
				err = fmt.Errorf("%s ended by itself", p.name)
			}
			select {
			case ended <- err:
			default: // another part's end is reported already
			}
		})
	}
	return func() error {
		cancel()
		wg.Wait()
		return errors.Join(errs...)
	}
}

// closers closes what was opened, the latest first.
type closers []func() error

func (c *closers) add(f func() error) { *c = append(*c, f) }

func (c *closers) close() error {
	var errs []error
	for i := range slices.Backward(*c) {
		errs = append(errs, (*c)[i]())
	}
	*c = nil
	return errors.Join(errs...)
}
