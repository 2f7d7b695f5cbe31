package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/webhooks"
)

// models asks each language model something small, and its server for the models that it has.
func (d *diagnosis) models(ctx context.Context, s *server) {
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	d.listed(ctx, "chat model", "SWITCHYARD_CHAT_MODEL", s.models.Extractor.Model(), s.models.Extractor)
	d.look("chat model", s.models.Extractor.Model(), "check SWITCHYARD_CHAT_BASE_URL, …_API_KEY and …_MODEL: does that server have this model, and the account credit?", func() (string, error) {
		a, err := s.models.Extractor.UseCases(ctx, llm.Question{Content: "Dorothy lived in Kansas with Aunt Em."})
		return fmt.Sprintf("%s answers, %d tokens", a.Usage.Model, a.Usage.Tokens), err
	})
	d.listed(ctx, "embedding model", "SWITCHYARD_EMBEDDING_MODEL", s.models.Embedder.Model(), s.models.Embedder)
	d.look("embedding model", s.models.Embedder.Model(), "check SWITCHYARD_EMBEDDING_BASE_URL, …_API_KEY and …_MODEL", func() (string, error) {
		m, err := modelOf(ctx, s.models)
		return fmt.Sprintf("answers with %d dimensions", m.Dimensions), err
	})
}

// A lister knows the names of the models of its server; false: the server does not tell.
type lister interface {
	Models(ctx context.Context) (names []string, listed bool, err error)
}

// listed looks whether the server's list of models has the one that is set. The local models have no server.
func (d *diagnosis) listed(ctx context.Context, part, setting, model string, of any) {
	server, ok := of.(lister)
	if !ok {
		return
	}
	d.look(part, "name", "is the server's address right, and the key?", func() (string, error) {
		names, listed, err := server.Models(ctx)
		switch {
		case err != nil:
			return "", err
		case !listed:
			return "", mild("nothing has to be done: not every server has such a list, nor every key the right to read it", "the server does not tell which models it has, so the name %q is not checked", model)
		case slices.Contains(names, model), slices.Contains(names, model+":latest"): // as Ollama completes names
			return fmt.Sprintf("%s is one of the %s that the server lists", model, plural(len(names), "model")), nil
		}
		return "", ailment{fmt.Errorf("the server lists no model %q", model), meant(setting, model, names), false}
	})
}

// meant says which names the one that is not known may have been meant for.
func meant(setting, model string, names []string) string {
	if len(names) == 0 {
		return "the server lists no model at all: load one there, and set " + setting + " to its name"
	}
	return "set " + setting + " to a name that it lists, such as " + strings.Join(nearest(model, names, 3), ", ")
}

// nearest are the n names that are most like the one given.
func nearest(name string, names []string, n int) []string {
	names = slices.Clone(names)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(apart(name, a), apart(name, b)) })
	return names[:min(n, len(names))]
}

// apart is how many letters have to be changed, added or taken away to make one name of the other; a name within the other,
// as in a namespace or with a date behind it, is next to it.
func apart(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if strings.Contains(a, b) || strings.Contains(b, a) {
		return 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// key looks whether this configuration opens what the processes seal. A keyfile is left to who makes it.
func (d *diagnosis) key(ctx context.Context, s *server) {
	if s.cfg.WebhookKey == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	d.look("webhooks", "key", "set SWITCHYARD_WEBHOOK_KEY to the one of the other processes, and those before it in webhooks.old_keys; if it is lost: switchyard migrate --forget-webhook-key", func() (string, error) {
		seals, err := sealer(s.cfg)
		if err != nil {
			return "", err
		}
		err = webhooks.KeyKnown(ctx, s.stores.Workspaces, seals)
		if errors.Is(err, webhooks.ErrNoKey) {
			return "", mild("nothing has to be done: the first process, or switchyard migrate, leaves its mark", "%w", err)
		}
		return "opens what is sealed", err
	})
}

// access looks whether the key that everybody knows opens the stores. Only where they say that it does not, it does not.
func (d *diagnosis) access(ctx context.Context, s *server) {
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	if s.cfg.Mongo.URI == "" {
		return // the embedded store is for dev, whose key it is
	}
	d.look("access", "the development key", "set SWITCHYARD_DEV_KEY to a key of your own, and revoke key_dev", func() (string, error) {
		_, err := s.stores.Keys.Lookup(ctx, sha256.Sum256([]byte(configs.Default().DevKey)))
		switch {
		case err == nil:
			return "", errors.New("sk_dev, which everybody knows, is a key of these stores")
		case memory.CodeOf(err) == memory.CodeNotFound:
			return "refused", nil
		}
		return "", ailment{fmt.Errorf("whether sk_dev, which everybody knows, is refused is not known: %w", err), "mend what keeps the stores from answering, and run doctor again", false}
	})
}
