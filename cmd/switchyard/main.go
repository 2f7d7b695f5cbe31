// Command switchyard is Switchyard: the server in one process (dev) or in several (serve, worker), and the client.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(program()) }

// program runs the command line and returns the exit code. The first signal ends the context, so that everything can
// drain; a second one ends the process at once.
func program() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	t := newConsole(os.Stdin, os.Stdout, os.Stderr)
	return t.report(run(ctx, t, os.Args[1:]))
}

// run executes one command line.
func run(ctx context.Context, t *console, args []string) error {
	root := newRoot(t)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}
