package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// networkDisk names the kind of network file system that the folder is, or will be, on; "" where it is none.
func networkDisk(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		var st unix.Statfs_t
		err := unix.Statfs(dir, &st)
		if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir { // it will be made
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return "", fmt.Errorf("look at the disk of the data folder: %w", err)
		}
		return networkKind(uint32(st.Type)), nil //nolint:gosec // the kernel's numbers have 32 bits
	}
}

// freeBytes is how much room the disk of the folder has for this user; negative: not known.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	err := unix.Statfs(below(dir), &st)
	return int64(st.Bavail) * st.Bsize, err //nolint:gosec // no disk is that big
}

// networkKind goes by the numbers that statfs(2) gives file systems.
func networkKind(number uint32) string {
	switch number {
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return "SMB"
	case unix.CEPH_SUPER_MAGIC:
		return "Ceph"
	case unix.AFS_SUPER_MAGIC:
		return "AFS"
	}
	return ""
}
