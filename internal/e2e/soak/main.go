// Command soak tries to break Switchyard's promise: it puts load on both tracks of real processes and meanwhile kills and
// freezes them, cuts and slows their connections, restarts Temporal and lets the LLM misbehave, all by a schedule that a
// seed gives. What was acknowledged it writes into a ledger of its own; in the end it compares that with every store, the
// LLM's calls and the webhooks that came. `make soak` builds the binary and runs it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	binary     string
	dir        string
	seed       uint64
	topologies string
	kills      int
	lasts      time.Duration
	inFlight   int
	gap        time.Duration
	thinking   time.Duration
	drain      time.Duration
	rolling    int
	env        string
	json       bool
	verbose    bool
}

func flags(o *options, args []string) error {
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.StringVar(&o.binary, "binary", "bin/switchyard", "what to test")
	f.StringVar(&o.dir, "dir", "", "folder for data, logs and the ledger (default: a new one, removed if all is well)")
	f.Uint64Var(&o.seed, "seed", 0, "of the schedule (default: a random one)")
	f.StringVar(&o.topologies, "topologies", split+","+dev, "split: two serve and two worker on one Temporal; servers: the same on the stores of production; dev: one process; one after the other")
	f.IntVar(&o.kills, "kills", 40, "how many processes to kill, in each topology its share; more where -for is not over then")
	f.DurationVar(&o.lasts, "for", 0, "how long to go on at least, in each topology its share, such as 3h")
	f.IntVar(&o.inFlight, "in-flight", 100, "how many memories must be in flight at each kill")
	f.DurationVar(&o.gap, "gap", 2*time.Second, "the longest pause between kills, beyond waiting for memories in flight")
	f.DurationVar(&o.thinking, "thinking", 3*time.Second, "how long the LLM takes for an answer")
	f.DurationVar(&o.drain, "drain", 10*time.Minute, "how long everything may take to be over once the load has ended")
	f.IntVar(&o.rolling, "rolling", 0, "instead of all that: replace the processes in an orderly way, one after another, so often")
	f.StringVar(&o.env, "env", "", "more environment for the processes: NAME=value, separated by commas")
	f.BoolVar(&o.json, "json", false, "print the figures as JSON")
	f.BoolVar(&o.verbose, "v", false, "print what is done to the processes")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1 << 32)
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := soak(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// soak runs the topologies one after the other and fails where a promise was broken.
func soak(ctx context.Context, args []string, out io.Writer) (err error) {
	var o options
	if err := flags(&o, args); err != nil {
		return err
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "switchyard-soak"); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				err = os.RemoveAll(o.dir)
			}
		}()
	}
	fmt.Fprintf(out, "soak: seed %d, %d kills and %v at least, at least %d memories in flight at each; everything in %s\n", o.seed, o.kills, o.lasts, o.inFlight, o.dir)
	names := strings.Split(o.topologies, ",")
	var errs []error
	kills, times := share(o.kills, names), share(int(o.lasts), names)
	for i, name := range names {
		v, err := attack(ctx, &o, name, extent{kills[i], time.Duration(times[i])}, out)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := v.print(out, o.json); err != nil {
			return err
		}
		errs = append(errs, v.err(&o))
	}
	return errors.Join(errs...)
}

// The topologies.
const (
	split   = "split"
	servers = "servers"
	dev     = "dev"
)

// share shares kills or time out: a single process gets one for three that several get.
func share(whole int, names []string) []int {
	weights, sum := make([]int, len(names)), 0
	for i, name := range names {
		weights[i] = 3
		if name == dev {
			weights[i] = 1
		}
		sum += weights[i]
	}
	shares, before := make([]int, len(names)), 0
	for i, w := range weights {
		shares[i] = whole*(before+w)/sum - whole*before/sum
		before += w
	}
	return shares
}

func (v *verdict) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(v)
	}
	fmt.Fprint(out, v)
	return nil
}
