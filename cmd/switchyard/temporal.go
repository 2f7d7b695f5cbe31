package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	temporallog "go.temporal.io/sdk/log"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/embedded"
	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// openTemporal connects to the configured Temporal, or starts the embedded one. ui is the address of its web UI. The client
// connects when it is first used: Temporal may be away at the start.
func openTemporal(ctx context.Context, cfg *configs.Config, log *slog.Logger, measure client.MetricsHandler, c *closers) (tc client.Client, ui string, err error) {
	settings := cfg.Temporal
	if settings.Address == "" {
		listen := settings.UIListen
		if listen == "none" {
			listen = ""
		}
		server, err := embedded.Start(ctx, embedded.Config{
			Dir: filepath.Join(cfg.DataDir, "temporal"), Namespace: settings.Namespace, UIListen: listen, Logger: log,
		})
		if err != nil {
			return nil, "", err
		}
		c.add(server.Close)
		settings = configs.Temporal{Address: server.Address(), Namespace: settings.Namespace}
		ui = server.UIAddress()
		cfg.Batch.SearchAttributes = true
	}
	folder, err := folderOf(*cfg)
	if err != nil {
		return nil, "", err
	}
	tc, err = dialMeasured(settings, identity(folder), log, measure)
	if err != nil {
		return nil, "", err
	}
	c.add(func() error { tc.Close(); return nil })
	return tc, ui, nil
}

// dialTemporal makes a client that connects when it is first used.
func dialTemporal(t configs.Temporal, identity string, log *slog.Logger) (client.Client, error) {
	return dialMeasured(t, identity, log, client.MetricsNopHandler)
}

func dialMeasured(t configs.Temporal, identity string, log *slog.Logger, measure client.MetricsHandler) (client.Client, error) {
	tls, err := t.TLS.Config()
	if err != nil {
		return nil, fmt.Errorf("temporal.tls: %w", err)
	}
	opts := client.Options{HostPort: t.Address, Namespace: t.Namespace, Identity: identity, Logger: temporallog.NewStructuredLogger(quiet(log)), MetricsHandler: measure}
	opts.ConnectionOptions.DialOptions = faultyDials()
	opts.ConnectionOptions.TLS = tls // with an API key the client speaks TLS even where nothing is set here
	if t.APIKey != "" {
		opts.Credentials = client.NewAPIKeyStaticCredentials(t.APIKey)
	}
	tc, err := client.NewLazyClient(opts)
	if err != nil {
		return nil, fmt.Errorf("temporal client: %w", err)
	}
	return tc, nil
}

// folderOf names the data folder, where something that all processes must share is kept in it; "" where nothing is. The
// name is kept in the folder itself: a path says nothing about another machine.
func folderOf(cfg configs.Config) (string, error) {
	if cfg.Mongo.URI != "" && cfg.Qdrant.Addr != "" && cfg.Neo4j.URI != "" {
		return "", nil
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return "", fmt.Errorf("make the data folder: %w", err)
	}
	file := filepath.Join(cfg.DataDir, "folder.id")
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the folder
	if err == nil {
		_, err = f.WriteString(id.New(id.Process))
		err = errors.Join(err, f.Close())
	} else if errors.Is(err, os.ErrExist) { // an earlier start, or another process, made it
		err = nil
	}
	if err != nil {
		return "", fmt.Errorf("name the data folder: %w", err)
	}
	name, err := os.ReadFile(file) //nolint:gosec // see above
	return strings.TrimSpace(string(name)), err
}

// identity is what Temporal shows of this process. What is embedded is part of it, so that processes that cannot work
// together see each other: they share a Temporal server at least.
func identity(folder string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	name := fmt.Sprintf("%d@%s", os.Getpid(), host)
	if folder != "" {
		name += "@" + folderMark + folder
	}
	return name
}

const folderMark = "folder="

// strangers checks that the workers of the task queue work on the stores that this process works on: one of another
// folder would be given ids that it has never heard of. It asks Temporal who polled in the last five minutes.
func strangers(ctx context.Context, tc client.Client, queue, folder string) error {
	d, err := tc.DescribeTaskQueue(ctx, queue, enums.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return memory.Wrap(memory.CodeUnavailable, err, "Temporal does not say who works on the task queue "+queue)
	}
	for _, p := range d.GetPollers() {
		parts := strings.Split(p.GetIdentity(), "@")
		if len(parts) < 2 { // not one of ours
			continue
		}
		other, embeds := strings.CutPrefix(parts[len(parts)-1], folderMark)
		if !embeds {
			other = ""
		}
		if other != folder {
			return strangerError(queue, folder, other, parts[1], p.GetLastAccessTime().AsTime().Format("15:04:05"))
		}
	}
	return nil
}

func strangerError(queue, folder, other, host, at string) error {
	is := func(folder string) string {
		if folder == "" {
			return "stores on servers only"
		}
		return "an embedded store in the data folder " + folder
	}
	return memory.Errorf(memory.CodeConflict, "a worker on %s (seen at %s) looks after the task queue %s with %s, and this process has %s: "+
		"each would be given memories that only the other one knows. Processes on several machines need SWITCHYARD_MONGO_URI, SWITCHYARD_QDRANT_ADDR and "+
		"SWITCHYARD_NEO4J_URI; on one machine, the same --data folder. If that worker is gone for good, start again in five minutes, "+
		"or use another batch.task_queue", host, at, queue, is(other), is(folder))
}

// attributes are the search attributes of the durable track.
func attributes() map[string]enums.IndexedValueType {
	all := map[string]enums.IndexedValueType{}
	for _, name := range []string{embedded.AttributeWorkspace, embedded.AttributeMemory, embedded.AttributeBatch} {
		all[name] = enums.INDEXED_VALUE_TYPE_KEYWORD
	}
	return all
}

// missingAttributes are those that the namespace lacks.
func missingAttributes(ctx context.Context, tc client.Client, namespace string) ([]string, error) {
	known, err := tc.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, memory.Wrap(memory.CodeUnavailable, err, "Temporal does not list its search attributes")
	}
	var missing []string
	for name, kind := range attributes() {
		switch got, ok := known.GetCustomAttributes()[name]; {
		case !ok:
			missing = append(missing, name)
		case got != kind:
			return nil, memory.Errorf(memory.CodeConflict, "the search attribute %s is a %s in namespace %s; it must be a Keyword", name, got, namespace)
		}
	}
	slices.Sort(missing)
	return missing, nil
}

// checkTemporal says which search attributes are missing.
func checkTemporal(ctx context.Context, tc client.Client, namespace string) error {
	missing, err := missingAttributes(ctx, tc, namespace)
	if refuses(err) { // this key may not ask; starts of runs say it then
		return nil
	}
	if err != nil || len(missing) == 0 {
		return err
	}
	return memory.Errorf(memory.CodeConflict, "search attributes missing in namespace %s: %s", namespace, strings.Join(missing, ", "))
}

// migrateTemporal registers the search attributes that the namespace lacks. Temporal Cloud takes them by other ways only.
func migrateTemporal(ctx context.Context, tc client.Client, namespace string) error {
	missing, err := missingAttributes(ctx, tc, namespace)
	if refuses(err) {
		return cloudAdvice(namespace, slices.Sorted(maps.Keys(attributes())), err)
	}
	if err != nil || len(missing) == 0 {
		return err
	}
	add := map[string]enums.IndexedValueType{}
	for _, name := range missing {
		add[name] = attributes()[name]
	}
	_, err = tc.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: add})
	if refuses(err) {
		return cloudAdvice(namespace, missing, err)
	}
	return memory.Wrap(memory.CodeUnavailable, err, "Temporal did not take the search attributes")
}

// refuses reports whether the frontend does not take such calls from this key, as Temporal Cloud's does not.
func refuses(err error) bool {
	var (
		denied *serviceerror.PermissionDenied
		none   *serviceerror.Unimplemented
	)
	return errors.As(err, &denied) || errors.As(err, &none)
}

// cloudAdvice says how to do it by Temporal Cloud's own command.
func cloudAdvice(namespace string, names []string, err error) error {
	var b strings.Builder
	fmt.Fprintf(&b, "this frontend does not let clients register search attributes (Temporal Cloud does not). Run\n  tcld namespace search-attributes add --namespace %s", namespace)
	for _, name := range names {
		fmt.Fprintf(&b, " --search-attribute %q", name+"=Keyword")
	}
	b.WriteString("\nor leave them out: batch.search_attributes is false by default, and nothing but the search in Temporal's UI needs them")
	return memory.Wrap(memory.CodeForbidden, err, b.String())
}
