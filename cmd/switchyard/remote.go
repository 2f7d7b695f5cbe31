package main

import (
	"cmp"
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/pkg/client"
)

const defaultURL = "http://127.0.0.1:8080"

// remote is the server that the client commands talk to, as flags and environment name it.
type remote struct {
	*console
	url  string
	key  string
	json bool
}

// newRemote gives the command, and those below it, the flags that name the server.
func newRemote(t *console, cmd *cobra.Command) *remote {
	r := &remote{console: t}
	f := cmd.PersistentFlags()
	f.StringVar(&r.url, "url", "", "`address` of the server (SWITCHYARD_URL; default "+defaultURL+")")
	f.StringVar(&r.key, "key", "", "API `key` (SWITCHYARD_KEY; default for a server on this machine: that of switchyard dev)")
	f.BoolVar(&r.json, "json", false, "print JSON, one document a line, for machines")
	return r
}

// client connects the flags, the environment and the defaults.
func (r *remote) client() (*client.Client, error) {
	r.url = cmp.Or(r.url, r.env("SWITCHYARD_URL"), defaultURL)
	r.key = cmp.Or(r.key, r.env("SWITCHYARD_KEY"))
	if r.key == "" && isLoopback(r.url) {
		r.key = cmp.Or(r.env("SWITCHYARD_DEV_KEY"), "sk_dev")
	}
	if r.key == "" {
		return nil, errors.New("no API key for " + r.url + ": give one with --key or SWITCHYARD_KEY")
	}
	return client.New(r.url, r.key, client.Config{UserAgent: "switchyard-cli/" + version(), Retries: 3})
}

// isLoopback reports whether the address is on this machine by its form alone.
func isLoopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
