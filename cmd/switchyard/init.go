package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/configs"
)

func newInitCommand(t *console) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a configuration file with every setting, explained and commented out",
		Long: `Writes a configuration file (switchyard.yaml, or FILE; - is standard output) with every setting there is, what it is for and
its default, all commented out. A file that is there is left alone, unless --force says otherwise.`,
		Example: `  switchyard init
  switchyard init - | grep -A2 passage_bytes
  switchyard init --force /tmp/switchyard.yaml && switchyard dev --config /tmp/switchyard.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misuse(cmd, errors.New("init writes one FILE"))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			file := "switchyard.yaml"
			if len(args) == 1 {
				file = args[0]
			}
			return t.initialise(file, force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "write over a file that is there")
	return cmd
}

func (t *console) initialise(file string, force bool) error {
	if file == "-" {
		_, err := t.out.Write(configs.Commented)
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(file, flags, 0o600) //nolint:gosec // the user names the file; keys will be in it
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: name another file, or write over it with --force", file)
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(configs.Commented); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	fmt.Fprintf(t.err, "wrote %s; change what you like and start with: switchyard dev --config %s\n", file, file)
	return nil
}
