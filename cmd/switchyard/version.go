package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// buildVersion is set by the linker: see the Makefile.
var buildVersion string //nolint:gochecknoglobals // the linker asks for one

// version is what make build says it is, else what `go install` knows.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return cmp.Or(buildVersion, info.Main.Version, "unknown")
	}
	return cmp.Or(buildVersion, "unknown")
}

func newVersionCommand(t *console) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  takes(),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return t.printJSON(map[string]string{"version": version(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
			}
			_, err := fmt.Fprintf(t.out, "switchyard %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
