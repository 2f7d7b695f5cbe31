//go:build !failpoints

package main

import (
	"net/http"

	"google.golang.org/grpc"

	"github.com/switchyard-ai/switchyard/webhooks"
)

// These are where the build tag failpoints puts faults and bugs between the parts (internal/faults). Without the tag
// nothing is put there.

func faultyStores(*stores) error                        { return nil }
func faultyModels(m models) models                      { return m }
func faultyTransport(*webhooks.Guard) http.RoundTripper { return nil }
func faultyAnswers(h http.Handler) http.Handler         { return h }
func faultyDials() []grpc.DialOption                    { return nil }
