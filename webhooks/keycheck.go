package webhooks

import (
	"context"
	"crypto/cipher"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// What a store knows of the keys that its secrets are sealed with: one known text, sealed with each. It is kept as the
// secrets of a workspace that nobody has a key for.
const (
	sealWorkspace = "switchyard-seal"
	sealPurpose   = "key check"
	sealText      = "switchyard"
)

// CheckKey makes sure that a process can open what others seal in the same stores, and they what it seals. The first one
// leaves a known text there, sealed with its key; who has none of the keys that such texts were sealed with is refused with
// CodeConflict. Who has a new one, and an old one too, adds a text of the new one: see Settings.OldKeys.
func CheckKey(ctx context.Context, workspaces store.Workspaces, s *Sealer) error {
	for range saveAttempts {
		w, err := knownKeys(ctx, workspaces)
		if err != nil {
			return err
		}
		if len(w.Secrets) > 0 && !s.opens(w.Secrets) {
			return memory.Errorf(memory.CodeConflict, "the webhook secrets in these stores are sealed with another key than this process has: set "+
				"SWITCHYARD_WEBHOOK_KEY to the one of the other processes; if it was changed on purpose, add the one before to webhooks.old_keys")
		}
		if s.sealed(w.Secrets) {
			return nil
		}
		w.Secrets = append(w.Secrets, s.text())
		if err = workspaces.Save(ctx, w); memory.CodeOf(err) != memory.CodeConflict {
			return err
		}
	}
	return memory.Errorf(memory.CodeUnavailable, "the keys of webhook secrets are being changed by many processes at once")
}

// ErrNoKey is what [KeyKnown] returns where no process has left its key's mark yet.
var ErrNoKey = memory.Errorf(memory.CodeNotFound, "no process has sealed anything in these stores yet")

// KeyKnown is CheckKey for who must not change anything.
func KeyKnown(ctx context.Context, workspaces store.Workspaces, s *Sealer) error {
	w, err := knownKeys(ctx, workspaces)
	switch {
	case err != nil:
		return err
	case len(w.Secrets) == 0:
		return ErrNoKey
	case !s.opens(w.Secrets):
		return memory.Errorf(memory.CodeConflict, "the webhook secrets in these stores are sealed with another key than the one that is set")
	}
	return nil
}

// ForgetKeys makes the key of s the only one, for when the ones before are lost. What they sealed stays shut: such endpoints
// need new secrets.
func ForgetKeys(ctx context.Context, workspaces store.Workspaces, s *Sealer) error {
	w, err := knownKeys(ctx, workspaces)
	if err != nil {
		return err
	}
	w.Secrets = []store.Secret{s.text()}
	return workspaces.Save(ctx, w)
}

func knownKeys(ctx context.Context, workspaces store.Workspaces) (store.Workspace, error) {
	w, err := workspaces.Get(ctx, sealWorkspace)
	if memory.CodeOf(err) == memory.CodeNotFound {
		return store.Workspace{ID: sealWorkspace, Name: "Keys that webhook secrets are sealed with", CreatedAt: memory.Now()}, nil
	}
	return w, err
}

func (s *Sealer) text() store.Secret {
	return store.Secret{Sealed: s.Seal(sealWorkspace, sealPurpose, []byte(sealText))}
}

// opens reports whether one of the keys opens one of the texts.
func (s *Sealer) opens(texts []store.Secret) bool {
	for _, t := range texts {
		if text, err := s.Open(sealWorkspace, sealPurpose, t.Sealed); err == nil && string(text) == sealText {
			return true
		}
	}
	return false
}

// sealed reports whether one of the texts was sealed with the key that s seals with.
func (s *Sealer) sealed(texts []store.Secret) bool {
	own := Sealer{current: s.current, keys: map[keyID]cipher.AEAD{s.current: s.keys[s.current]}}
	return own.opens(texts)
}
