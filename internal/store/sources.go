package store

import (
	"encoding/json"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// NodeSource is what a memory says of a node.
type NodeSource struct {
	Node, MemoryID, Type, Name string
	Properties                 string // JSON
}

// NodesOf makes nodes of their sources, as [Graph] shows them: those of a node stand beside each other, the newest first.
func NodesOf(sources []NodeSource) (out []memory.Node, err error) {
	var types, names tally
	for _, s := range sources {
		if len(out) == 0 || out[len(out)-1].ID != s.Node {
			out, types, names = append(out, memory.Node{ID: s.Node}), tally{}, tally{}
		}
		n := &out[len(out)-1]
		n.Type, n.Name = types.add(n.Type, s.Type), names.add(n.Name, s.Name)
		n.MemoryIDs = append(n.MemoryIDs, s.MemoryID)
		if n.Properties, err = addOlder(n.Properties, s.Properties); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// RelationshipSource is what a memory says of a relationship.
type RelationshipSource struct {
	From, Type, To, MemoryID string
	Properties               string // JSON
}

// RelationshipsOf makes relationships of their sources, as [Graph] shows them: those of a relationship stand beside each
// other, the newest first.
func RelationshipsOf(sources []RelationshipSource) (out []memory.Relationship, err error) {
	for _, s := range sources {
		if last := len(out) - 1; last < 0 || out[last].From != s.From || out[last].Type != s.Type || out[last].To != s.To {
			out = append(out, memory.Relationship{From: s.From, Type: s.Type, To: s.To})
		}
		r := &out[len(out)-1]
		r.MemoryIDs = append(r.MemoryIDs, s.MemoryID)
		if r.Properties, err = addOlder(r.Properties, s.Properties); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// tally counts the forms of a name.
type tally map[string]int

// add counts a form and returns the most frequent one, given which it was before; ties alphabetical.
func (t tally) add(most, form string) string {
	t[form]++
	if t[form] > t[most] || t[form] == t[most] && form < most {
		return form
	}
	return most
}

// addOlder adds the properties that are not there yet: newer memories come first.
func addOlder(properties map[string]string, older string) (map[string]string, error) {
	var more map[string]string
	if err := json.Unmarshal([]byte(older), &more); err != nil {
		return nil, err
	}
	for k, v := range more {
		if properties == nil {
			properties = map[string]string{}
		}
		if _, there := properties[k]; !there {
			properties[k] = v
		}
	}
	return properties, nil
}
