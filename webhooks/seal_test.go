package webhooks

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func sealer(tb testing.TB, keys ...SealKey) *Sealer {
	tb.Helper()
	if len(keys) == 0 {
		keys = []SealKey{{1, 2, 3}}
	}
	s, err := NewSealer(keys[0], keys[1:]...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestSealedOpensForItsWorkspaceAndPurposeOnly(t *testing.T) {
	t.Parallel()
	s, text := sealer(t), []byte("whsec_c2VjcmV0")
	sealed := s.Seal("wsp_1", "purpose", text)
	if got, err := s.Open("wsp_1", "purpose", sealed); err != nil || !bytes.Equal(got, text) {
		t.Fatalf("%q, %v", got, err)
	}
	if bytes.Contains(sealed, text[6:]) {
		t.Error("the text is readable")
	}
	if bytes.Equal(sealed, s.Seal("wsp_1", "purpose", text)) {
		t.Error("sealing twice gives the same: the nonce repeats")
	}
	for _, other := range [][2]string{{"wsp_2", "purpose"}, {"wsp_1", "purpose2"}, {"", "purpose"}, {"wsp_1\x00purpose", ""}} {
		if got, err := s.Open(other[0], other[1], sealed); err == nil {
			t.Errorf("it opens for %q as %q", other, got)
		}
	}
	for i := range sealed {
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		if _, err := s.Open("wsp_1", "purpose", broken); err == nil {
			t.Errorf("it opens with byte %d changed", i)
		}
		if _, err := s.Open("wsp_1", "purpose", sealed[:i]); err == nil {
			t.Errorf("its first %d bytes open", i)
		}
	}
}

func TestOlderSealKeysOpen(t *testing.T) {
	t.Parallel()
	old, fresh := SealKey{1}, SealKey{2}
	sealed := sealer(t, old).Seal("w", "p", []byte("x"))
	if got, err := sealer(t, fresh, old).Open("w", "p", sealed); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := sealer(t, fresh).Open("w", "p", sealed); err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("without the old key: %v", err)
	}
}

func TestParseSealKey(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfe, 0xff}, 16)
	for _, s := range []string{
		base64.StdEncoding.EncodeToString(raw), hex.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
		" " + base64.StdEncoding.EncodeToString(raw) + "\n",
	} {
		if k, err := ParseSealKey(s); err != nil || !bytes.Equal(k[:], raw) {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "x", strings.Repeat("0", 63), strings.Repeat("0", 62), base64.StdEncoding.EncodeToString(raw[:31])} {
		if _, err := ParseSealKey(s); err == nil || (s != "" && len(s) > 2 && strings.Contains(err.Error(), s)) {
			t.Errorf("%q: %v", s, err)
		}
	}
	k := SealKey(raw)
	if s := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); strings.Contains(s, "254") || strings.Contains(s, "fe") {
		t.Errorf("a key prints as %s", s)
	}
}

func TestKeyfile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "webhooks.key")
	keys := make([]SealKey, 16)
	var wait sync.WaitGroup
	for i := range keys {
		wait.Go(func() {
			var err error
			if keys[i], err = LoadOrCreateKeyfile(path); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, k := range keys {
		if k != keys[0] || k == (SealKey{}) {
			t.Fatal("two of those that started at once have different keys")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.WriteFile(path, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateKeyfile(path); err == nil || strings.Contains(err.Error(), "broken") {
		t.Errorf("a broken file: %v", err)
	}
	if _, err := LoadOrCreateKeyfile(filepath.Join(t.TempDir(), "no", "such", "folder")); err == nil {
		t.Error("a folder that is not there")
	}
}

func FuzzOpen(f *testing.F) {
	s := sealer(f)
	f.Add(s.Seal("w", "other purpose", []byte("x")))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if got, err := s.Open("w", "p", sealed); err == nil {
			t.Errorf("%x opens as %q", sealed, got)
		}
	})
}
