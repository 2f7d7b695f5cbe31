package webhooks

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// keyring makes, opens and rotates signing secrets. In the store they are sealed.
type keyring struct {
	sealer     *Sealer
	workspaces store.Workspaces
}

// Purposes that secrets are sealed for.
const workspacePurpose = "workspace webhook secret"

func endpointPurpose(id string) string { return "endpoint secret " + id }

// saveAttempts is how often a change of a document that someone else changed at the same time is tried.
const saveAttempts = 5

func (k keyring) seal(workspace, purpose string, key webhook.Key) store.Secret {
	return store.Secret{Sealed: k.sealer.Seal(workspace, purpose, []byte(key.Text()))}
}

// open returns the keys that sign now, newest first.
func (k keyring) open(workspace, purpose string, secrets []store.Secret, now time.Time) ([]webhook.Key, error) {
	var keys []webhook.Key
	for _, s := range secrets {
		if !s.Expires.IsZero() && !now.Before(s.Expires) {
			continue
		}
		text, err := k.sealer.Open(workspace, purpose, s.Sealed)
		if err != nil {
			return nil, err
		}
		key, err := webhook.ParseKey(string(text))
		if err != nil {
			return nil, memory.Wrap(memory.CodeInternal, err, "a stored signing secret is damaged")
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// rotated puts a fresh secret first; those before it go on signing for the time of grace, or until they were to end.
func rotated(secrets []store.Secret, fresh store.Secret, grace time.Duration, now time.Time) []store.Secret {
	out, end := []store.Secret{fresh}, now.Add(grace)
	for _, s := range secrets {
		if s.Expires.IsZero() || s.Expires.After(end) {
			s.Expires = end
		}
		if s.Expires.After(now) {
			out = append(out, s)
		}
	}
	return out[:min(len(out), maxSecrets)]
}

// ofWorkspace returns the keys that sign one-off webhooks of the workspace. The first call makes the secret.
func (k keyring) ofWorkspace(ctx context.Context, workspace string, now time.Time) ([]webhook.Key, error) {
	secrets, err := k.workspaceSecrets(ctx, workspace)
	if err != nil {
		return nil, err
	}
	return k.open(workspace, workspacePurpose, secrets, now)
}

func (k keyring) workspaceSecrets(ctx context.Context, workspace string) ([]store.Secret, error) {
	w, err := k.change(ctx, workspace, func(w *store.Workspace) bool {
		if len(w.Secrets) > 0 {
			return false
		}
		w.Secrets = []store.Secret{k.seal(workspace, workspacePurpose, webhook.GenerateSecret())}
		return true
	})
	return w.Secrets, err
}

func (k keyring) rotateWorkspace(ctx context.Context, workspace string, fresh webhook.Key, grace time.Duration, now time.Time) error {
	_, err := k.change(ctx, workspace, func(w *store.Workspace) bool {
		w.Secrets = rotated(w.Secrets, k.seal(workspace, workspacePurpose, fresh), grace, now)
		return true
	})
	return err
}

// change reads a workspace, lets edit change it, and saves it if that says so. Where someone else saved in between it
// begins anew, so edit may run several times.
func (k keyring) change(ctx context.Context, workspace string, edit func(*store.Workspace) bool) (store.Workspace, error) {
	var err error
	for range saveAttempts {
		var w store.Workspace
		if w, err = k.workspaces.Get(ctx, workspace); err != nil {
			return w, fmt.Errorf("workspace %s: %w", workspace, err)
		}
		if !edit(&w) {
			return w, nil
		}
		if err = k.workspaces.Save(ctx, w); memory.CodeOf(err) != memory.CodeConflict {
			return w, err
		}
	}
	return store.Workspace{}, fmt.Errorf("save the secret of workspace %s: %w", workspace, err)
}

// sealHeaders and openHeaders keep the values of an endpoint's own headers unreadable in the store: most of them are
// credentials.
func (k keyring) sealHeaders(workspace, endpoint string, headers map[string]string) map[string]string {
	sealed := make(map[string]string, len(headers))
	for name, value := range headers {
		box := k.sealer.Seal(workspace, endpointPurpose(endpoint)+" header "+name, []byte(value))
		sealed[name] = base64.StdEncoding.EncodeToString(box)
	}
	return sealed
}

func (k keyring) openHeaders(e store.Endpoint) (http.Header, error) {
	h := make(http.Header, len(e.Headers))
	for name, sealed := range e.Headers {
		box, err := base64.StdEncoding.DecodeString(sealed)
		if err != nil {
			return nil, memory.Wrap(memory.CodeInternal, err, "a stored header is damaged")
		}
		value, err := k.sealer.Open(e.Workspace, endpointPurpose(e.ID)+" header "+name, box)
		if err != nil {
			return nil, err
		}
		h.Set(name, string(value))
	}
	return h, nil
}
