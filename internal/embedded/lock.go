//go:build !lean

package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// lockFile holds the process id of whoever has the folder, for the error message; the lock on it is what counts, and
// ends with its process however that ends.
const lockFile = "temporal.lock"

// errLocked is what tryLock answers when someone else holds the lock.
var errLocked = errors.New("locked")

type lock struct{ file *os.File }

// acquireLock takes the folder for this process, or fails at once with ErrInUse.
func acquireLock(dir string) (lock, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return lock{}, fmt.Errorf("open the lock file: %w", err)
	}
	if err := tryLock(file); err != nil {
		return lock{}, errors.Join(lockError(err, dir), file.Close())
	}
	if err := writeOwner(file); err != nil {
		return lock{}, errors.Join(fmt.Errorf("write the lock file: %w", err), file.Close())
	}
	return lock{file}, nil
}

// release gives the folder free. The file stays: removing it would let two others lock two different files of this name.
func (l lock) release() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("release the data folder: %w", err)
	}
	return nil
}

func lockError(err error, dir string) error {
	if !errors.Is(err, errLocked) {
		return fmt.Errorf("lock the data folder %s: %w", dir, err)
	}
	owner, _ := os.ReadFile(filepath.Join(dir, lockFile)) // only for the message
	if pid := strings.TrimSpace(string(owner)); pid != "" {
		return fmt.Errorf("%w: process %s has %s", ErrInUse, pid, dir)
	}
	return fmt.Errorf("%w: another process has %s", ErrInUse, dir)
}

func writeOwner(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(file, "%d\n", os.Getpid())
	return err
}
