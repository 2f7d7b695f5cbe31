package main

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// newProbeCommand is for health checks in images that have nothing else that could ask.
func newProbeCommand(t *console) *cobra.Command {
	return &cobra.Command{
		Use:     "probe URL",
		Short:   "Ask a process whether it is well, for health checks",
		Long:    "Sends GET to the URL, /healthz or /readyz of a process, and ends with 0 if the answer is 200.",
		Example: "  switchyard probe http://127.0.0.1:9464/readyz",
		Args:    takes("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, args[0], nil)
			if err != nil {
				return misuse(cmd, err)
			}
			res, err := (&http.Client{Timeout: 5 * time.Second}).Do(req)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			text, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
			if err == nil && res.StatusCode != http.StatusOK {
				err = fmt.Errorf("%s: %s", res.Status, text)
			}
			if err == nil {
				fmt.Fprintf(t.out, "%s\n", harmless(string(text)))
			}
			return err
		},
	}
}
