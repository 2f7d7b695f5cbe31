package main

import (
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// console is where a command reads and writes. Results go to out, everything else to err.
type console struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	now      func() time.Time
	zone     *time.Location // of the times shown to people

	colour, colourErr bool // out and err are terminals that want colours
	live              bool // err is a terminal: lines can be written over
	width             int  // of the terminal, in characters
}

const plainWidth = 100 // where there is no terminal

// newConsole looks at what the streams are. NO_COLOR (any value) turns colours off: see no-color.org.
func newConsole(in, out, err *os.File) *console {
	plain := os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
	t := &console{
		in: in, out: out, err: err, env: os.Getenv, now: time.Now, zone: time.Local, width: plainWidth,
		live:      isTerminal(err) && os.Getenv("TERM") != "dumb",
		colour:    isTerminal(out) && !plain,
		colourErr: isTerminal(err) && !plain,
	}
	for _, f := range []*os.File{err, out} {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			t.width = w
		}
	}
	return t
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// style is a colour of a terminal.
type style string

const (
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

func (t *console) paint(s style, text string) string    { return paint(t.colour, s, text) }
func (t *console) paintErr(s style, text string) string { return paint(t.colourErr, s, text) }

func paint(on bool, s style, text string) string {
	if !on || s == "" || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}
