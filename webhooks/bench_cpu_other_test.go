//go:build !unix

package webhooks

import "time"

// processorTime is not known here: x-bare-cpu is no number.
func processorTime() time.Duration { return 0 }
