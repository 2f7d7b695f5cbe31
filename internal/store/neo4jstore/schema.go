package neo4jstore

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// An index finds nodes of a label, or relationships of a type, by properties. A unique one is a constraint.
type index struct {
	on         string // label or type
	properties []string
	unique     bool
	make       string
}

// schema is what Migrate makes and Check looks for. Its names begin with Switchyard's: a database of the community edition
// is shared with whatever else a company keeps there.
//
//nolint:gochecknoglobals // a constant table
var schema = []index{
	{
		"SwitchyardWorkspace", words("id"), true,
		`CREATE CONSTRAINT switchyard_workspace IF NOT EXISTS FOR (n:SwitchyardWorkspace) REQUIRE n.id IS UNIQUE`,
	},
	{
		"SwitchyardMemory", words("workspace id"), true,
		`CREATE CONSTRAINT switchyard_memory IF NOT EXISTS FOR (n:SwitchyardMemory) REQUIRE (n.workspace, n.id) IS UNIQUE`,
	},
	{
		"SwitchyardEntity", words("workspace id"), true,
		`CREATE CONSTRAINT switchyard_entity IF NOT EXISTS FOR (n:SwitchyardEntity) REQUIRE (n.workspace, n.id) IS UNIQUE`,
	},
	{
		"SWITCHYARD_RELATED", words("id"), true,
		`CREATE CONSTRAINT switchyard_related IF NOT EXISTS FOR ()-[r:SWITCHYARD_RELATED]-() REQUIRE r.id IS UNIQUE`,
	},
	{
		"SwitchyardEntity", words("workspace rank id"), false,
		`CREATE INDEX switchyard_entity_listed IF NOT EXISTS FOR (n:SwitchyardEntity) ON (n.workspace, n.rank, n.id)`,
	},
	{
		"SwitchyardEntity", words("workspace type rank id"), false,
		`CREATE INDEX switchyard_entity_typed IF NOT EXISTS FOR (n:SwitchyardEntity) ON (n.workspace, n.type, n.rank, n.id)`,
	},
	{
		"SwitchyardEntity", words("workspace name rank id"), false,
		`CREATE INDEX switchyard_entity_named IF NOT EXISTS FOR (n:SwitchyardEntity) ON (n.workspace, n.name, n.rank, n.id)`,
	},
	{
		"SWITCHYARD_MENTIONS", words("workspace entity memory"), false,
		`CREATE INDEX switchyard_mentions IF NOT EXISTS FOR ()-[r:SWITCHYARD_MENTIONS]-() ON (r.workspace, r.entity, r.memory)`,
	},
	{
		"SWITCHYARD_STATES", words("related memory"), false,
		`CREATE INDEX switchyard_states IF NOT EXISTS FOR ()-[r:SWITCHYARD_STATES]-() ON (r.related, r.memory)`,
	},
}

func words(s string) []string { return strings.Fields(s) }

func (x index) String() string {
	kind := "index"
	if x.unique {
		kind = "uniqueness constraint"
	}
	return kind + " on " + x.on + "(" + strings.Join(x.properties, ", ") + ")"
}

// Migrate makes the constraints and indexes that are missing, and returns when they serve. It may run again at any time,
// beside the service too, and from several places at once.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.checkVersion(ctx); err != nil {
		return err
	}
	for _, x := range schema {
		if err := s.schemaChange(ctx, x.make); err != nil {
			return err
		}
	}
	return s.schemaChange(ctx, `CALL db.awaitIndexes(600)`)
}

// schemaChanges is how often a change of the schema is tried that others get in the way of. Each time one of them is done.
const schemaChanges = 20

func (s *Store) schemaChange(ctx context.Context, statement string) (err error) {
	for range schemaChanges {
		err = s.write(ctx, func(t tx) error {
			_, err := t.run(statement, nil)
			return err
		})
		if err == nil || !meanwhile(err) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

const showIndexes = `SHOW INDEXES YIELD labelsOrTypes, properties, state, owningConstraint, type WHERE type = 'RANGE' RETURN labelsOrTypes, properties, state, owningConstraint`

// Check reports whether the server is new enough and all constraints and indexes serve. Where they do not, the error
// (CodeConflict) names them and says what mends it.
func (s *Store) Check(ctx context.Context) error {
	if err := s.checkVersion(ctx); err != nil {
		return err
	}
	found, err := s.read(ctx, func(t tx) ([]*neo4j.Record, error) { return t.run(showIndexes, nil) })
	if err != nil {
		return err
	}
	var missing []string
	for _, x := range schema {
		if !slices.ContainsFunc(found, x.serves) {
			missing = append(missing, x.String())
		}
	}
	if len(missing) > 0 {
		return memory.Errorf(memory.CodeConflict, "Neo4j lacks the %s: run `switchyard migrate`", strings.Join(missing, ", the "))
	}
	return nil
}

// serves reports whether the record is of an index that does what x is for, whatever its name.
func (x index) serves(r *neo4j.Record) bool {
	on, properties := stringList(r, "labelsOrTypes"), stringList(r, "properties")
	constraint, _ := r.Get("owningConstraint")
	state, _ := r.Get("state")
	return slices.Equal(on, []string{x.on}) && slices.Equal(properties, x.properties) && state == "ONLINE" && (constraint != nil || !x.unique)
}

func stringList(r *neo4j.Record, name string) []string {
	list, _, _ := neo4j.GetRecordValue[[]any](r, name) // NULL is none
	var out []string
	for _, v := range list {
		out = append(out, v.(string))
	}
	return out
}

// oldest is the version whose Cypher the statements are written in.
const oldest = "5.23"

// checkVersion refuses servers that do not know the statements.
func (s *Store) checkVersion(ctx context.Context) error {
	agent, err := s.Version(ctx)
	if err != nil {
		return err
	}
	if olderThan(strings.TrimPrefix(agent, "Neo4j/"), oldest) {
		return memory.Errorf(memory.CodeConflict, "the graph's server is %s; Neo4j %s or later is needed, such as the long-term version 5.26", agent, oldest)
	}
	return nil
}

// olderThan compares versions, 5.26.30 and 2025.01.0 alike. What is not a number counts as 0.
func olderThan(version, than string) bool {
	return slices.CompareFunc(strings.Split(version, "."), strings.Split(than, "."), func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return cmp.Compare(x, y)
	}) < 0
}
