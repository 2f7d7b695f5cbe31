//go:build unix

package webhooks

import (
	"syscall"
	"time"
)

// processorTime is what this process has used of the processors' time so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // of arguments that are right
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
