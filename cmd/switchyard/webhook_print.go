package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/client"
)

// printEndpoint shows an endpoint; its secret, or public key, where the server has just shown it.
func (r *remote) printEndpoint(e client.Endpoint) error {
	if r.json {
		return r.printJSON(e)
	}
	state := r.paint(green, "enabled")
	if !e.Enabled {
		state = r.paint(red, "disabled: "+harmless(e.DisabledReason))
	}
	fmt.Fprintf(r.out, "%s  %s\n", r.paint(bold, e.ID), state)
	format := e.Format
	if format == "standard" {
		format = ""
	}
	failing := ""
	if e.FailingSince != nil {
		failing = "since " + r.when(*e.FailingSince)
	}
	r.printFields([][2]string{
		{"url", harmless(e.URL)}, {"for", harmless(e.Description)}, {"events", eventsOf(e)}, {"headers", strings.Join(e.HeaderNames, ", ")},
		{"signing", e.Signing}, {"format", format}, {"failing", failing}, {"secret", e.Secret}, {"public key", e.PublicKey},
	})
	if r.live && (e.Secret != "" || e.PublicKey != "") {
		fmt.Fprintln(r.err, r.paintErr(dim, "this is shown this once"))
	}
	return nil
}

func eventsOf(e client.Endpoint) string {
	return cmp.Or(strings.Join(e.Events, ", "), "all")
}

func (t *console) printEndpoints(es []client.Endpoint) {
	var rows [][]cell
	for _, e := range es {
		state := cell{"enabled", green}
		switch {
		case !e.Enabled:
			state = cell{"disabled", red}
		case e.FailingSince != nil:
			state = cell{"failing", yellow}
		}
		rows = append(rows, []cell{{e.ID, bold}, state, {t.when(e.CreatedAt), dim}, plain(squeeze(e.URL, 60)), plain(squeeze(eventsOf(e), 40))})
	}
	t.printTable(rows)
}

func (t *console) printDeliveries(ds []client.Delivery) {
	var rows [][]cell
	for _, d := range ds {
		rows = append(rows, []cell{
			{d.ID, bold},
			{d.Status, styleOf(d.Status)},
			{t.when(d.CreatedAt), dim},
			plain(d.EventType),
			plain(plural(len(d.Attempts), "attempt")),
			plain(lastAnswer(d)),
		})
	}
	t.printTable(rows)
}

// lastAnswer is what came of the latest attempt.
func lastAnswer(d client.Delivery) string {
	if len(d.Attempts) == 0 {
		return ""
	}
	a := d.Attempts[len(d.Attempts)-1]
	return squeeze(strings.TrimSpace(status(a)+" "+a.Error), 60)
}

func status(a client.Attempt) string {
	if a.StatusCode == 0 {
		return ""
	}
	return strconv.Itoa(a.StatusCode)
}

func (r *remote) printDelivery(d client.Delivery) error {
	if r.json {
		return r.printJSON(d)
	}
	fmt.Fprintf(r.out, "%s  %s\n", r.paint(bold, d.ID), r.paint(styleOf(d.Status), d.Status))
	r.printFields([][2]string{
		{"event", d.EventType + "  " + d.EventID}, {"url", harmless(d.URL)}, {"endpoint", d.EndpointID}, {"made", r.when(d.CreatedAt)},
		{"next", r.whenPtr(d.NextAttemptAt)},
	})
	var rows [][]cell
	for i, a := range d.Attempts {
		style := green
		if a.Error != "" || a.StatusCode < 200 || a.StatusCode > 299 {
			style = red
		}
		rows = append(rows, []cell{
			plain(fmt.Sprintf("  %d", i+1)), {r.when(a.At), dim}, {cmp.Or(status(a), "no answer"), style},
			plain(duration(time.Duration(a.LatencyMS) * time.Millisecond)), plain(squeeze(a.Error, 60)), {squeeze(a.Answer, 60), dim},
		})
	}
	r.printTable(rows)
	return r.printPayload(d.Payload)
}

func (r *remote) printPayload(payload json.RawMessage) error {
	if len(payload) == 0 {
		return nil
	}
	var b bytes.Buffer
	if err := json.Indent(&b, payload, "  ", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintf(r.out, "  %s\n", harmless(b.String()))
	return err
}
