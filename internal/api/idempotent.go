package api

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

const (
	idempotencyHeader = "Idempotency-Key"
	replayedHeader    = "Idempotency-Replayed"
	// bodyHash is where the record of an upload keeps the hash of its body, which is known at its end only.
	bodyHash = "x-body-sha256"
)

type resourceKey struct{}

// resourceID is the id that the request is to make its resource under; "" where the choice is free.
func resourceID(ctx context.Context) string {
	s, _ := ctx.Value(resourceKey{}).(string)
	return s
}

// idempotent lets a request with an Idempotency-Key take effect once. The id of what it makes is stored before it is
// made, so that a second try after a crash makes the same. Answers of success are kept and replayed; after a refusal the
// key is free again; after a fault of ours the next try goes on with the same id.
func (a *API) idempotent(ctx huma.Context, next func(huma.Context)) {
	prefix, _ := ctx.Operation().Metadata[metaCreates].(string)
	key := ctx.Header(idempotencyHeader)
	if prefix == "" || key == "" {
		next(ctx)
		return
	}
	if err := checkKey(key); err != nil {
		a.fail(ctx, err)
		return
	}
	sum, body := fingerprint(ctx)
	now := time.Now()
	want := store.Request{
		Workspace: workspaceOf(ctx.Context()), Key: key, Fingerprint: sum, ResourceID: id.New(prefix), CreatedAt: now, Until: now.Add(a.cfg.RequestLease),
	}
	got, first, err := a.parts.Requests.Begin(ctx.Context(), want, now)
	switch {
	case err != nil: // it may have begun
		a.dropped.add(want.ResourceID, now)
		a.fail(ctx, err)
	case first || got.Answer == nil && got.Fingerprint == sum && a.resumes(ctx.Context(), got):
		a.runOnce(ctx, next, got, body)
	default:
		a.replay(ctx, got, sum, body)
	}
}

// resumes takes a request over that this process began and dropped, which it must know of for certain.
func (a *API) resumes(ctx context.Context, r store.Request) bool {
	if !a.dropped.take(r.ResourceID) {
		return false
	}
	now := time.Now()
	if err := a.parts.Requests.Extend(ctx, r.Workspace, r.Key, now.Add(a.cfg.RequestLease)); err != nil {
		a.dropped.add(r.ResourceID, now)
		return false
	}
	return true
}

func checkKey(key string) error {
	ok := len(key) <= 255
	for i := range len(key) {
		ok = ok && key[i] >= ' ' && key[i] <= '~'
	}
	if !ok {
		return memory.Errorf(memory.CodeInvalid, "%s must be at most 255 printable ASCII characters", idempotencyHeader)
	}
	return nil
}

// fingerprint is what two requests of the same key must have in common. The body of an upload is not in it, since it is
// not read yet: its hash is compared at its end, and body is what hashes it.
func fingerprint(ctx huma.Context) (sum [32]byte, body *hashing) {
	h := sha256.New()
	u := ctx.URL()
	_, _ = io.WriteString(h, ctx.Method()+"\n"+u.EscapedPath()+"\n"+u.RawQuery+"\n")
	if takes(ctx.Operation()) == takesStream {
		body = &hashing{r: ctx.BodyReader(), h: sha256.New()}
	} else {
		_, _ = io.Copy(h, ctx.BodyReader()) // from memory
	}
	h.Sum(sum[:0])
	return sum, body
}

// hashing hashes what is read through it.
type hashing struct {
	r io.Reader
	h hash.Hash
}

func (b *hashing) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.h.Write(p[:n])
	return n, err
}

func (b *hashing) sum() string { return hex.EncodeToString(b.h.Sum(nil)) }

// runOnce runs the handler, keeps its answer and only then gives it to the caller.
func (a *API) runOnce(ctx huma.Context, next func(huma.Context), r store.Request, body *hashing) {
	write(ctx, a.settled(ctx, next, r, body))
}

func (a *API) settled(ctx huma.Context, next func(huma.Context), r store.Request, body *hashing) (answer *store.Answer) {
	defer func() { a.settle(ctx, r, answer, body) }() // nil where the handler panicked
	defer a.keepAlive(ctx.Context(), r)()
	rec := &recorder{inner: huma.WithValue(ctx, resourceKey{}, r.ResourceID), body: body, answer: store.Answer{Header: map[string]string{}}}
	next(rec)
	rec.answer.Body = rec.buf.Bytes()
	return &rec.answer
}

// settle writes down what became of the first request of a key.
func (a *API) settle(ctx huma.Context, r store.Request, answer *store.Answer, body *hashing) {
	c, cancel := context.WithTimeout(context.WithoutCancel(ctx.Context()), a.cfg.StoreTimeout)
	defer cancel()
	var err error
	switch {
	case answer == nil || answer.Status >= http.StatusInternalServerError: // it may have had its effect
		err = a.parts.Requests.Extend(c, r.Workspace, r.Key, time.Unix(0, 0)) // by any clock
	case answer.Status >= http.StatusMultipleChoices:
		err = a.parts.Requests.Abandon(c, r.Workspace, r.Key)
	default:
		err = a.complete(c, ctx, r, *answer, body)
	}
	if err != nil {
		a.dropped.add(r.ResourceID, time.Now())
		a.log.WarnContext(c, "an idempotent request was not settled; here it can be sent again at once, elsewhere after its lease", "resource", r.ResourceID, "error", err)
	}
}

func (a *API) complete(c context.Context, ctx huma.Context, r store.Request, answer store.Answer, body *hashing) error {
	if secret, _ := ctx.Operation().Metadata[metaSecret].(bool); secret {
		sealed, err := seal(callerOf(ctx.Context()).secret, r.Key, answer.Body)
		if err != nil {
			return err
		}
		answer.Body = sealed
	}
	if body != nil {
		answer.Header = maps.Clone(answer.Header)
		answer.Header[bodyHash] = body.sum()
	}
	return a.parts.Requests.Complete(c, r.Workspace, r.Key, answer)
}

// keepAlive keeps the record of a long request from being taken for that of a dead process, until stop is called.
func (a *API) keepAlive(ctx context.Context, r store.Request) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(a.cfg.RequestLease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				if err := a.parts.Requests.Extend(ctx, r.Workspace, r.Key, now.Add(a.cfg.RequestLease)); err != nil && ctx.Err() == nil {
					a.log.WarnContext(ctx, "a running request was not extended", "resource", r.ResourceID, "error", err)
				}
			}
		}
	}()
	return func() { cancel(); <-done }
}

// replay answers a request whose key was used before.
func (a *API) replay(ctx huma.Context, r store.Request, sum [32]byte, body *hashing) {
	answer, err := a.replayed(ctx, r, sum, body)
	if err != nil {
		a.fail(ctx, err)
		return
	}
	ctx.SetHeader(replayedHeader, "true")
	write(ctx, answer)
}

func (a *API) replayed(ctx huma.Context, r store.Request, sum [32]byte, body *hashing) (*store.Answer, error) {
	other := memory.Errorf(memory.CodeKeyReused, "this %s was used for another request", idempotencyHeader)
	switch {
	case r.Fingerprint != sum:
		return nil, other
	case r.Answer == nil:
		return nil, memory.Errorf(memory.CodeInProgress, "the first request with this %s is still running", idempotencyHeader)
	}
	answer := *r.Answer
	if body != nil {
		if _, err := io.Copy(io.Discard, body); err != nil {
			return nil, memory.Wrap(memory.CodeMalformed, err, "the upload broke off")
		}
		if body.sum() != answer.Header[bodyHash] {
			return nil, other
		}
	}
	if secret, _ := ctx.Operation().Metadata[metaSecret].(bool); secret {
		opened, err := unseal(callerOf(ctx.Context()).secret, r.Key, answer.Body)
		if err != nil {
			return nil, memory.Wrap(memory.CodeConflict, err, "the first request with this "+idempotencyHeader+" was made with another API key")
		}
		answer.Body = opened
	}
	return &answer, nil
}

func write(ctx huma.Context, answer *store.Answer) {
	for name, value := range answer.Header {
		if name != bodyHash {
			ctx.SetHeader(name, value)
		}
	}
	ctx.SetStatus(answer.Status)
	_, _ = ctx.BodyWriter().Write(answer.Body) // the caller may have left
}

// recorder keeps the answer of a handler instead of sending it.
type recorder struct {
	inner
	body   *hashing // nil: the context's own
	buf    bytes.Buffer
	answer store.Answer
}

// Unwrap lets the adapter find its own context.
func (r *recorder) Unwrap() huma.Context { return r.inner }

// BodyReader gives the body by way of what hashes it.
func (r *recorder) BodyReader() io.Reader {
	if r.body != nil {
		return r.body
	}
	return r.inner.BodyReader()
}

// SetStatus, Status, SetHeader, AppendHeader and BodyWriter write to the record.
func (r *recorder) SetStatus(status int) { r.answer.Status = status }

// Status implements huma.Context.
func (r *recorder) Status() int { return r.answer.Status }

// SetHeader implements huma.Context.
func (r *recorder) SetHeader(name, value string) { r.answer.Header[name] = value }

// AppendHeader implements huma.Context.
func (r *recorder) AppendHeader(name, value string) { r.answer.Header[name] = value }

// BodyWriter implements huma.Context.
func (r *recorder) BodyWriter() io.Writer { return &r.buf }

// seal encrypts an answer that shows a secret: what is stored nowhere else in the clear must not be in the record of the
// request either. Only who shows the same API key again can have it replayed.
func seal(apiKey, idempotencyKey string, body []byte) ([]byte, error) {
	aead, err := aeadOf(apiKey, idempotencyKey)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, body, nil), nil //nolint:gosec // the cipher makes a random nonce itself
}

func unseal(apiKey, idempotencyKey string, sealed []byte) ([]byte, error) {
	aead, err := aeadOf(apiKey, idempotencyKey)
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, nil, sealed, nil)
}

func aeadOf(apiKey, idempotencyKey string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(apiKey), nil, "switchyard idempotency "+idempotencyKey, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
