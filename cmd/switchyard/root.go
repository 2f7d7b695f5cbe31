package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// newRoot makes the command with all its subcommands.
func newRoot(t *console) *cobra.Command {
	root := group("switchyard", "Memories in, enriched and findable: one at once, a million durably",
		`  switchyard dev                                    # everything in one process, nothing to set up
  switchyard memory add "Dorothy lived in Kansas." --wait 30s
  switchyard memory search "Who lived in Kansas?"
  switchyard batch submit memories.ndjson --watch`)
	root.Long = `Switchyard takes memories for AI applications, enriches them with an LLM and makes them findable by meaning and by
relation. A single memory is done while someone waits; a batch finishes through crashes, deploys and outages.`
	root.SilenceErrors, root.SilenceUsage = true, true // report says it
	root.SetIn(t.in)
	root.SetOut(t.out)
	root.SetErr(t.err)
	root.SetFlagErrorFunc(misuse)
	root.AddCommand(
		newDevCommand(t),
		newServeCommand(),
		newWorkerCommand(),
		newMigrateCommand(t),
		newProbeCommand(t),
		newReindexCommand(t),
		newMemoryCommand(t),
		newBatchCommand(t),
		newWebhookCommand(t),
		newKeysCommand(t),
		newInitCommand(t),
		newDoctorCommand(t),
		newVersionCommand(t),
	)
	return root
}

// group is a command that only holds others.
func group(use, short, example string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: example,
		Args:                       cobra.ArbitraryArgs, // RunE says better what is wrong
		SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			err := fmt.Errorf("there is no command %q", cmd.CommandPath()+" "+args[0])
			if meant := cmd.SuggestionsFor(args[0]); len(meant) > 0 {
				err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(meant, " or "))
			}
			return misuse(cmd, err)
		},
	}
}

// takes checks that a command is given the arguments of these names, one each.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == len(names):
			return nil
		case len(names) == 0:
			return misuse(cmd, fmt.Errorf("%s takes no arguments, not %q", cmd.CommandPath(), args))
		case len(args) < len(names):
			return misuse(cmd, fmt.Errorf("%s is missing", strings.Join(names[len(args):], " and ")))
		}
		return misuse(cmd, fmt.Errorf("%s takes %s only, not %d arguments; put quotes around a text with blanks", cmd.CommandPath(), strings.Join(names, " and "), len(args)))
	}
}
