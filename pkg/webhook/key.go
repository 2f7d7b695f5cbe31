package webhook

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Scheme names a signature scheme as it stands before a signature.
type Scheme string

// The schemes.
const (
	V1  Scheme = "v1"  // HMAC-SHA256
	V1a Scheme = "v1a" // ed25519
)

// The prefixes by which the text form of a key says what it is.
const (
	secretPrefix  = "whsec_"
	privatePrefix = "whsk_"
	publicPrefix  = "whpk_"
)

// A v1 secret has 192 to 512 bits. A generated one has 256: as many as the hash.
const (
	minSecretBytes = 24
	maxSecretBytes = 64
	newSecretBytes = 32
)

// Key is a secret of v1, or a private or public key of v1a. Its zero value neither signs nor verifies. Printing a key
// shows what kind it is and nothing more; [Key.Text] gives the key itself.
type Key struct {
	secret  []byte             // v1
	private ed25519.PrivateKey // v1a; nil where only the public key is known
	public  ed25519.PublicKey  // v1a
}

// GenerateSecret makes a v1 secret.
func GenerateSecret() Key {
	secret := make([]byte, newSecretBytes)
	rand.Read(secret)
	return Key{secret: secret}
}

// GenerateKey makes a v1a key pair.
func GenerateKey() Key {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	return fromSeed(seed)
}

func fromSeed(seed []byte) Key {
	private := ed25519.NewKeyFromSeed(seed)
	return Key{private: private, public: private.Public().(ed25519.PublicKey)}
}

// ParseKey reads the text form of a key: whsec_, whsk_ or whpk_ and base64. A v1 secret must have 24 to 64 bytes, a
// private key 32 (its seed) or 64 (seed and public key), a public key 32. No error contains any part of the key.
func ParseKey(text string) (Key, error) {
	for prefix, parse := range map[string]func([]byte) (Key, error){
		secretPrefix: parseSecret, privatePrefix: parsePrivate, publicPrefix: parsePublic,
	} {
		encoded, ok := strings.CutPrefix(text, prefix)
		if !ok {
			continue
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil || strings.ContainsAny(encoded, "\r\n") {
			return Key{}, fmt.Errorf("webhook: what follows %s is not base64", prefix)
		}
		return parse(raw)
	}
	return Key{}, errors.New("webhook: a key begins with whsec_, whsk_ or whpk_")
}

func parseSecret(raw []byte) (Key, error) {
	if len(raw) < minSecretBytes || len(raw) > maxSecretBytes {
		return Key{}, fmt.Errorf("webhook: a secret has %d to %d bytes, not %d", minSecretBytes, maxSecretBytes, len(raw))
	}
	return Key{secret: raw}, nil
}

func parsePrivate(raw []byte) (Key, error) {
	switch len(raw) {
	case ed25519.SeedSize:
		return fromSeed(raw), nil
	case ed25519.PrivateKeySize:
		k := fromSeed(raw[:ed25519.SeedSize])
		if !bytes.Equal(k.private, raw) {
			return Key{}, errors.New("webhook: the halves of the private key do not belong together")
		}
		return k, nil
	}
	return Key{}, fmt.Errorf("webhook: a private key has %d or %d bytes, not %d", ed25519.SeedSize, ed25519.PrivateKeySize, len(raw))
}

func parsePublic(raw []byte) (Key, error) {
	if len(raw) != ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("webhook: a public key has %d bytes, not %d", ed25519.PublicKeySize, len(raw))
	}
	return Key{public: raw}, nil
}

// Text is the text form of the key, to be kept secret unless it is a public one; empty for the zero Key.
func (k Key) Text() string {
	switch {
	case k.secret != nil:
		return secretPrefix + base64.StdEncoding.EncodeToString(k.secret)
	case k.private != nil:
		return privatePrefix + base64.StdEncoding.EncodeToString(k.private.Seed())
	case k.public != nil:
		return publicPrefix + base64.StdEncoding.EncodeToString(k.public)
	}
	return ""
}

// Scheme is the scheme that the key belongs to; empty for the zero Key.
func (k Key) Scheme() Scheme {
	switch {
	case k.secret != nil:
		return V1
	case k.public != nil:
		return V1a
	}
	return ""
}

// Public is what a receiver of v1a needs; the zero Key where k is not of v1a.
func (k Key) Public() Key { return Key{public: k.public} }

// String says what kind of key it is, not which.
func (k Key) String() string {
	switch {
	case k.secret != nil:
		return secretPrefix + "…"
	case k.private != nil:
		return privatePrefix + "…"
	case k.public != nil:
		return k.Text()
	}
	return "no key"
}

// GoString is String, so that %#v does not show the key either.
func (k Key) GoString() string { return k.String() }
