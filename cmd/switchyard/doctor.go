package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/switchyard-ai/switchyard/configs"
)

// A finding is what doctor saw of one thing.
type finding struct {
	Part   string `json:"part"`
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Notice bool   `json:"notice,omitempty"` // worth knowing, though nothing is wrong
	Detail string `json:"detail,omitempty"`
	Mend   string `json:"mend,omitempty"` // what to do; "" where it is well
}

// An ailment is an error with a remedy of its own, where that of the check does not serve. A mild one is worth knowing, and
// no reason to say that something is wrong.
type ailment struct {
	error

	mend string // "": the check's
	mild bool
}

func mild(mend, format string, args ...any) error {
	return ailment{fmt.Errorf(format, args...), mend, true}
}

// A diagnosis gathers findings.
type diagnosis struct {
	findings []finding
	now      func() time.Time
}

// look notes what a check sees, and reports whether nothing is wrong.
func (d *diagnosis) look(part, check, mend string, see func() (string, error)) bool {
	detail, err := see()
	f := finding{Part: part, Check: check, OK: err == nil, Detail: detail}
	if err != nil {
		var a ailment
		errors.As(err, &a)
		f.OK, f.Notice, f.Detail, f.Mend = a.mild, a.mild, err.Error(), cmp.Or(a.mend, mend)
	}
	d.findings = append(d.findings, f)
	return f.OK
}

const examineTime = 30 * time.Second // one part's patience

// runDoctor looks at everything that Switchyard runs on.
func runDoctor(ctx context.Context, t *console, cfg configs.Config, asJSON bool) error {
	d := &diagnosis{now: time.Now}
	return errors.Join(d.everything(ctx, cfg), d.print(t, asJSON))
}

// everything gathers the findings. Its error is not one of them: it is of doctor itself.
func (d *diagnosis) everything(ctx context.Context, cfg configs.Config) (err error) {
	if len(cfg.Embedded()) < 4 { // else it is for dev, which needs none of it
		d.look("settings", "serve and worker", "set what it names; `switchyard dev` needs none of it", func() (string, error) { return "can work together", workable(cfg) })
	}
	d.folder(cfg)
	s, err := openAside(ctx, cfg)
	if err != nil {
		d.look("settings", "open", "mend the setting", func() (string, error) { return "", err })
		return nil
	}
	defer func() { err = errors.Join(err, s.closers.close()) }()
	for _, server := range s.stores.Servers {
		d.server(ctx, server)
	}
	d.key(ctx, s)
	d.probes(ctx, s)
	d.models(ctx, s)
	d.access(ctx, s)
	return nil
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
		switch {
		case f.Notice:
			mark = t.paint(yellow, "note ")
		case !f.OK:
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
