package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// A finding is what doctor saw of one thing.
type finding struct {
	Part   string `json:"part"`
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
	Mend   string `json:"mend,omitempty"` // what to do; "" where it is well
}

// A diagnosis gathers findings.
type diagnosis struct{ findings []finding }

func (d *diagnosis) look(part, check, mend string, see func() (string, error)) bool {
	detail, err := see()
	f := finding{Part: part, Check: check, OK: err == nil, Detail: detail}
	if err != nil {
		f.Detail, f.Mend = err.Error(), mend
	}
	d.findings = append(d.findings, f)
	return err == nil
}

const examineTime = 30 * time.Second // one part's patience

// runDoctor looks at everything that Switchyard runs on.
func runDoctor(ctx context.Context, t *console, cfg configs.Config, asJSON bool) (err error) {
	d := &diagnosis{}
	if len(cfg.Embedded()) < 4 { // else it is for dev, which needs none of it
		d.look("settings", "serve and worker", "set what it names; `switchyard dev` needs none of it", func() (string, error) { return "can work together", workable(cfg) })
	}
	d.folder(cfg)
	s, err := openAside(ctx, cfg)
	if err != nil {
		d.look("settings", "open", "mend the setting", func() (string, error) { return "", err })
		return d.print(t, asJSON)
	}
	defer func() { err = errors.Join(err, s.closers.close()) }()
	for _, server := range s.stores.Servers {
		d.server(ctx, server)
	}
	d.probes(ctx, s)
	d.models(ctx, s)
	return d.print(t, asJSON)
}

// folder looks at the data folder, where one is used.
func (d *diagnosis) folder(cfg configs.Config) {
	if cfg.Mongo.URI != "" && cfg.Qdrant.Addr != "" && cfg.Neo4j.URI != "" {
		return
	}
	d.look("data folder", "writable", "choose another one with --data, or give this one to the user that Switchyard runs as", func() (string, error) {
		if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
			return "", err
		}
		f, err := os.CreateTemp(cfg.DataDir, "doctor")
		if err != nil {
			return "", err
		}
		return cfg.DataDir, errors.Join(f.Close(), os.Remove(f.Name()))
	})
	d.look("data folder", "free space", "make room: the embedded store stops taking memories when the disk is full", func() (string, error) {
		free, err := freeBytes(cfg.DataDir)
		if err == nil && free >= 0 && free < minFree {
			err = fmt.Errorf("%d MB are free", free>>20)
		}
		return fmt.Sprintf("%d MB", free>>20), err
	})
}

const minFree = 1 << 30

// server looks at one server: whether it answers, its version and clock, and what migrate makes.
func (d *diagnosis) server(ctx context.Context, s *dependency) {
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	where := cmp.Or(s.address, "this machine")
	there := d.look(s.name, "connection", "is it running, at "+where+", and may this machine reach it, with the user and password that are set?", func() (string, error) {
		start := time.Now()
		err := s.ping(ctx)
		return fmt.Sprintf("%s answers in %d ms", where, time.Since(start).Milliseconds()), err
	})
	if !there {
		return
	}
	if s.about != nil {
		d.look(s.name, "version", "look into its log", func() (string, error) { a, err := s.about(ctx); return cmp.Or(a.version, "it does not say"), err })
		d.clock(ctx, s)
	}
	if s.check != nil {
		d.look(s.name, "made for this version", "run switchyard migrate", func() (string, error) { return "all is there", s.check(ctx) })
	}
}

// maxSkew is how far clocks may be apart: leases of ten seconds are measured by them.
const maxSkew = 2 * time.Second

func (d *diagnosis) clock(ctx context.Context, s *dependency) {
	before := time.Now()
	a, err := s.about(ctx)
	if err != nil || a.clock.IsZero() {
		return // it does not say
	}
	middle := before.Add(time.Since(before) / 2)
	d.look(s.name, "clock", "set the clocks by NTP, there and here", func() (string, error) {
		skew := a.clock.Sub(middle).Round(time.Millisecond)
		if skew.Abs() > maxSkew {
			return "", fmt.Errorf("its clock is %v from this machine's", skew)
		}
		return fmt.Sprintf("%v from this machine's", skew), nil
	})
}

// doctorWorkspace is where doctor writes what it deletes again. Nobody has a key for it.
const doctorWorkspace = "switchyard-doctor"

// probes write something and delete it again, through the ports that the service uses.
func (d *diagnosis) probes(ctx context.Context, s *server) {
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	const mend = "give its user the right to read and write, and look into its log"
	m := memory.Memory{
		ID: id.New(id.Memory), Workspace: doctorWorkspace, Content: "switchyard doctor", Status: memory.StatusQueued, Track: memory.TrackDurable,
		CreatedAt: memory.Now(), UpdatedAt: memory.Now(),
	}
	d.look("documents", "write and delete", mend, func() (string, error) {
		_, err := s.stores.Memories.Put(ctx, []store.Intake{{Memory: m, Lease: store.Lease{Owner: "doctor", Until: time.Now().Add(time.Hour)}}})
		return "done", errors.Join(err, s.stores.Memories.Delete(ctx, doctorWorkspace, m.ID))
	})
	d.look("graph", "write and delete", mend, func() (string, error) {
		g := memory.Graph{Nodes: []memory.Node{{ID: store.NodeID(doctorWorkspace, "Probe", "Doctor"), Type: "Probe", Name: "Doctor"}}}
		err := s.stores.Graph.Merge(ctx, []store.Mention{{Ref: memory.Ref{Workspace: doctorWorkspace, ID: m.ID, Version: 1}, Graph: g}})
		return "done", errors.Join(err, s.stores.Graph.Delete(ctx, doctorWorkspace, m.ID))
	})
	d.look("vectors", "write and delete", mend+"; after a change of the embedding model: switchyard reindex", func() (string, error) { return s.probeVectors(ctx, m.ID) })
}

// probeVectors writes only where the model is settled: the first vectors of all would settle it.
func (s *server) probeVectors(ctx context.Context, memoryID string) (string, error) {
	stored, err := s.stores.Vectors.Model(ctx)
	if err != nil {
		return "", err
	}
	if err := checkModel(ctx, s.stores, s.models); err != nil || stored.ID == "" {
		return "nothing is stored yet: the model is settled by the first memory", err
	}
	v, err := s.models.Embedder.Embed(ctx, []string{"switchyard doctor"})
	if err != nil {
		return "", err
	}
	p := store.Point{Workspace: doctorWorkspace, MemoryID: memoryID, Version: 1, End: 17, Text: "switchyard doctor", Vector: v.Vectors[0]}
	err = s.stores.Vectors.Upsert(ctx, stored, []store.Point{p})
	return "done, with vectors of " + stored.ID, errors.Join(err, s.stores.Vectors.Delete(ctx, doctorWorkspace, memoryID))
}

// models asks each language model something small.
func (d *diagnosis) models(ctx context.Context, s *server) {
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	d.look("chat model", s.models.Extractor.Model(), "check SWITCHYARD_CHAT_BASE_URL, …_API_KEY and …_MODEL: does that server have this model, and the account credit?", func() (string, error) {
		a, err := s.models.Extractor.UseCases(ctx, llm.Question{Content: "Dorothy lived in Kansas with Aunt Em."})
		return fmt.Sprintf("%s answers, %d tokens", a.Usage.Model, a.Usage.Tokens), err
	})
	d.look("embedding model", s.models.Embedder.Model(), "check SWITCHYARD_EMBEDDING_BASE_URL, …_API_KEY and …_MODEL", func() (string, error) {
		m, err := modelOf(ctx, s.models)
		return fmt.Sprintf("answers with %d dimensions", m.Dimensions), err
	})
	d.look("access", "the development key", "set SWITCHYARD_DEV_KEY to a key of your own, and revoke key_dev", func() (string, error) {
		if _, err := s.stores.Keys.Lookup(ctx, sha256.Sum256([]byte(configs.Default().DevKey))); err == nil && s.cfg.Mongo.URI != "" {
			return "", errors.New("sk_dev, which everybody knows, is a key of these stores")
		}
		return "not in use on servers", nil
	})
}

// print writes a line each, and ends with 3 where something is wrong.
func (d *diagnosis) print(t *console, asJSON bool) error {
	wrong := 0
	for _, f := range d.findings {
		if !f.OK {
			wrong++
		}
	}
	if asJSON {
		if err := t.printJSON(struct {
			OK       bool      `json:"ok"`
			Findings []finding `json:"findings"`
		}{wrong == 0, d.findings}); err != nil {
			return err
		}
	} else {
		d.lines(t)
	}
	if wrong > 0 {
		return exitWith(exitPartly, "%s wrong", plural(wrong, "thing"))
	}
	return nil
}

func (d *diagnosis) lines(t *console) {
	for _, f := range d.findings {
		mark := t.paint(green, "ok   ")
		if !f.OK {
			mark = t.paint(red, "wrong")
		}
		fmt.Fprintf(t.out, "%s  %s, %s: %s\n", mark, f.Part, f.Check, harmless(f.Detail))
		if f.Mend != "" {
			fmt.Fprintf(t.out, "       → %s\n", f.Mend)
		}
	}
}

// below is the folder, or the nearest one above it that is there.
func below(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}
