package api

import (
	"context"
	"strconv"
	"strings"
	"time"
)

const maxWait = 60 * time.Second

// waitOf reads the preference wait=N of a Prefer header, and how it was obeyed; 0 where there is none. What cannot be
// understood is not obeyed, as RFC 7240 has it.
func waitOf(prefer string) (time.Duration, string) {
	for part := range strings.FieldsFuncSeq(prefer, func(r rune) bool { return r == ',' || r == ';' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		seconds, err := strconv.ParseUint(strings.Trim(value, `" `), 10, 31)
		if strings.EqualFold(strings.TrimSpace(name), "wait") && err == nil && seconds > 0 {
			d := min(time.Duration(seconds)*time.Second, maxWait)
			return d, "wait=" + strconv.Itoa(int(d.Seconds()))
		}
	}
	return 0, ""
}

// follow calls look at once and then after each change of a memory or batch, until it answers false or an error, ctx is
// done, or the process stops (then it returns nil). It watches before it looks, so no change is missed; and it looks now
// and then without being told to, since events of other processes may not come here.
func (a *API) follow(ctx context.Context, workspace, id string, look func() (more bool, err error)) error {
	events, stop := a.parts.Live.Subscribe(ctx, workspace, id)
	defer stop()
	tick := time.NewTicker(a.cfg.PollInterval)
	defer tick.Stop()
	for {
		for len(events) > 0 { // several changes are one look
			<-events
		}
		if more, err := look(); !more || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.closing:
			return nil
		case <-events:
		case <-tick.C:
		}
	}
}
