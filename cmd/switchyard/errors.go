package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// The exit codes. They are documented in the help of the commands that use them.
const (
	exitOK          = 0
	exitFault       = 1
	exitUsage       = 2
	exitPartly      = 3 // a batch completed with errors, a memory degraded
	exitFailed      = 4 // a batch or a memory failed or was cancelled
	exitInterrupted = 130
)

// exitError is an error that sets the exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func exitWith(code int, format string, args ...any) error {
	return &exitError{code, fmt.Errorf(format, args...)}
}

// misuse is a mistake in the command line.
func misuse(cmd *cobra.Command, err error) error {
	return exitWith(exitUsage, "%w\nusage: %s\nsee %s --help", err, cmd.UseLine(), cmd.CommandPath())
}

// report prints the error, where there is one, and returns the exit code.
func (t *console) report(err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		fmt.Fprintln(t.err, t.paintErr(red, "switchyard:"), err)
		return exit.code
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(t.err, "interrupted")
		return exitInterrupted
	}
	fmt.Fprintln(t.err, t.paintErr(red, "switchyard:"), err)
	return exitFault
}

// advise adds to an error of the client what to do about it.
func (r *remote) advise(err error) error {
	advice := r.advice(err)
	if err == nil || advice == "" {
		return err
	}
	return fmt.Errorf("%w\n%s", err, advice)
}

func (r *remote) advice(err error) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody answers at " + r.url + ". Is the server running? Start one with `switchyard dev` (in a checkout: `make run`),\n" +
			"or name another with --url or SWITCHYARD_URL"
	case errors.As(err, &dns):
		return "the address comes from --url or SWITCHYARD_URL: " + r.url
	}
	var e *client.Error
	if !errors.As(err, &e) {
		return ""
	}
	switch e.Code {
	case memory.CodeUnauthorized:
		return "the server does not know this key: give one with --key or SWITCHYARD_KEY"
	case memory.CodeForbidden:
		return "this takes a key with more rights: give one with --key or SWITCHYARD_KEY"
	case memory.CodeNotFound:
		return "the workspace of this key has nothing of that id; the list command beside this one shows what there is"
	case memory.CodeRateLimited, memory.CodeUnavailable:
		return "the server is busy or a part of it is away: try again in a while"
	}
	return ""
}
