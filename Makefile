# `make` alone says what there is. Everything works from a fresh clone with Go and nothing else, but for test-race, which
# needs a C compiler. The tools that lint are built at their first use, into bin/tools.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# One set of flags for builds, tests and linters: so they share one build cache, and no C compiler is asked for.
export CGO_ENABLED ?= 0
export GOFLAGS := $(strip $(shell go env GOFLAGS) -trimpath)

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.buildVersion=$(VERSION)
BIN     := bin/switchyard

# What the build tag lean leaves out: the in-process Temporal server, and what starts it.
HEAVY := ./internal/embedded/... ./cmd/...

TOOLS         := bin/tools
GOLANGCI_LINT := $(TOOLS)/golangci-lint-v2.15.0
WORKFLOWCHECK := $(TOOLS)/workflowcheck-v0.6.0

# go build -v names each package that it compiles: on a terminal they become one line that counts them, elsewhere a line
# now and then. What is not the name of a package is passed on.
LIVE := $(shell [ -t 2 ] && echo 1 || echo 0)
define SHOW_BUILD
awk -v live=$(LIVE) ' \
	/^[A-Za-z0-9][^ :]*$$/ { n++; if (live) printf "\r\033[K  %d packages compiled, now %s", n, $$0; else if (n % 250 == 0) print "  " n " packages compiled"; fflush(); next } \
	{ if (live) printf "\r\033[K"; print } \
	END { if (live && n) printf "\r\033[K" }'
endef

.PHONY: help
help: ## Show this help
	@echo "Switchyard. make <target>:"; echo
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build it and start everything in one process, nothing to set up (ARGS="--data DIR" …)
	@exec $(BIN) dev $(ARGS)

.PHONY: build
build: ## Build bin/switchyard
	@[ -x $(BIN) ] || echo "Building $(BIN). The first time takes some minutes: a whole Temporal server comes with it. Later it takes seconds."
	@mkdir -p bin
	@go build -v -ldflags "$(LDFLAGS)" -o $(BIN) ./cmd/switchyard 2>&1 | $(SHOW_BUILD)

.PHONY: build-lean
build-lean: ## Build bin/switchyard-lean, without the in-process Temporal server (for images)
	@mkdir -p bin
	@go build -v -tags lean -ldflags "$(LDFLAGS)" -o $(BIN)-lean ./cmd/switchyard 2>&1 | $(SHOW_BUILD)

.PHONY: test
test: ## Run the tests; needs Go and nothing else
	go test -tags lean -timeout 30m ./...
	go test $(HEAVY)

.PHONY: test-heavy
test-heavy:
	go test $(HEAVY)
	go test -tags lean -timeout 30m -run TenMinutes ./internal/parity

.PHONY: test-race
test-race: ## Run the tests with the race detector; needs a C compiler
	CGO_ENABLED=1 go test -race -tags lean -timeout 30m ./...

.PHONY: test-integration
test-integration: build ## Run the suites of the adapters and the end-to-end stories on real servers; says what ran on what
	SWITCHYARD_BIN=$(CURDIR)/$(BIN) go test -json -tags "lean e2e" -count=1 -p 1 -timeout 20m $(INTEGRATION) | go run -tags lean ./internal/testservers/report

# The packages with tests that need servers or the binary.
INTEGRATION = $$(git grep -l '^//go:build e2e' -- '*_test.go' | xargs -rn1 dirname | sort -u | sed 's,^,./,')

.PHONY: faults
faults: ## Put error, panic, kill -9 and a stall on both sides of every boundary, and plant every bug (PART="kill before" for a part)
	SWITCHYARD_FAULTS_PART="$(or $(PART),all)" go test -tags "lean failpoints" -count=1 -v -timeout 150m -parallel 4 ./internal/faults

.PHONY: test-faults
test-faults: ## Fail where a boundary has no case, kill the program on both sides of each, and plant every bug
	SWITCHYARD_FAULTS_PART=kill go test -tags "lean failpoints" -count=1 -timeout 30m -parallel 4 ./internal/faults

.PHONY: demo
demo: build ## Send a whole book in, verify the webhook, search it (ARGS="-file memories.ndjson" for another text)
	@go run ./internal/e2e/demo -binary $(BIN) $(ARGS)

.PHONY: eval
eval: build ## Measure what searches find (MEMORIES=memories.ndjson QUESTIONS=questions.ndjson; LoCoMo's are not part of this repository)
	@go run ./internal/e2e/eval -binary $(BIN) -memories "$(MEMORIES)" -questions "$(QUESTIONS)"

.PHONY: soak
soak: build ## Kill, freeze and cut off real processes under load, and compare what is left with what was acknowledged (ARGS="-kills 200 -seed N")
	@go run -tags lean ./internal/e2e/soak -binary $(CURDIR)/$(BIN) $(ARGS)

.PHONY: bench
bench: build ## Run all benchmarks
	go test -tags lean -run '^$$' -bench . -benchmem $(call with_benchmarks,':!internal/embedded')
	go test -run '^$$' -bench . -benchmem $(call with_benchmarks,internal/embedded)
	SWITCHYARD_BIN=$(CURDIR)/$(BIN) go test -tags "lean e2e" -run '^$$' -bench . -benchtime 1x ./internal/e2e

# The packages under the paths that have benchmarks.
with_benchmarks = $$(git grep -l '^func Benchmark' -- $(1) | xargs -rn1 dirname | sort -u | sed 's,^,./,')

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the code
	$(GOLANGCI_LINT) fmt

.PHONY: lint
lint: vet configcheck alerts $(GOLANGCI_LINT) $(WORKFLOWCHECK) ## Run vet, golangci-lint (.golangci.yaml), Temporal's workflowcheck; load what configs ships
	$(GOLANGCI_LINT) run ./...
	$(GOLANGCI_LINT) run --build-tags "" $(HEAVY)
	GOFLAGS="$(GOFLAGS) -tags=lean" $(WORKFLOWCHECK) ./batch/... ./webhooks/...

.PHONY: vet
vet:
	@unformatted=$$(git ls-files -z '*.go' | xargs -0 gofmt -l); [ -z "$$unformatted" ] || { echo "not formatted; run make fmt:" $$unformatted; exit 1; }
	go vet -tags "lean e2e" ./...
	go vet -tags "lean failpoints" ./internal/faults/... ./internal/store/sqlitestore ./cmd/switchyard
	go vet $(HEAVY)

# A module of its own: the product does not depend on Compose and Kubernetes.
.PHONY: configcheck
configcheck:
	cd internal/configcheck && go run . $(CURDIR)/configs

# promtool comes with Prometheus (Debian: prometheus). Where it is not, this says so; with SWITCHYARD_TEST_STRICT=1 it fails.
.PHONY: alerts
alerts:
	@if command -v promtool >/dev/null; then set -x; promtool check config configs/prometheus/prometheus.yaml; promtool test rules configs/prometheus/alerts_test.yaml; \
	else echo "SKIPPED, not passed: no promtool here, so the alerts are not tried" >&2; [ "$${SWITCHYARD_TEST_STRICT:-}" != 1 ]; fi

.PHONY: check
check: lint test-race test-heavy test-integration test-faults ## Run what CI runs: lint and all tests

.PHONY: tools
tools: $(GOLANGCI_LINT) $(WORKFLOWCHECK) ## Build the pinned tools into bin/tools

$(GOLANGCI_LINT): PACKAGE := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
$(WORKFLOWCHECK): PACKAGE := go.temporal.io/sdk/contrib/tools/workflowcheck
$(GOLANGCI_LINT) $(WORKFLOWCHECK):
	@echo "Building $(notdir $@)"
	@mkdir -p $(TOOLS)
	@GOBIN=$(CURDIR)/$(TOOLS) go install -ldflags "-s -w" $(PACKAGE)@$(lastword $(subst -v, v,$(notdir $@)))
	@mv $(TOOLS)/$(notdir $(PACKAGE)) $@

.PHONY: clean
clean: ## Remove what was built (bin), but no data
	rm -rf bin
