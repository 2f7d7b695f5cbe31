package main

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNetworkDisk(t *testing.T) {
	t.Parallel()
	for number, want := range map[uint32]string{unix.NFS_SUPER_MAGIC: "NFS", 0xFF534D42: "SMB", unix.CEPH_SUPER_MAGIC: "Ceph", unix.EXT4_SUPER_MAGIC: ""} {
		if got := networkKind(number); got != want {
			t.Errorf("%x: %q, want %q", number, got, want)
		}
	}
	if kind, err := networkDisk(filepath.Join(t.TempDir(), "to", "be", "made")); kind != "" || err != nil {
		t.Errorf("%q, %v for a folder that will be made on a local disk", kind, err)
	}
}
