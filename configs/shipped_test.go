package configs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// Compose lets a service replace what it merges, which to goccy is a key twice: hence AllowDuplicateMapKey.

// names are the variables that the configuration looks up: what a shipped file may set.
func names(t *testing.T) []string {
	t.Helper()
	var all []string
	if _, err := Load("", func(name string) (string, bool) { all = append(all, name); return "", false }); err != nil {
		t.Fatal(err)
	}
	return all
}

func load(t *testing.T, file string) Config {
	t.Helper()
	c, err := Load(file, environ(nil))
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestProductionYAMLIsUnderstood(t *testing.T) {
	t.Parallel()
	c := load(t, "production.yaml")
	if c.MetricsListen != "0.0.0.0:9464" || !c.Batch.SearchAttributes || c.WebhookAllow != "none" {
		t.Errorf("probes at %q, search attributes %v, webhooks reach %q", c.MetricsListen, c.Batch.SearchAttributes, c.WebhookAllow)
	}
}

func TestComposeSetsWhatIsKnown(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Services map[string]struct {
			Image       string
			Command     []string
			Environment map[string]string
			Healthcheck map[string]any
			DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
		}
		Volumes map[string]any
	}
	if err := yaml.UnmarshalWithOptions(raw, &c, yaml.AllowDuplicateMapKey()); err != nil {
		t.Fatal(err)
	}
	known := names(t)
	for name, s := range c.Services {
		if strings.HasPrefix(s.Image, "switchyard:") {
			for variable := range s.Environment {
				if !slices.Contains(known, variable) {
					t.Errorf("%s sets %s, which nothing reads", name, variable)
				}
			}
			if len(s.Environment) < 10 {
				t.Errorf("%s sets %d variables only", name, len(s.Environment))
			}
		} else if _, tag, ok := strings.Cut(s.Image, ":"); !ok || tag == "latest" {
			t.Errorf("%s: the image %s is not pinned", name, s.Image)
		}
		if needed := oldest[name]; needed != "" && !slices.IsSortedFunc([]string{needed, s.Image[strings.LastIndex(s.Image, ":")+1:]}, byVersion) {
			t.Errorf("%s: %s is older than %s, which Switchyard needs", name, s.Image, needed)
		}
		if s.Healthcheck == nil && name != "migrate" {
			t.Errorf("%s has no health check", name)
		}
	}
	for _, name := range []string{"serve", "worker", "migrate", "mongo", "qdrant", "neo4j", "redis", "temporal"} {
		if _, ok := c.Services[name]; !ok {
			t.Errorf("there is no service %s", name)
		}
	}
	if got := c.Services["serve"].DependsOn["migrate"].Condition; got != "service_completed_successfully" {
		t.Errorf("serve waits for %q of migrate", got)
	}
}

// oldest are the versions that the adapters need.
var oldest = map[string]string{"mongo": "5.0", "qdrant": "1.19", "neo4j": "5.23", "redis": "5.0"}

func byVersion(a, b string) int {
	numbers := func(s string) (n []int) {
		for part := range strings.SplitSeq(strings.TrimPrefix(s, "v"), ".") {
			i, _ := strconv.Atoi(part)
			n = append(n, i)
		}
		return n
	}
	return slices.Compare(numbers(a), numbers(b))
}

type object struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		MinAvailable int `yaml:"minAvailable"`
		Selector     map[string]any
		Template     struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				Grace      int `yaml:"terminationGracePeriodSeconds"`
				Containers []struct {
					Args           []string
					LivenessProbe  map[string]any `yaml:"livenessProbe"`
					ReadinessProbe map[string]any `yaml:"readinessProbe"`
					Lifecycle      map[string]any
				}
			}
		}
	}
}

func TestKubernetesManifests(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("kubernetes/switchyard.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]object{}
	for d := yaml.NewDecoder(bytes.NewReader(raw)); ; {
		var o object
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all[o.Kind+" "+o.Metadata.Name] = o
	}
	file := filepath.Join(t.TempDir(), "switchyard.yaml")
	if err := os.WriteFile(file, []byte(all["ConfigMap switchyard"].Data["switchyard.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := load(t, file); c.MetricsListen != "0.0.0.0:9464" {
		t.Errorf("the probes are at %q, not where the manifests look", c.MetricsListen)
	}
	for _, name := range []string{"serve", "worker"} {
		d := all["Deployment switchyard-"+name]
		if len(d.Spec.Template.Spec.Containers) != 1 || d.Spec.Template.Spec.Grace < 45 {
			t.Fatalf("%s: %+v", name, d.Spec.Template.Spec)
		}
		c := d.Spec.Template.Spec.Containers[0]
		if c.Args[0] != name || c.LivenessProbe == nil || c.ReadinessProbe == nil {
			t.Errorf("%s runs %v, probes %v %v", name, c.Args, c.LivenessProbe, c.ReadinessProbe)
		}
		budget := all["PodDisruptionBudget switchyard-"+name]
		selects, _ := budget.Spec.Selector["matchLabels"].(map[string]any)
		if budget.Spec.MinAvailable < 1 || selects["app"] != d.Spec.Template.Metadata.Labels["app"] {
			t.Errorf("%s: the budget keeps %d of %v", name, budget.Spec.MinAvailable, selects)
		}
	}
	if all["Deployment switchyard-serve"].Spec.Template.Spec.Containers[0].Lifecycle["preStop"] == nil {
		t.Error("a process that stops is sent requests for as long as the proxies do not know")
	}
	if all["Service switchyard"].Spec.Selector["app"] != "switchyard-serve" {
		t.Error("the service is not that of the API")
	}
}
