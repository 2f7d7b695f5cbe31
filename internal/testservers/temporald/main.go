// Command temporald runs a real Temporal server in a process of its own, for tests: the one that Switchyard embeds. It
// says "ready" and its address once it answers, and ends when its standard input does.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/switchyard-ai/switchyard/internal/embedded"
)

func main() {
	cfg := embedded.Config{}
	flag.StringVar(&cfg.Dir, "dir", "", "folder of its files")
	flag.StringVar(&cfg.Namespace, "namespace", "default", "namespace to make")
	flag.Parse()
	if err := run(cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(cfg embedded.Config) error {
	server, err := embedded.Start(context.Background(), cfg)
	if err != nil {
		return err
	}
	fmt.Println("ready", server.Address())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return server.Close()
}
