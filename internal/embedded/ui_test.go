//go:build !lean

package embedded

import (
	"io"
	"net/http"
	"strings"
	"testing"
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
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(all)
}
