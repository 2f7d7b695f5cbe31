//go:build lean

package embedded

import (
	"strings"
	"testing"
)

func TestLeanBinarySaysWhatToDo(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Config{Dir: t.TempDir()})
	if Available || err == nil || !strings.Contains(err.Error(), "set SWITCHYARD_TEMPORAL_ADDRESS") {
		t.Errorf("available: %v; start: %v", Available, err)
	}
}
