//go:build !lean

package embedded

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

func TestUI(t *testing.T) {
	t.Parallel()
	taken := hostPort(takenPort(t))
	s := startServer(t, Config{Dir: t.TempDir(), UIListen: taken})
	t.Run("TakesAFreePortWhereTheWantedOneIsTaken", func(t *testing.T) {
		if s.UIAddress() == "" || s.UIAddress() == taken {
			t.Errorf("the UI is at %q", s.UIAddress())
		}
	})
	t.Run("ServesPagesAndWhatTheyShow", func(t *testing.T) {
		for path, want := range map[string]string{
			"/":                          "<html",
			"/namespaces/default":        "<html",
			"/api/v1/namespaces/default": AttributeWorkspace,
		} {
			if status, body := get(t, s.UIAddress(), path, ""); status != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("GET %s: %d, %.200s", path, status, body)
			}
		}
	})
	t.Run("TakesActions", func(t *testing.T) {
		c, stop := startWorker(t, s, worker.Options{})
		defer stop()
		waiting := run(t, c, client.StartWorkflowOptions{}, "wait")
		post(t, s.UIAddress(), "/api/v1/namespaces/default/workflows/"+waiting.GetID()+"/signal/"+goSignal,
			`{"input": {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "ImZyb20gdGhlIHBhZ2Ui"}]}}`)
		if got := result[string](t, waiting); got != "from the page" {
			t.Errorf("the workflow got %q", got)
		}
	})
	t.Run("TurnsForeignNamesAway", func(t *testing.T) {
		if status, _ := get(t, s.UIAddress(), "/api/v1/namespaces", "evil.example:80"); status != http.StatusForbidden {
			t.Errorf("a page of another site got %d", status)
		}
		if status, _ := get(t, s.UIAddress(), "/", "localhost"); status != http.StatusOK {
			t.Errorf("localhost got %d", status)
		}
	})
}

func get(t *testing.T, address, path, host string) (status int, body string) {
	t.Helper()
	request := newRequest(t, http.MethodGet, address, path, "")
	request.Host = host
	response, body := send(t, request)
	return response.StatusCode, body
}

// post sends what a page of the UI would send, its token against requests of other sites with it.
func post(t *testing.T, address, path, body string) {
	t.Helper()
	page, _ := send(t, newRequest(t, http.MethodGet, address, "/", ""))
	request := newRequest(t, http.MethodPost, address, path, body)
	request.Header.Set("Content-Type", "application/json")
	for _, cookie := range page.Cookies() {
		request.AddCookie(cookie)
		request.Header.Set("X-Csrf-Token", cookie.Value)
	}
	if response, answer := send(t, request); response.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: %d, %s", path, response.StatusCode, answer)
	}
}

func newRequest(t *testing.T, method, address, path, body string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	return request
}

func send(t *testing.T, request *http.Request) (_ *http.Response, body string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(all)
}
