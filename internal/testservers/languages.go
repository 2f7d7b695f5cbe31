package testservers

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// installPatience is how long fetching packages may take.
const installPatience = 10 * time.Minute

// pythonWith returns the folder of the commands of a Python environment that has these packages of PyPI, each with its
// version. It is in the user's cache and made the first time.
func pythonWith(packages ...string) (bin string, err error) {
	dir, made, err := environment("python", packages)
	if bin = filepath.Join(dir, "bin"); err != nil || made {
		return bin, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), installPatience)
	defer cancel()
	if err := command(ctx, "python3", "-m", "venv", dir); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	install := append([]string{"install", "--quiet", "--disable-pip-version-check"}, packages...)
	return bin, complete(dir, command(ctx, filepath.Join(bin, "pip"), install...))
}

// nodeWith returns a folder whose node_modules has these packages of npm, each with its version. It is in the user's
// cache and made the first time.
func nodeWith(packages ...string) (string, error) {
	if _, err := exec.LookPath("node"); err != nil {
		return "", err
	}
	dir, made, err := environment("node", packages)
	if err != nil || made {
		return dir, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), installPatience)
	defer cancel()
	install := append([]string{"install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dir}, packages...)
	return dir, complete(dir, command(ctx, "npm", install...))
}

// environment names the folder for packages, and says whether it is complete.
func environment(language string, packages []string) (dir string, made bool, err error) {
	base, err := cacheDir(language)
	if err != nil {
		return "", false, err
	}
	dir = filepath.Join(base, strings.NewReplacer("/", "_", "@", "").Replace(strings.Join(packages, "+")))
	_, err = os.Stat(filepath.Join(dir, "complete"))
	return dir, err == nil, os.MkdirAll(dir, 0o700)
}

// complete marks a folder as made, or clears it away: half an environment would look like a whole one.
func complete(dir string, err error) error {
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return os.WriteFile(filepath.Join(dir, "complete"), nil, 0o600)
}

// The stock libraries of Standard Webhooks, and a second implementation of ed25519.
var (
	webhooksPython = sync.OnceValues(func() (string, error) { return pythonWith("standardwebhooks==1.0.1", "cryptography==50.0.2") })
	webhooksNode   = sync.OnceValues(func() (string, error) {
		return nodeWith("standardwebhooks@1.0.0", "typescript@5.9.3", "@types/node@22.19.1")
	})
)

// WebhooksPython returns a Python that has the packages standardwebhooks and cryptography.
func WebhooksPython(tb testing.TB) string {
	tb.Helper()
	bin, err := webhooksPython()
	if err != nil {
		Missing(tb, "Python with standardwebhooks", err)
	}
	return filepath.Join(bin, "python")
}

// WebhooksNode returns a folder whose node_modules has standardwebhooks and the TypeScript compiler.
func WebhooksNode(tb testing.TB) string {
	tb.Helper()
	dir, err := webhooksNode()
	if err != nil {
		Missing(tb, "Node with standardwebhooks", err)
	}
	return dir
}
