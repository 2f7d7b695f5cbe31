// Command configcheck loads the files that a deployment starts from with the libraries of the programs that will: compose.yaml
// as `docker compose config` does, the Kubernetes manifests strictly into the types of their API. It is a module of its
// own, so that Switchyard does not depend on these.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/cli"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: configcheck FOLDER")
		os.Exit(2)
	}
	dir := os.Args[1]
	if err := errors.Join(compose(filepath.Join(dir, "compose.yaml")), kubernetes(filepath.Join(dir, "kubernetes"))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// compose loads a file with all its profiles. What it wants from .env is given here.
func compose(file string) error {
	options, err := cli.NewProjectOptions([]string{file},
		cli.WithEnv([]string{"NEO4J_PASSWORD=x", "SWITCHYARD_WEBHOOK_KEY=x", "SWITCHYARD_KEY=x"}), cli.WithProfiles([]string{"*"}), cli.WithConsistency(true))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	if _, err := project.MarshalYAML(); err != nil {
		return err
	}
	fmt.Printf("%s: %d services\n", file, len(project.Services))
	return nil
}

// kubernetes decodes every manifest in the folder; a field that its kind does not have is an error.
func kubernetes(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.Join(err, fmt.Errorf("%s: no manifests", dir))
	}
	var errs []error
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		manifests := bytes.Split(raw, []byte("\n---\n"))
		for i, m := range manifests {
			if err := manifest(m); err != nil {
				errs = append(errs, fmt.Errorf("%s, manifest %d: %w", file, i+1, err))
			}
		}
		fmt.Printf("%s: %d manifests\n", file, len(manifests))
	}
	return errors.Join(errs...)
}

func manifest(raw []byte) error {
	var is core.ObjectReference // has what all have
	if err := yaml.Unmarshal(raw, &is); err != nil {
		return err
	}
	into, ok := map[string]any{
		"v1 ConfigMap": &core.ConfigMap{}, "v1 Service": &core.Service{}, "apps/v1 Deployment": &apps.Deployment{}, "batch/v1 Job": &batch.Job{},
		"policy/v1 PodDisruptionBudget": &policy.PodDisruptionBudget{},
	}[is.APIVersion+" "+is.Kind]
	if !ok {
		return fmt.Errorf("the kind %s %s is not known here: add its type", is.APIVersion, is.Kind)
	}
	return yaml.UnmarshalStrict(raw, into)
}
