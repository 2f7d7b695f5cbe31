package intake

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// elementBytes bounds one memory in a JSON array, and one row of CSV. Past it, unlike past the limit of a line, the
// upload cannot go on, since there is no telling where the next one begins.
const elementBytes = 8 << 20

// jsonFeed reads {"memories": […], …} token by token. It gives the memories as they come and fills the spec on the way,
// whatever comes first.
type jsonFeed struct {
	budget *limited
	dec    *json.Decoder
	spec   *Spec
	state  func() (bool, error) // reads on; true: a memory comes next
	seen   bool                 // there was a "memories"
}

func newJSONFeed(r io.Reader, spec *Spec) *jsonFeed {
	f := &jsonFeed{budget: &limited{r: r, left: elementBytes}, spec: spec}
	f.dec = json.NewDecoder(f.budget)
	f.state = f.open
	return f
}

func (f *jsonFeed) next() (item, error) {
	for {
		f.budget.left = elementBytes
		found, err := f.state()
		if err != nil {
			return item{}, err
		}
		if found {
			return f.element()
		}
	}
}

func (f *jsonFeed) element() (item, error) {
	var raw json.RawMessage
	if err := f.dec.Decode(&raw); err != nil {
		return item{}, malformed(err)
	}
	in, err := ParseInput(raw)
	return item{input: in, err: err, raw: raw}, nil
}

func (f *jsonFeed) open() (bool, error) {
	f.state = f.member
	return false, f.delim('{', "the body must be an object with memories")
}

// member reads one member of the object, up to the first memory where it is the list of them.
func (f *jsonFeed) member() (bool, error) {
	if !f.dec.More() {
		f.state = f.end
		return false, nil
	}
	name, err := f.dec.Token()
	if err != nil {
		return false, malformed(err)
	}
	if name != "memories" {
		return false, f.setting(name.(string)) //nolint:forcetypeassert // a decoder gives no other keys
	}
	if f.seen {
		return false, at("memories", "comes twice")
	}
	f.seen, f.state = true, f.list
	return false, f.delim('[', "memories must be a list")
}

func (f *jsonFeed) list() (bool, error) {
	if f.dec.More() {
		return true, nil
	}
	f.state = f.member
	return false, f.delim(']', "memories must be a list")
}

func (f *jsonFeed) end() (bool, error) {
	if err := f.delim('}', "the body must be an object with memories"); err != nil {
		return false, err
	}
	switch _, err := f.dec.Token(); {
	case err == io.EOF:
		return false, io.EOF
	case err == nil:
		return false, memory.Errorf(memory.CodeMalformed, "there is more after the end of the JSON object")
	default:
		return false, malformed(err)
	}
}

func (f *jsonFeed) delim(want json.Delim, otherwise string) error {
	switch tok, err := f.dec.Token(); {
	case err != nil:
		return malformed(err)
	case tok != want:
		return memory.Errorf(memory.CodeInvalid, "%s", otherwise)
	}
	return nil
}

// setting reads a member other than the memories.
func (f *jsonFeed) setting(name string) error {
	var raw json.RawMessage
	if err := f.dec.Decode(&raw); err != nil {
		return malformed(err)
	}
	dry := false
	targets := map[string]target{
		"name":        {&f.spec.Name, "a string"},
		"webhook_url": {&f.spec.WebhookURL, "a string"},
		"priority":    {&f.spec.Priority, "a string"},
		"dry_run":     {&dry, "true or false"},
	}
	err := targets[name].set(name, raw)
	f.spec.DryRun = f.spec.DryRun || dry // what was begun as a dry run has no batch to go into
	return err
}

// malformed codes an error of a JSON decoder: what is wrong with the JSON, or with the connection that it came over.
func malformed(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return memory.Errorf(memory.CodeMalformed, "the body is not valid JSON: %s (at byte %d)", syntax, syntax.Offset)
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF): //nolint:errorlint // io.Reader returns it as it is
		return memory.Wrap(memory.CodeMalformed, err, "the body ends in the middle of the JSON")
	}
	return broken(err)
}
