package configs

import _ "embed"

// Commented is a YAML file with every setting there is, what it is for, and its default, all commented out. A test makes
// it of the comments in the code (go test ./configs -update) and fails where the two differ.
//
//go:embed switchyard.yaml
var Commented []byte
