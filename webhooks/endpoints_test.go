package webhooks

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// service is the service over a store in memory, without a relay.
func service(t *testing.T) (*Endpoints, *mem) {
	t.Helper()
	m := newMem()
	return NewEndpoints(NewCourier(m.as(nil), NewGuard(GuardConfig{}), sealer(t), Config{})), m
}

const hookURL = "https://8.8.8.8/hook"

func create(t *testing.T, s *Endpoints, in EndpointInput) Endpoint {
	t.Helper()
	in.URL = orElse(in.URL, hookURL)
	e, err := s.Create(t.Context(), "wsp_1", in)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSecretsAreShownOnceAndSealed(t *testing.T) {
	t.Parallel()
	s, m := service(t)
	v1 := create(t, s, EndpointInput{Description: "a"})
	v1a := create(t, s, EndpointInput{Signing: "v1a", Headers: map[string]string{"Authorization": "Bearer hunter2"}})
	if key, err := webhook.ParseKey(v1.Secret); err != nil || key.Scheme() != webhook.V1 || v1.PublicKey != "" || v1.Signing != "v1" {
		t.Errorf("v1 shows %+v: %v", v1, err)
	}
	if key, err := webhook.ParseKey(v1a.PublicKey); err != nil || key.Public().Text() != v1a.PublicKey || v1a.Secret != "" || v1a.Signing != "v1a" {
		t.Errorf("v1a shows %+v: %v", v1a, err)
	}
	all, err := s.List(t.Context(), "wsp_1")
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	again, err := s.Get(t.Context(), "wsp_1", v1.ID)
	for _, e := range append(all, again) {
		if e.Secret != "" || e.PublicKey != "" || err != nil {
			t.Errorf("shown again: %+v, %v", e, err)
		}
	}
	if names := all[1].HeaderNames; len(names) != 1 || names[0] != "Authorization" {
		t.Errorf("header names %v", names)
	}
	stored := ""
	for _, e := range m.endpoints {
		stored += readable(t, e, e.Secrets)
		for _, sealed := range e.Headers {
			box, err := base64.StdEncoding.DecodeString(sealed)
			stored += string(box)
			if err != nil {
				t.Error(err)
			}
		}
	}
	for _, secret := range []string{v1.Secret[6:], "hunter2", "whsk_", "whsec_"} {
		if strings.Contains(stored, secret) {
			t.Errorf("the store holds %q: %s", secret, stored)
		}
	}
}

// readable is all that someone who reads the store sees.
func readable(t *testing.T, row any, secrets []store.Secret) string {
	t.Helper()
	raw, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		raw = append(raw, s.Sealed...)
	}
	return string(raw)
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	s, _ := service(t)
	many := map[string]string{}
	for i := range 21 {
		many[fmt.Sprint("X-", i)] = "v"
	}
	for name, tt := range map[string]struct {
		in      EndpointInput
		pointer string
		code    memory.Code
	}{
		"NoURL":           {EndpointInput{URL: "none"}, "/url", memory.CodeInvalid},
		"ForbiddenURL":    {EndpointInput{URL: "http://10.0.0.1/"}, "/url", memory.CodeForbiddenURL},
		"Event":           {EndpointInput{Events: []string{"memory.completed", "memory.exploded"}}, "/events", memory.CodeInvalid},
		"Description":     {EndpointInput{Description: strings.Repeat("a", 1_025)}, "/description", memory.CodeInvalid},
		"NotText":         {EndpointInput{Description: "\xff"}, "/description", memory.CodeInvalid},
		"Signing":         {EndpointInput{Signing: "v2"}, "/signing", memory.CodeInvalid},
		"Format":          {EndpointInput{Format: "xml"}, "/format", memory.CodeInvalid},
		"PaprWithV1a":     {EndpointInput{Format: "papr", Signing: "v1a"}, "/signing", memory.CodeInvalid},
		"ShortSecret":     {EndpointInput{Secret: "whsec_c2hvcnQ="}, "/secret", memory.CodeInvalid},
		"EmptySecret":     {EndpointInput{Secret: "whsec_"}, "/secret", memory.CodeInvalid},
		"BareSecret":      {EndpointInput{Secret: "hunter2"}, "/secret", memory.CodeInvalid},
		"SecretForV1a":    {EndpointInput{Signing: "v1a", Secret: webhook.GenerateSecret().Text()}, "/secret", memory.CodeInvalid},
		"KeyForV1":        {EndpointInput{Secret: webhook.GenerateKey().Text()}, "/secret", memory.CodeInvalid},
		"PublicKey":       {EndpointInput{Signing: "v1a", Secret: webhook.GenerateKey().Public().Text()}, "/secret", memory.CodeInvalid},
		"OurHeader":       {EndpointInput{Headers: map[string]string{"webhook-id": "x"}}, "/headers/webhook-id", memory.CodeInvalid},
		"Host":            {EndpointInput{Headers: map[string]string{"host": "x"}}, "/headers/host", memory.CodeInvalid},
		"HeaderName":      {EndpointInput{Headers: map[string]string{"a b": "x"}}, "/headers/a b", memory.CodeInvalid},
		"HeaderSlash":     {EndpointInput{Headers: map[string]string{"a/b": "x"}}, "/headers/a~1b", memory.CodeInvalid},
		"HeaderInjection": {EndpointInput{Headers: map[string]string{"X-A": "x\r\nX-B: y"}}, "/headers/X-A", memory.CodeInvalid},
		"HeaderLong":      {EndpointInput{Headers: map[string]string{"X-A": strings.Repeat("x", 1_025)}}, "/headers/X-A", memory.CodeInvalid},
		"HeadersMany":     {EndpointInput{Headers: many}, "/headers", memory.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.in.URL = orElse(tt.in.URL, hookURL)
			_, err := s.Create(t.Context(), "wsp_1", tt.in)
			var e *memory.Error
			if !errors.As(err, &e) || e.Code != tt.code || e.Pointer != tt.pointer {
				t.Fatalf("%v", err)
			}
			if tt.in.Secret != "" && len(tt.in.Secret) > 12 && strings.Contains(err.Error(), tt.in.Secret[6:12]) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
	if all, err := s.List(t.Context(), "wsp_1"); err != nil || len(all) != 0 {
		t.Errorf("%d were stored: %v", len(all), err)
	}
}

func TestSecretsThatAreBrought(t *testing.T) {
	t.Parallel()
	s, _ := service(t)
	secret, key := webhook.GenerateSecret().Text(), webhook.GenerateKey()
	if e := create(t, s, EndpointInput{Secret: secret}); e.Secret != secret {
		t.Errorf("%+v", e)
	}
	if e := create(t, s, EndpointInput{Signing: "v1a", Secret: key.Text()}); e.PublicKey != key.Public().Text() {
		t.Errorf("%+v", e)
	}
}

func TestEndpointsOfOthersAreNotFound(t *testing.T) {
	t.Parallel()
	s, m := service(t)
	e := create(t, s, EndpointInput{})
	d := delivery(event(memory.EventMemoryFailed, ""), e.ID, e.URL, nil, store.Lease{}, time.Now())
	d.Status = store.DeliveryFailed
	m.deliveries[d.ID] = d
	ctx, off := t.Context(), false
	_, errGet := s.Get(ctx, "wsp_2", e.ID)
	_, errPatch := s.Patch(ctx, "wsp_2", e.ID, EndpointPatch{Enabled: &off})
	_, errRotate := s.Rotate(ctx, "wsp_2", e.ID, RotateInput{})
	_, errTest := s.Test(ctx, "wsp_2", e.ID)
	_, _, errList := s.Deliveries(ctx, store.DeliveryQuery{Workspace: "wsp_2", EndpointID: e.ID, Limit: 1})
	_, errDelivery := s.Delivery(ctx, "wsp_2", d.ID)
	_, errAgain := s.Redeliver(ctx, "wsp_2", d.ID)
	_, errRecover := s.Recover(ctx, "wsp_2", e.ID, time.Unix(1, 0))
	_, errSecret := s.WorkspaceSecret(ctx, "wsp_unknown")
	for i, err := range []error{errGet, errPatch, errRotate, errTest, errList, errDelivery, errAgain, errRecover, errSecret, s.Delete(ctx, "wsp_2", e.ID)} {
		if memory.CodeOf(err) != memory.CodeNotFound {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if all, err := s.List(ctx, "wsp_2"); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	if m.deliveries[d.ID].Round != 1 || m.endpoints[e.ID].Disabled != "" {
		t.Error("something was changed")
	}
}

func TestPatch(t *testing.T) {
	t.Parallel()
	s, m := service(t)
	e := create(t, s, EndpointInput{Description: "before", Headers: map[string]string{"X-A": "1"}})
	stored := m.endpoints[e.ID]
	stored.FailingFrom = time.Now()
	m.endpoints[e.ID] = stored
	url, events, headers, off, on := "https://1.1.1.1/", []string{memory.EventBatchFailed}, map[string]string{"X-B": "2"}, false, true
	got, err := s.Patch(t.Context(), "wsp_1", e.ID, EndpointPatch{URL: &url, Events: &events, Headers: &headers, Enabled: &off})
	if err != nil || got.URL != url || !slices.Equal(got.Events, events) || got.Description != "before" || got.Enabled || got.DisabledReason == "" ||
		!slices.Equal(got.HeaderNames, []string{"X-B"}) || got.FailingSince != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = s.Patch(t.Context(), "wsp_1", e.ID, EndpointPatch{Enabled: &on}); err != nil || !got.Enabled || got.DisabledReason != "" || got.URL != url {
		t.Errorf("%+v, %v", got, err)
	}
	bad, wrong, inject := "http://127.1/", []string{"x"}, map[string]string{"X": "\n"}
	for i, p := range []EndpointPatch{{URL: &bad}, {Events: &wrong}, {Headers: &inject}} {
		if _, err := s.Patch(t.Context(), "wsp_1", e.ID, p); memory.CodeOf(err) != memory.CodeInvalid {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestEndpointsAreLimited(t *testing.T) {
	t.Parallel()
	s, m := service(t)
	for i := range maxEndpoints {
		id := fmt.Sprint("whe_", i)
		m.endpoints[id] = store.Endpoint{ID: id, Workspace: "wsp_1"}
	}
	if _, err := s.Create(t.Context(), "wsp_1", EndpointInput{URL: hookURL}); memory.CodeOf(err) != memory.CodeConflict {
		t.Error(err)
	}
}

// Both keys sign during the grace period, the new one alone after it.
func TestRotation(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.answers("hook.test", 200)
		r.wire.answers("receiver.test", 200)
		r.guard = NewGuard(GuardConfig{Resolver: serveNothing()})
		p := r.run(nil)
		before, err := p.endpoints.Create(t.Context(), "wsp_1", EndpointInput{URL: "http://hook.test/"})
		if err != nil {
			t.Fatal(err)
		}
		workspaceBefore, err := p.endpoints.WorkspaceSecret(t.Context(), "wsp_1")
		if err != nil {
			t.Fatal(err)
		}
		after, err := p.endpoints.Rotate(t.Context(), "wsp_1", before.ID, RotateInput{})
		if err != nil || after.Secret == before.Secret {
			t.Fatal(after, err)
		}
		hour := 3_600
		workspaceAfter, err := p.endpoints.RotateWorkspaceSecret(t.Context(), "wsp_1", RotateInput{GraceSeconds: &hour})
		if again, _ := p.endpoints.WorkspaceSecret(t.Context(), "wsp_1"); err != nil || again != workspaceAfter || again == workspaceBefore {
			t.Fatal(again, err)
		}
		signers := func() map[string][]bool {
			r.wire.forget()
			r.mem.owe(event(memory.EventMemoryCompleted, oneOff))
			p.relay.Poke()
			synctest.Wait()
			out := map[string][]bool{}
			for _, a := range r.wire.got() {
				for _, secret := range []string{before.Secret, after.Secret, workspaceBefore, workspaceAfter} {
					key, _ := webhook.ParseKey(secret)
					out[a.host] = append(out[a.host], webhook.Verify(a.header, a.body, key) == nil)
				}
			}
			return out
		}
		want := func(when string, got map[string][]bool, hook, receiver []bool) {
			t.Helper()
			if !slices.Equal(got["hook.test"], hook) || !slices.Equal(got["receiver.test"], receiver) {
				t.Errorf("%s: %v", when, got)
			}
		}
		want("at once", signers(), []bool{true, true, false, false}, []bool{false, false, true, true})
		time.Sleep(2 * time.Hour)
		want("after two hours", signers(), []bool{true, true, false, false}, []bool{false, false, false, true})
		time.Sleep(23 * time.Hour)
		want("after a day", signers(), []bool{false, true, false, false}, []bool{false, false, false, true})
	})
}

func TestRotationRefuses(t *testing.T) {
	t.Parallel()
	s, _ := service(t)
	e := create(t, s, EndpointInput{})
	for _, in := range []RotateInput{{GraceSeconds: new(-1)}, {GraceSeconds: new(2_592_001)}, {Secret: "whsec_"}, {Secret: webhook.GenerateKey().Text()}} {
		if _, err := s.Rotate(t.Context(), "wsp_1", e.ID, in); memory.CodeOf(err) != memory.CodeInvalid {
			t.Errorf("%+v: %v", in, err)
		}
		if _, err := s.RotateWorkspaceSecret(t.Context(), "wsp_1", in); memory.CodeOf(err) != memory.CodeInvalid {
			t.Errorf("workspace, %+v: %v", in, err)
		}
	}
}

func TestManyRotationsDoNotPileUp(t *testing.T) {
	t.Parallel()
	s, m := service(t)
	e := create(t, s, EndpointInput{})
	for range 10 {
		if _, err := s.Rotate(t.Context(), "wsp_1", e.ID, RotateInput{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(m.endpoints[e.ID].Secrets); n != maxSecrets {
		t.Errorf("%d secrets", n)
	}
	if _, err := s.Rotate(t.Context(), "wsp_1", e.ID, RotateInput{GraceSeconds: new(0)}); err != nil || len(m.endpoints[e.ID].Secrets) != 1 {
		t.Errorf("without grace %d are left: %v", len(m.endpoints[e.ID].Secrets), err)
	}
}

func TestTestRedeliverRecover(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.endpoint("whe_1", "hook.test", func(e *store.Endpoint) { e.Events = []string{memory.EventBatchFailed} })
		r.wire.answers("hook.test", 200)
		p := r.run(nil)
		ctx, on := t.Context(), true
		test, err := p.endpoints.Test(ctx, "wsp_1", "whe_1")
		synctest.Wait()
		if got := r.wire.got(); err != nil || len(got) != 1 || got[0].id != test.EventID || !strings.Contains(string(got[0].body), `"type":"webhook.test"`) {
			t.Fatalf("%+v, %v", got, err)
		}
		if _, err := p.endpoints.Redeliver(ctx, "wsp_1", test.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := r.wire.got()
		d, err := p.endpoints.Delivery(ctx, "wsp_1", test.ID)
		if len(got) != 2 || got[1].id != got[0].id || err != nil || d.Round != 2 || len(d.Attempts) != 2 || d.Attempts[1].Round != 2 || string(d.Payload) != string(got[0].body) {
			t.Errorf("%d arrivals; %+v, %v", len(got), d, err)
		}

		r.wire.answers("hook.test", 500)
		start := time.Now()
		for range 3 {
			r.mem.owe(event(memory.EventBatchFailed, ""))
		}
		p.relay.Poke()
		written()
		pending, _, err := p.endpoints.Deliveries(ctx, store.DeliveryQuery{Workspace: "wsp_1", EndpointID: "whe_1", Statuses: []store.DeliveryStatus{store.DeliveryPending}, Limit: 10})
		if err != nil || len(pending) != 3 || pending[0].NextAttemptAt == nil || pending[0].Payload != nil {
			t.Fatalf("%+v, %v", pending, err)
		}
		if _, err := p.endpoints.Redeliver(ctx, "wsp_1", pending[0].ID); memory.CodeOf(err) != memory.CodeConflict {
			t.Errorf("redelivering what is on its way: %v", err)
		}
		time.Sleep(80 * time.Hour) // they fail for good; then the endpoint is disabled and two more are held
		off := false
		if _, err := p.endpoints.Patch(ctx, "wsp_1", "whe_1", EndpointPatch{Enabled: &off}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r.mem.owe(event(memory.EventBatchFailed, ""))
		}
		time.Sleep(time.Minute)
		if failed, held := r.mem.count(store.DeliveryFailed), r.mem.count(store.DeliveryHeld); failed != 3 || held != 2 {
			t.Fatalf("%d failed, %d held", failed, held)
		}
		_, errRecover := p.endpoints.Recover(ctx, "wsp_1", "whe_1", start)
		_, errTest := p.endpoints.Test(ctx, "wsp_1", "whe_1")
		_, errAgain := p.endpoints.Redeliver(ctx, "wsp_1", test.ID)
		for _, err := range []error{errRecover, errTest, errAgain} {
			if memory.CodeOf(err) != memory.CodeConflict {
				t.Errorf("while it is disabled: %v", err)
			}
		}
		if _, err := p.endpoints.Patch(ctx, "wsp_1", "whe_1", EndpointPatch{Enabled: &on}); err != nil {
			t.Fatal(err)
		}
		r.wire.answers("hook.test", 200)
		if n, err := p.endpoints.Recover(ctx, "wsp_1", "whe_1", time.Now().Add(time.Hour)); n != 0 || err != nil {
			t.Errorf("since a later time: %d, %v", n, err)
		}
		if _, err := p.endpoints.Recover(ctx, "wsp_1", "whe_1", time.Time{}); memory.CodeOf(err) != memory.CodeInvalid {
			t.Errorf("since no time: %v", err)
		}
		if n, err := p.endpoints.Recover(ctx, "wsp_1", "whe_1", start); n != 5 || err != nil {
			t.Errorf("recovered %d, %v", n, err)
		}
		time.Sleep(time.Minute)
		if n := r.mem.count(store.DeliveryDelivered); n != 6 {
			t.Errorf("%d delivered in the end", n)
		}
	})
}

func TestRecoverGoesThroughAllPages(t *testing.T) {
	t.Parallel()
	s, m := service(t)
	e := create(t, s, EndpointInput{})
	for range 350 {
		d := delivery(event(memory.EventMemoryFailed, ""), e.ID, e.URL, nil, store.Lease{}, time.Now())
		d.Status = store.DeliveryHeld
		m.deliveries[d.ID] = d
	}
	if n, err := s.Recover(t.Context(), "wsp_1", e.ID, time.Unix(1, 0)); n != 350 || err != nil || m.count(store.DeliveryPending) != 350 {
		t.Errorf("%d, %v; %d pending", n, err, m.count(store.DeliveryPending))
	}
}

func TestWorkspaceSecretIsMadeOnce(t *testing.T) {
	t.Parallel()
	s, m := service(t)
	type result struct {
		secret string
		err    error
	}
	results := make(chan result)
	for range 16 {
		go func() {
			secret, err := s.WorkspaceSecret(t.Context(), "wsp_1")
			results <- result{secret, err}
		}()
	}
	first := <-results
	for range 15 {
		if r := <-results; r != first || r.err != nil {
			t.Errorf("%+v and %+v", r, first)
		}
	}
	if other, err := s.WorkspaceSecret(t.Context(), "wsp_2"); err != nil || other == first.secret {
		t.Errorf("two workspaces share a secret: %v", err)
	}
	if w := m.workspaces["wsp_1"]; strings.Contains(readable(t, w, w.Secrets), first.secret[6:]) {
		t.Error("the store holds it readable")
	}
	w := m.workspaces["wsp_2"]
	w.Secrets = m.workspaces["wsp_1"].Secrets
	m.workspaces["wsp_2"] = w
	if stolen, err := s.WorkspaceSecret(t.Context(), "wsp_2"); err == nil {
		t.Errorf("moved to another workspace it opens as %s", stolen)
	}
}

func TestViewsAreWhatTheAPIShows(t *testing.T) {
	t.Parallel()
	s, _ := service(t)
	e := create(t, s, EndpointInput{ID: "whe_chosen"})
	raw, err := json.Marshal(e)
	if err != nil || e.ID != "whe_chosen" {
		t.Fatal(err)
	}
	for _, want := range []string{`"events":[]`, `"header_names":[]`, `"enabled":true`, `"failing_since":null`, `"format":"standard"`, `"signing":"v1"`, `"secret":"whsec_`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
	raw, err = json.Marshal(viewDelivery(store.Delivery{ID: "dlv_1", Status: store.DeliveryPending}))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"attempts":[]`, `"next_attempt_at":null`, `"round":1`, `"status":"pending"`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
}
