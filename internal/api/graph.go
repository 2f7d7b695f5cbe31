package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func (a *API) graphRoutes() {
	serve(a, route{
		id: "list-nodes", method: http.MethodGet, path: "/v1/graph/nodes", tag: "Graph", scope: store.ScopeRead,
		summary: "Find nodes of the graph", about: "Those that most memories speak of first. Each names the memories that it comes from.",
		errors: []int{http.StatusUnprocessableEntity}, answer: `{"items":[` + exampleNode + `],"next_cursor":null}`,
	}, a.listNodes)
	serve(a, route{
		id: "list-neighbours", method: http.MethodGet, path: "/v1/graph/nodes/{id}/neighbours", tag: "Graph", scope: store.ScopeRead,
		summary: "Read what is around a node", about: "All within `depth` relationships, nearest first, with the relationships between them and the memories that all of it comes from.",
		answer: `{"nodes":[` + exampleNode + `],"relationships":[]}`,
	}, a.listNeighbours)
	serve(a, route{
		id: "get-schema", method: http.MethodGet, path: "/v1/schema", tag: "Graph", scope: store.ScopeRead,
		summary: "Read the types that the graph may use", answer: exampleSchema,
	}, a.getSchema)
	serve(a, route{
		id: "put-schema", method: http.MethodPut, path: "/v1/schema", tag: "Graph", scope: store.ScopeWrite,
		summary: "Set the types that the graph may use",
		about:   "`strict`: nodes and relationships have these types and no others. `open`: these are preferred. It holds for memories that are processed from now on.",
		errors:  []int{http.StatusConflict}, request: exampleSchema, answer: exampleSchema,
	}, a.putSchema)
}

type listNodesInput struct {
	Paging
	Name string `query:"name" doc:"Only those of the name; case, articles and punctuation do not matter." example:"Dorothy"`
	Type string `query:"type" doc:"Only those of the type." example:"person"`
}

func (a *API) listNodes(ctx context.Context, in *listNodesInput) (*body[List[memory.Node]], error) {
	nodes, cursor, err := a.parts.Graph.Nodes(ctx, store.NodeQuery{
		Workspace: workspaceOf(ctx), Name: in.Name, Type: in.Type, Limit: in.Limit, Cursor: in.Cursor,
	})
	return listOf(nodes, cursor), err
}

type neighboursInput struct {
	ID    string `path:"id" doc:"The node's id." example:"nod_00000000003VQ8T1J2K4M5N6P7"`
	Depth int    `query:"depth" minimum:"1" maximum:"3" default:"1" doc:"How many relationships away."`
	Limit int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"How many nodes to return at most."`
}

func (a *API) listNeighbours(ctx context.Context, in *neighboursInput) (*body[memory.Graph], error) {
	g, err := a.parts.Graph.Neighbours(ctx, workspaceOf(ctx), []string{in.ID}, in.Depth, in.Limit)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(g.Nodes, func(n memory.Node) bool { return n.ID == in.ID }) {
		return nil, memory.Errorf(memory.CodeNotFound, "there is no node of that id")
	}
	return &body[memory.Graph]{g}, nil
}

// Schema is the workspace's own node and relationship types.
type Schema struct {
	Mode          string       `json:"mode" required:"false" enum:"strict,open" default:"open"`
	Nodes         []SchemaType `json:"nodes" required:"false" maxItems:"200"`
	Relationships []SchemaType `json:"relationships" required:"false" maxItems:"200"`
}

// SchemaType is a node or relationship type.
type SchemaType struct {
	Name        string `json:"name" minLength:"1" maxLength:"100" pattern:"^[A-Za-z][A-Za-z0-9_ -]*$" patternDescription:"a letter, then letters, digits, blanks, _ and -"`
	Description string `json:"description,omitempty" maxLength:"1000"`
}

type schemaInput struct {
	Body Schema
}

// workspace reads the caller's workspace. One that nothing was saved of yet has no revision.
func (a *API) workspace(ctx context.Context) (store.Workspace, error) {
	w, err := a.parts.Workspaces.Get(ctx, workspaceOf(ctx))
	if memory.CodeOf(err) == memory.CodeNotFound {
		return store.Workspace{ID: workspaceOf(ctx), CreatedAt: memory.Now()}, nil
	}
	return w, err
}

// changeTries is how often a change of the workspace is made anew because another one, of something else, was faster.
const changeTries = 10

func (a *API) changeWorkspace(ctx context.Context, change func(*store.Workspace)) (err error) {
	for range changeTries {
		w, failed := a.workspace(ctx)
		if failed != nil {
			return failed
		}
		change(&w)
		if err = a.parts.Workspaces.Save(ctx, w); memory.CodeOf(err) != memory.CodeConflict {
			return err
		}
	}
	return err
}

func (a *API) getSchema(ctx context.Context, _ *struct{}) (*body[Schema], error) {
	w, err := a.workspace(ctx)
	if err != nil {
		return nil, err
	}
	s := Schema{Mode: "open"}
	if len(w.Schema) > 0 {
		if err := json.Unmarshal(w.Schema, &s); err != nil {
			return nil, memory.Wrap(memory.CodeInternal, err, "the stored schema cannot be read")
		}
	}
	return &body[Schema]{s.full()}, nil
}

func (a *API) putSchema(ctx context.Context, in *schemaInput) (*body[Schema], error) {
	s := in.Body.full()
	if s.Mode == "strict" && len(s.Nodes) == 0 {
		return nil, &memory.Error{Code: memory.CodeInvalid, Pointer: "/nodes", Message: "a strict schema needs at least one type"}
	}
	encoded, err := json.Marshal(s.stored())
	if err != nil {
		return nil, err
	}
	return &body[Schema]{s}, a.changeWorkspace(ctx, func(w *store.Workspace) { w.Schema = encoded })
}

// full is the schema with nothing left out.
func (s Schema) full() Schema {
	if s.Mode == "" {
		s.Mode = "open"
	}
	if s.Nodes == nil {
		s.Nodes = []SchemaType{}
	}
	if s.Relationships == nil {
		s.Relationships = []SchemaType{}
	}
	return s
}

// stored is the schema as the pipeline reads it.
func (s Schema) stored() llm.Schema {
	types := func(list []SchemaType) (out []llm.Type) {
		for _, t := range list {
			out = append(out, llm.Type{Name: t.Name, Description: t.Description})
		}
		return out
	}
	return llm.Schema{Mode: s.Mode, Nodes: types(s.Nodes), Relationships: types(s.Relationships)}
}
