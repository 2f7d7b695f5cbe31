package client

import (
	"net/http"

	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// Verify checks a webhook that came in: that one of the secrets, such as [Client.WebhookSecret] and [Client.CreateEndpoint]
// return, signed exactly these bytes, and not long ago. Read the body whole, verify it, and only then decode it. Package
// webhook has more: its tolerance, its errors.
func Verify(h http.Header, body []byte, secrets ...string) error {
	keys := make([]webhook.Key, len(secrets))
	for i, s := range secrets {
		k, err := webhook.ParseKey(s)
		if err != nil {
			return err
		}
		keys[i] = k
	}
	return webhook.Verify(h, body, keys...)
}
