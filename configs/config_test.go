package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func environ(pairs map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := pairs[name]; return v, ok }
}

func TestLoad(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "c.yaml")
	text := "mongo: {uri: 'mongodb://file'}\nneo4j: {user: file, pool: 7}\nbatch: {work: llm, window: 9}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(file, environ(map[string]string{
		"SWITCHYARD_MONGO_URI": "mongodb://env", "SWITCHYARD_QDRANT_TLS": "true", "SWITCHYARD_WORK": "store", "SWITCHYARD_NEO4J_USER": "",
		"SWITCHYARD_TEMPORAL_TLS_CA": "ca.pem",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Mongo.URI, want.Neo4j.User, want.Neo4j.Pool, want.Qdrant.TLS.Enabled = "mongodb://env", "file", 7, true
	want.Batch.Work, want.Batch.Window, want.Temporal.TLS.CAFile = "store", 9, "ca.pem"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("flag > environment > file > default (-want +got):\n" + diff)
	}
}

func TestAFileThatSaysNothingChangesNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "# nothing\n"} {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Load(file, environ(nil))
		if diff := cmp.Diff(Default(), got); err != nil || diff != "" {
			t.Errorf("%q: %v, %s", text, err, diff)
		}
	}
}

func TestMistakesAreNamed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		yaml string
		env  map[string]string
		want string
	}{
		"UnknownField":  {yaml: "mongo: {url: x}", want: "url"},
		"NoBoolean":     {env: map[string]string{"SWITCHYARD_QDRANT_TLS": "maybe"}, want: `SWITCHYARD_QDRANT_TLS is "maybe"`},
		"NoPort":        {env: map[string]string{"SWITCHYARD_QDRANT_ADDR": "qdrant"}, want: "must be host:port"},
		"AURL":          {env: map[string]string{"SWITCHYARD_TEMPORAL_ADDRESS": "https://t:7233"}, want: "SWITCHYARD_TEMPORAL_ADDRESS"},
		"NoScheme":      {env: map[string]string{"SWITCHYARD_MONGO_URI": "secret@host"}, want: "must begin with mongodb:// or mongodb+srv://"},
		"AnotherScheme": {env: map[string]string{"SWITCHYARD_NEO4J_URI": "http://n"}, want: "must begin with neo4j://"},
		"RedisScheme":   {env: map[string]string{"SWITCHYARD_REDIS_URL": "localhost:6379"}, want: "must begin with redis://"},
		"HalfAPair":     {env: map[string]string{"SWITCHYARD_TEMPORAL_TLS_CERT": "c.pem"}, want: "belong together"},
		"HalfAPairToo":  {env: map[string]string{"SWITCHYARD_REDIS_URL": "rediss://r", "SWITCHYARD_REDIS_TLS_KEY": "k.pem", "SWITCHYARD_REDIS_TLS_CA": "c"}, want: "redis.tls: cert_file and key_file belong together"},
		"PlainNeo4j":    {env: map[string]string{"SWITCHYARD_NEO4J_URI": "neo4j://n", "SWITCHYARD_NEO4J_TLS_CA": "c.pem"}, want: "must begin with neo4j+s:// or bolt+s://"},
		"PlainRedis":    {env: map[string]string{"SWITCHYARD_REDIS_URL": "redis://:secret@r", "SWITCHYARD_REDIS_TLS_CA": "c.pem"}, want: "must begin with rediss://"},
		"Neo4jsName":    {yaml: "neo4j: {uri: neo4j+s://n, tls: {server_name: other}}", want: "neo4j.tls.server_name"},
		"UnknownWork":   {env: map[string]string{"SWITCHYARD_WORK": "some"}, want: "all, llm or store"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "c.yaml")
			if err := os.WriteFile(file, []byte(tc.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := Load(file, environ(tc.env))
			if err == nil {
				err = c.Validate()
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %q in it, and no secret", err, tc.want)
			}
		})
	}
}

func TestEmbeddedNamesWhatIsNotSet(t *testing.T) {
	t.Parallel()
	c := Default()
	c.Qdrant.Addr, c.Temporal.Address = "q:6334", "t:7233"
	if diff := cmp.Diff([]string{"SWITCHYARD_MONGO_URI", "SWITCHYARD_NEO4J_URI"}, c.Embedded()); diff != "" {
		t.Error(diff)
	}
}

func TestHide(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"mongodb://u:secret@h1:27017/db": "mongodb://u:xxxxx@h1:27017/db",
		"neo4j://h":                      "neo4j://h",
		"mongodb://u:se%cret@h":          "h",
	} {
		if got := Hide(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
