# tenantwatch: `make` lists what there is. `make up` runs it, `make test` proves it.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export TENANTWATCH_ENGINE_LIB ?= $(CURDIR)/build/engine/libchdb.so
BIN := bin/tenantwatch
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO_FILES := $(shell git ls-files '*.go' '*.sql' '*.yaml' go.mod go.sum 2>/dev/null)
WEB_FILES := $(shell git ls-files dashboards/web 2>/dev/null | grep -v '^dashboards/web/dist/')
DATA ?=
ARGS ?=

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOSEC := github.com/securego/gosec/v2/cmd/gosec@v2.30.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: help up run build setup engine postgres kafka pgbouncer web browser test unit race integration prove-isolation smoke kills \
        lint fmt vuln gosec chaos quality bench screens fuzz clean distclean

help: ## this list
	@awk 'BEGIN {FS = ":.*## "; printf "\nUsage: make TARGET\n\n"} /^[a-z-]+:.*## / {printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2} /^## / {printf "\n%s\n", substr($$0, 4)}' $(MAKEFILE_LIST); echo

## Run
up: build ## build what is missing and start everything with demo traffic (DATA=dir, ARGS=flags)
	@exec $(BIN) up --demo $(if $(DATA),--data-dir $(DATA)) $(ARGS)

run: build ## the same, empty: your own tenants and logs
	@exec $(BIN) up $(if $(DATA),--data-dir $(DATA)) $(ARGS)

## Build
build: setup $(BIN) ## the binary with the dashboard inside

$(BIN): $(GO_FILES) dashboards/web/dist/index.html
	@echo "==> building $(BIN)" >&2
	@go build -trimpath -ldflags "-X main.version=$(VERSION)" -o $@ ./cmd/tenantwatch

setup: engine postgres ## fetch what the embedded parts need (once)

engine: ## the ClickHouse engine library, into build/engine
	@deploy/setup/engine.sh

postgres: ## PostgreSQL binaries, unless the machine has them
	@deploy/setup/postgres.sh

web: dashboards/web/dist/index.html ## the dashboard, into dashboards/web/dist

dashboards/web/dist/index.html: $(WEB_FILES)
	@command -v npm >/dev/null || { echo "error: npm is missing, it builds the dashboard. Install Node.js 20 or newer and run make again." >&2; exit 1; }
	@echo "==> building the dashboard" >&2
	@cd dashboards/web && npm ci --no-fund --no-audit --loglevel=error && npm run --silent build
	@touch $@

kafka: ## a real Apache Kafka for the tests, into build/kafka (needs Java 17)
	@deploy/setup/kafka.sh

pgbouncer: ## a PgBouncer for the tests, into build/pgbouncer
	@deploy/setup/pgbouncer.sh

browser: ## a Chromium for the browser tests
	@deploy/setup/browser.sh

## Prove
test: build lint race integration prove-isolation smoke kills web-test ## everything CI runs

race: setup kafka pgbouncer ## all Go tests under the race detector
	go test -race -timeout 15m ./...

unit: setup kafka pgbouncer ## all Go tests, quick
	go test ./...

web-test: web ## the dashboard's unit tests and types
	cd dashboards/web && npm run --silent lint && npm run --silent test

integration: build ## the binary as its users run it, on real parts
	go test -timeout 15m -count=1 -tags integration -run TestIntegration ./cmd/tenantwatch/e2e/

prove-isolation: build ## every route for every credential with foreign ids; every guard with its mutation control
	@CI=true go test -p 1 -timeout 10m -count=1 -tags integration -run '^TestProveIsolation$$' -v ./cmd/tenantwatch/e2e/ ./core/ ./pipeline/eventstore/ ./api/ | grep -vE '^(=== |--- PASS|PASS$$|ok )'
	@echo "==> isolation holds: nothing foreign left, and every control was seen"

smoke: build browser ## the dashboard in a real browser against the real binary
	go test -timeout 10m -count=1 -tags integration -run 'TestBrowserSmoke' ./cmd/tenantwatch/e2e/

kills: build ## a few kill -9 under load: rows = accepted events
	TENANTWATCH_KILLS=3 TENANTWATCH_KILL_EVENTS=100000 go test -timeout 10m -count=1 -tags integration -run 'TestKills' ./cmd/tenantwatch/e2e/

lint: ## gofmt, vet, staticcheck, import direction, known vulnerabilities
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	@$(MAKE) --no-print-directory vuln

vuln: ## govulncheck; says so when its database cannot be reached
	@out=$$(go run $(GOVULNCHECK) ./... 2>&1) && echo "govulncheck: clean" || { \
	  if grep -q 'fetching vulnerabilities' <<<"$$out"; then echo "govulncheck: SKIPPED, the vulnerability database cannot be reached from here"; \
	  else echo "$$out"; exit 1; fi; }

# Left out by rule: G104 (best-effort closes, staticcheck sees the rest), G115
# (widths at the edges of codecs, bounded where they are read), G204 (commands we
# located ourselves), G304 (paths the operator gave), G404 (jitter, sketches and
# the simulator). Every other exception is marked in the line, with its reason.
gosec: ## gosec; exceptions have their reason here or in the line
	go run $(GOSEC) -quiet -exclude-generated -exclude=G104,G115,G204,G304,G404 ./...

## Long suites
chaos: build ## ten kill -9 of the whole tree during 1,000,000 events
	TENANTWATCH_KILLS=10 TENANTWATCH_KILL_EVENTS=1000000 go test -timeout 60m -count=1 -tags integration -run 'TestKills' -v ./cmd/tenantwatch/e2e/

quality: build ## detection quality on public data and the simulator, beside the trivial detectors
	go test -timeout 60m -count=1 -tags quality -run 'TestQuality' -v ./detectors/... ./cmd/tenantwatch/cli/ ./collector/parse | grep -vE '^(=== |--- PASS|PASS|testing: warning|\?)'

bench: build ## benchmarks: push to row, codecs, detectors; peak memory of each process
	go test -run '^$$' -bench . -benchmem ./detectors/... ./pipeline/event/... ./collector/...
	go test -timeout 30m -count=1 -tags integration -run 'TestBenchEndToEnd' -v ./cmd/tenantwatch/e2e/ | grep -vE '^(=== |--- PASS)'

screens: build browser ## screenshots of every page in both themes, into build/screens
	go test -timeout 10m -count=1 -tags integration -run 'TestScreens' -v ./cmd/tenantwatch/e2e/

fuzz: ## every fuzz target for a minute
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p 2>/dev/null | grep ^Fuzz || true); do echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime 60s $$p; done; done

fmt: ## format the Go code
	gofmt -w $$(git ls-files '*.go')

clean: ## remove what was built
	rm -rf bin dashboards/web/dist/assets dashboards/web/dist/index.html build/screens

distclean: clean ## remove what was fetched, too
	rm -rf build dashboards/web/node_modules
