package api

import (
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/search"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// newSchemas makes the registry that turns types into schemas.
func newSchemas() huma.Registry {
	r := huma.NewMapRegistry("#/components/schemas/", nameOf)
	r.RegisterTypeAlias(reflect.TypeFor[memory.Time](), reflect.TypeFor[time.Time]())
	return r
}

// nameOf names the schema of a type; the types of other packages by what they are out here.
func nameOf(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[memory.Input]():
		return "MemoryInput"
	case reflect.TypeFor[memory.Fault]():
		return "Fault"
	case reflect.TypeFor[search.Item]():
		return "SearchHit"
	case reflect.TypeFor[search.Answer]():
		return "SearchAnswer"
	case reflect.TypeFor[search.Usage]():
		return "SearchUsage"
	case reflect.TypeFor[intake.Report]():
		return "DryRunReport"
	case reflect.TypeFor[store.Attempt]():
		return "DeliveryAttempt"
	}
	return huma.DefaultSchemaNamer(t, hint)
}
