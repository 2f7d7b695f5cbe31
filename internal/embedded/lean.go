//go:build lean

package embedded

import (
	"context"
	"errors"
)

// Available says whether this binary has the server.
const Available = false

func (*Server) start(context.Context, Config) error {
	return errors.New("this binary was built without the embedded Temporal server; " +
		"set SWITCHYARD_TEMPORAL_ADDRESS or build without -tags lean")
}
