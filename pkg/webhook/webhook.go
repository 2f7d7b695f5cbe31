// Package webhook signs and verifies webhooks by Standard Webhooks 1.0.0, for senders and receivers alike, with nothing
// but the standard library.
//
// Both schemes of the specification are here: v1 (HMAC-SHA256, a secret that both sides know, whsec_…) and v1a
// (ed25519, a private key whsk_… that signs and a public one whpk_… that verifies). What is signed is the id, the time
// of the attempt and the exact bytes of the body.
//
// A receiver:
//
//	v := webhook.Verifier{Keys: []webhook.Key{key}}
//	m, err := v.Request(r) // reads the body, checks signature and time
//
// and then treats m.ID as an idempotency key: deliveries are at least once.
package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a webhook.
const (
	HeaderID        = "Webhook-Id"        // the same on every attempt: the idempotency key
	HeaderTimestamp = "Webhook-Timestamp" // of the attempt, in seconds since 1970
	HeaderSignature = "Webhook-Signature" // one or more signatures, separated by spaces
)

// Why a webhook is refused. Compare with errors.Is.
var (
	ErrHeaders   = errors.New("webhook: headers missing or malformed")
	ErrTooOld    = errors.New("webhook: timestamp too old")
	ErrTooNew    = errors.New("webhook: timestamp in the future")
	ErrSignature = errors.New("webhook: no signature matches")
	ErrTooLarge  = errors.New("webhook: body too large")
)

// Sign returns the value of [HeaderSignature] for a body: one signature a key, in the order of the keys, so that a
// receiver that still knows only the old one of two keys can verify during a rotation.
//
// The id must be visible ASCII without a full stop (which separates what is signed). The keys must be able to sign, and
// there must be one at least.
func Sign(id string, at time.Time, body []byte, keys ...Key) (string, error) {
	if !validID(id) {
		return "", fmt.Errorf("webhook: id %q is not visible ASCII without full stops", id)
	}
	if len(keys) == 0 {
		return "", errors.New("webhook: no key to sign with")
	}
	text := signed(id, strconv.FormatInt(at.Unix(), 10), body)
	signatures := make([]string, len(keys))
	for i, k := range keys {
		sum, err := k.sign(text)
		if err != nil {
			return "", err
		}
		signatures[i] = string(k.Scheme()) + "," + base64.StdEncoding.EncodeToString(sum)
	}
	return strings.Join(signatures, " "), nil
}

// SetHeaders signs as [Sign] does and sets the three headers.
func SetHeaders(h http.Header, id string, at time.Time, body []byte, keys ...Key) error {
	signature, err := Sign(id, at, body, keys...)
	if err != nil {
		return err
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(HeaderSignature, signature)
	return nil
}

// Verify checks the headers and the exact bytes of a body that was received just now, with the defaults of [Verifier].
func Verify(h http.Header, body []byte, keys ...Key) error {
	_, err := Verifier{Keys: keys}.Verify(h, body)
	return err
}

// maxIDBytes bounds what is taken for an id.
const maxIDBytes = 256

func validID(id string) bool {
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' || c == '.' {
			return false
		}
	}
	return id != "" && len(id) <= maxIDBytes
}

// signed is what the signature is made over.
func signed(id, timestamp string, body []byte) []byte {
	text := make([]byte, 0, len(id)+len(timestamp)+len(body)+2)
	text = append(text, id...)
	text = append(text, '.')
	text = append(text, timestamp...)
	text = append(text, '.')
	return append(text, body...)
}

func (k Key) sign(text []byte) ([]byte, error) {
	switch {
	case k.secret != nil:
		return k.mac(text), nil
	case k.private != nil:
		return ed25519.Sign(k.private, text), nil
	case k.public != nil:
		return nil, errors.New("webhook: a public key cannot sign")
	}
	return nil, errors.New("webhook: the zero key cannot sign")
}

func (k Key) mac(text []byte) []byte {
	h := hmac.New(sha256.New, k.secret)
	h.Write(text)
	return h.Sum(nil)
}

// matches reports whether the signature is the key's, in time that does not depend on where they differ.
func (k Key) matches(text, signature []byte) bool {
	switch {
	case k.secret != nil:
		return hmac.Equal(k.mac(text), signature)
	case k.public != nil:
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(k.public, text, signature)
	}
	return false
}
