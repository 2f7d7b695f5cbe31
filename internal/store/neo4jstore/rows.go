package neo4jstore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// row is a row of a statement's parameter.
type row = map[string]any

func memoryRows(ms []store.Mention) []row {
	rows := make([]row, len(ms))
	for i, m := range ms {
		rows[i] = row{"i": i, "workspace": m.Ref.Workspace, "id": m.Ref.ID, "version": m.Ref.Version}
	}
	return rows
}

// page is what the memories of a page say, as rows.
type page struct {
	entities []row // one for each entity that each memory mentions
	states   []row // one for each relationship that each memory states
	related  []row // one for each relationship
}

func pageOf(ms []store.Mention) page {
	p := page{entities: []row{}, states: []row{}, related: []row{}} // not nil: they become lists
	known := map[string]bool{}
	for i := range ms {
		mentioned := p.mention(&ms[i])
		p.state(&ms[i], mentioned, known)
	}
	return p
}

// mention adds the entities of a memory, each once, and returns which they are.
func (p *page) mention(m *store.Mention) map[string]bool {
	mentioned := map[string]bool{}
	for _, n := range m.Graph.Nodes {
		if mentioned[n.ID] {
			continue
		}
		mentioned[n.ID] = true
		p.entities = append(p.entities, row{
			"workspace": m.Ref.Workspace, "memory": m.Ref.ID, "id": n.ID, "type": n.Type, "name": n.Name, "properties": jsonOf(n.Properties),
			"typeKey": indexed(store.NormalName(n.Type)), "nameKey": indexed(store.NormalName(n.Name)),
		})
	}
	return mentioned
}

// state adds the relationships of a memory between entities that it mentions, each once.
func (p *page) state(m *store.Mention, mentioned, known map[string]bool) {
	stated := map[string]bool{}
	for _, r := range m.Graph.Relationships {
		id := relatedID(m.Ref.Workspace, r)
		if stated[id] || !mentioned[r.From] || !mentioned[r.To] {
			continue
		}
		stated[id] = true
		p.states = append(p.states, row{"workspace": m.Ref.Workspace, "memory": m.Ref.ID, "from": r.From, "related": id, "properties": jsonOf(r.Properties)})
		if !known[id] {
			known[id] = true
			p.related = append(p.related, row{"workspace": m.Ref.Workspace, "id": id, "from": r.From, "to": r.To, "type": r.Type})
		}
	}
}

// relatedID names a relationship of the workspace.
func relatedID(workspace string, r memory.Relationship) string {
	return digest(strings.Join([]string{workspace, r.From, r.Type, r.To}, "\x00"))
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// maxIndexed is how long a text in an index may be, in bytes. An entry has 8 kB in all, and a longer one would fail the page.
const maxIndexed = 1000

// indexed is what a text is found by: itself, but for one that is too long.
func indexed(s string) string {
	if len(s) <= maxIndexed {
		return s
	}
	return "long " + digest(s)
}

func jsonOf(properties map[string]string) string {
	b, _ := json.Marshal(properties) //nolint:errchkjson // strings do not fail
	return string(b)
}
