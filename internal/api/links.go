package api

import (
	"strings"
)

// made says, for each operation that answers with a resource or a list of them, where in the answer its id is.
func made() map[string]string {
	return map[string]string{
		"create-memory": "/id", "create-batch": "/id", "create-endpoint": "/id", "create-key": "/id", "test-endpoint": "/id",
		"list-deliveries": "/items/0/id", "list-nodes": "/items/0/id",
	}
}

// link adds, to each answer that shows an id, the operations that take it: what generated clients and testers follow.
func link(d object) {
	paths := at(d, "paths")
	for path, item := range paths {
		for _, op := range item.(object) { //nolint:forcetypeassert // a path holds operations
			o, _ := op.(object)
			name, _ := o["operationId"].(string)
			if where, ok := made()[name]; ok {
				linkAnswers(at(o, "responses"), where, takers(paths, base(name, path)))
			}
		}
	}
}

// base is the path below which the operations are that take the ids of an operation's answer.
func base(operation, path string) string {
	switch operation {
	case "test-endpoint", "list-deliveries":
		return "/v1/deliveries"
	}
	return path
}

// takers are the operations below a path that take an id.
func takers(paths object, base string) (ids []string) {
	for path, item := range paths {
		if !strings.HasPrefix(path, base+"/{id}") {
			continue
		}
		for _, op := range item.(object) { //nolint:forcetypeassert // a path holds operations
			if id, ok := op.(object)["operationId"].(string); ok { //nolint:forcetypeassert // likewise
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// linkAnswers adds the links to the answers of success that are JSON.
func linkAnswers(responses object, where string, operations []string) {
	for status, r := range responses {
		if status >= "300" {
			continue
		}
		links := object{}
		for _, id := range operations {
			links[id] = object{"operationId": id, "parameters": object{"id": "$response.body#" + where}}
		}
		r.(object)["links"] = links //nolint:forcetypeassert // a response is an object
	}
}
