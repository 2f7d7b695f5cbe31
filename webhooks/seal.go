package webhooks

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// SealKey encrypts what must not be readable in the store: 32 random bytes.
type SealKey [32]byte

// String does not show the key.
func (SealKey) String() string { return "seal key" }

// GoString does not show it either.
func (SealKey) GoString() string { return "seal key" }

// ParseSealKey reads a key of 32 bytes in base64 or hexadecimal. No error contains any part of it.
func ParseSealKey(s string) (SealKey, error) {
	s = strings.TrimSpace(s)
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString} {
		if raw, err := decode(s); err == nil && len(raw) == len(SealKey{}) {
			return SealKey(raw), nil
		}
	}
	return SealKey{}, errors.New("not 32 bytes in base64 or hexadecimal (openssl rand -base64 32 makes some)")
}

// LoadOrCreateKeyfile reads the key kept in a file, or makes one and keeps it there, readable by the owner only. Of
// several that make it at once one wins, and all return that one's.
func LoadOrCreateKeyfile(path string) (SealKey, error) {
	key, err := loadKeyfile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := createKeyfile(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return SealKey{}, fmt.Errorf("make the key file: %w", err)
	}
	return loadKeyfile(path)
}

func loadKeyfile(path string) (SealKey, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return SealKey{}, fmt.Errorf("read the key file: %w", err)
	}
	key, err := ParseSealKey(string(text))
	if err != nil {
		return SealKey{}, fmt.Errorf("key file %s: %w", path, err)
	}
	return key, nil
}

// createKeyfile writes beside the place and links: the file is there whole, or not at all.
func createKeyfile(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	var key SealKey
	rand.Read(key[:]) // never fails: see crypto/rand
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key[:]) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

// Sealer encrypts with AES-256-GCM. What is sealed opens only for the workspace and the purpose that it was sealed for,
// so that nothing that is moved from one row of a store to another is of use there.
type Sealer struct {
	current keyID
	keys    map[keyID]cipher.AEAD
}

// keyID tells keys apart, so that what older keys sealed can be opened.
type keyID [4]byte

// What stands before the ciphertext: a version, the key's id, the nonce.
const (
	sealVersion = 1
	nonceBytes  = 12
	sealHeader  = 1 + len(keyID{}) + nonceBytes
)

// NewSealer seals with the first key and opens what any of them sealed.
func NewSealer(current SealKey, older ...SealKey) (*Sealer, error) {
	s := &Sealer{current: idOf(current), keys: map[keyID]cipher.AEAD{}}
	for _, k := range append(older, current) {
		block, err := aes.NewCipher(k[:])
		if err != nil {
			return nil, fmt.Errorf("seal key: %w", err)
		}
		if s.keys[idOf(k)], err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("seal key: %w", err)
		}
	}
	return s, nil
}

func idOf(k SealKey) keyID {
	sum := sha256.Sum256(append([]byte("switchyard seal key id\x00"), k[:]...))
	return keyID(sum[:4])
}

func associated(workspace, purpose string) []byte { return []byte(workspace + "\x00" + purpose) }

// Seal encrypts text.
func (s *Sealer) Seal(workspace, purpose string, text []byte) []byte {
	sealed := make([]byte, sealHeader, sealHeader+len(text)+16)
	sealed[0] = sealVersion
	copy(sealed[1:], s.current[:])
	nonce := sealed[sealHeader-nonceBytes:]
	rand.Read(nonce) // never fails: see crypto/rand
	return s.keys[s.current].Seal(sealed, nonce, text, associated(workspace, purpose))
}

// Open decrypts what Seal made for the same workspace and purpose. It fails with CodeInternal: a wrong key is the
// operator's affair.
func (s *Sealer) Open(workspace, purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) < sealHeader || sealed[0] != sealVersion {
		return nil, memory.Errorf(memory.CodeInternal, "a sealed secret is damaged")
	}
	aead, ok := s.keys[keyID(sealed[1:5])]
	if !ok {
		return nil, memory.Errorf(memory.CodeInternal, "a secret was sealed with a key that this process does not have")
	}
	text, err := aead.Open(nil, sealed[sealHeader-nonceBytes:sealHeader], sealed[sealHeader:], associated(workspace, purpose))
	if err != nil {
		return nil, memory.Wrap(memory.CodeInternal, err, "a sealed secret does not open")
	}
	return text, nil
}
