// Package workercomponent stands in for the system worker of Temporal's auto-scaled workers: it registers nothing.
package workercomponent

import "go.uber.org/fx"

// Module adds nothing to Temporal's worker service.
var Module = fx.Options()
