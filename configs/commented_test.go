package configs_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/configs"
)

var update = flag.Bool("update", false, "write the commented configuration anew")

const (
	module      = "github.com/switchyard-ai/switchyard"
	aboutItself = `## Settings of Switchyard. Flags come before SWITCHYARD_* in the environment, those before this file, this file before the defaults.
##
## Lines with ## are words, those with # settings with their defaults: take the # away, from the line of the section too, and change the
## value. A part that is not set runs embedded, in the process itself.
`
)

// comments are the doc comments of the fields of the module's structs, by package path, type and field.
type comments map[string]string

func readComments(t *testing.T) comments {
	t.Helper()
	all := comments{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel("..", filepath.Dir(path))
		all.add(module+"/"+filepath.ToSlash(dir), f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (c comments) add(pkg string, f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		s, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, field := range s.Fields.List {
			doc := strings.TrimSpace(field.Doc.Text())
			if doc == "" {
				doc = strings.TrimSpace(field.Comment.Text())
			}
			for _, name := range field.Names {
				c[pkg+"."+spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(doc), " ")
			}
		}
		return true
	})
}

// writer writes the settings of a struct.
type writer struct {
	comments
	bytes.Buffer
	undocumented []string
}

func (w *writer) structure(t reflect.Type, indent string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case options == "inline" || f.Anonymous:
			w.structure(f.Type, indent)
		case f.Type.Kind() == reflect.Struct:
			w.words(t, f, indent, false)
			fmt.Fprintf(w, "#%s%s:\n", indent, name)
			w.structure(f.Type, indent+"  ")
		default:
			w.words(t, f, indent, true)
			fmt.Fprintf(w, "#%s%s: %s\n", indent, name, w.value(t, f))
		}
	}
}

// words writes what a field is for, its own name in the code replaced by that in the file.
func (w *writer) words(t reflect.Type, f reflect.StructField, indent string, must bool) {
	doc := w.comments[t.PkgPath()+"."+t.Name()+"."+f.Name]
	if doc == "" && must {
		w.undocumented = append(w.undocumented, t.String()+"."+f.Name)
	}
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	doc = regexp.MustCompile(`^`+f.Name+`\b`).ReplaceAllString(doc, name)
	w.WriteString("\n")
	line := "## " + indent
	for word := range strings.FieldsSeq(doc) {
		if len(line)+len(word) > 110 {
			w.WriteString(strings.TrimRight(line, " ") + "\n")
			line = "## " + indent
		}
		line += word + " "
	}
	if doc != "" {
		w.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

var (
	stated = regexp.MustCompile(`Default:? (?:is )?("[^"]*"|[^ ]+?)(?:[,:;.] |[,:;.]?$)`)
	number = regexp.MustCompile(`^-?[0-9][0-9,]*(\.[0-9]+)?$`)
	span   = regexp.MustCompile(`^([0-9.]+(ms|s|m|h))+$`)
)

// value is the default as the comment states it, or, where it does so in words only, the value that stands for it.
func (w *writer) value(t reflect.Type, f reflect.StructField) string {
	said := ""
	if m := stated.FindStringSubmatch(w.comments[t.PkgPath()+"."+t.Name()+"."+f.Name]); m != nil {
		said = m[1]
	}
	switch k := f.Type.Kind(); {
	case f.Type == reflect.TypeFor[time.Duration]():
		if span.MatchString(said) {
			return said
		}
		return "0s"
	case k == reflect.String:
		if strings.HasPrefix(said, `"`) {
			return said
		}
		return `""`
	case k == reflect.Bool:
		if said == "true" {
			return said
		}
		return "false"
	case k == reflect.Slice:
		return "[]"
	case k == reflect.Map:
		return "{}"
	}
	if number.MatchString(said) {
		return strings.ReplaceAll(said, ",", "")
	}
	return "0"
}

func TestTheCommentedFileIsWhatTheCodeSays(t *testing.T) {
	t.Parallel()
	w := &writer{comments: readComments(t)}
	w.WriteString(aboutItself)
	w.structure(reflect.TypeFor[configs.Config](), "")
	for _, name := range w.undocumented {
		t.Errorf("%s has no comment", name)
	}
	if *update {
		if err := os.WriteFile("switchyard.yaml", w.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(w.String(), string(configs.Commented)); diff != "" {
		t.Errorf("the file differs from what the code says; write it anew with go test ./configs -update (-code +file):\n%s", diff)
	}
}

func none(string) (string, bool) { return "", false }

func loadText(t *testing.T, text string) configs.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "switchyard.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := configs.Load(file, none)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	return c
}

func TestTheCommentedFileChangesNothing(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(configs.Default(), loadText(t, string(configs.Commented))); diff != "" {
		t.Errorf("-default +file:\n%s", diff)
	}
}

// TestTheCommentedFileStatesTheDefaults takes every # away: each line is a setting that exists, and what the code fills in
// is what was there.
func TestTheCommentedFileStatesTheDefaults(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for line := range strings.Lines(string(configs.Commented)) {
		if setting, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(line, "##") {
			text.WriteString(setting)
		}
	}
	got := loadText(t, text.String())
	want := configs.Default()
	for _, row := range []struct{ name, got, want string }{
		{"listen", got.Listen, want.Listen}, {"data_dir", got.DataDir, want.DataDir}, {"dev_key", got.DevKey, want.DevKey},
		{"log_level", got.LogLevel, want.LogLevel}, {"temporal.namespace", got.Temporal.Namespace, want.Temporal.Namespace},
		{"temporal.ui_listen", got.Temporal.UIListen, want.Temporal.UIListen},
	} {
		if row.got != row.want {
			t.Errorf("%s: the file says %q, the code %q", row.name, row.got, row.want)
		}
	}
	if diff := cmp.Diff(want.Pipeline.WithDefaults(), got.Pipeline); diff != "" {
		t.Errorf("pipeline: -code +file:\n%s", diff)
	}
	if diff := cmp.Diff(want.Routing.WithDefaults(), got.Routing); diff != "" {
		t.Errorf("routing: -code +file:\n%s", diff)
	}
}

func TestASectionMayStandThereWithNothingInIt(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(configs.Default(), loadText(t, "pipeline:\n#  attempts: 3\ntemporal:\n")); diff != "" {
		t.Errorf("-default +file:\n%s", diff)
	}
}
