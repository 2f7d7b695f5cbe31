// Command qdrantd is a Qdrant for tests in a process of its own. It listens on loopback, says "ready <port>" once it takes
// connections, and ends when its standard input does.
//
//	qdrantd [-port N] [-journal FILE] [-api-key KEY]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"github.com/switchyard-ai/switchyard/internal/store/qdrantstore/qdranttest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "qdrantd:", err)
		os.Exit(1)
	}
}

func run() error {
	var cfg qdranttest.Config
	port := flag.Int("port", 0, "port to listen on; 0: a free one")
	flag.StringVar(&cfg.Journal, "journal", "", "file that keeps what is stored; none: it is gone with the process")
	flag.StringVar(&cfg.APIKey, "api-key", "", "key that calls must carry")
	flag.Parse()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	server, err := qdranttest.New(cfg)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(*port)))
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	fmt.Println("ready", l.Addr().(*net.TCPAddr).Port)
	return server.Serve(ctx, l)
}
