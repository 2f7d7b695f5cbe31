//go:build !linux

package main

// networkDisk knows the file systems of Linux only.
func networkDisk(string) (string, error) { return "", nil }

// freeBytes is not known here.
func freeBytes(string) (int64, error) { return -1, nil }
