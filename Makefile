# The commands of a developer. Each is one word; `make help` lists them.
# Tests look for the corpus of captures in MAPISCOPE_CORPUS, by default
# ../shared/captures, and skip what needs it where it is not there.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PROFILE     := cmd/mapiscope/report.pgo
DEMO        := pcaps/demo.pcap
FUZZTIME    ?= 30s
TESTFLAGS   ?=
BENCH       ?= .
BENCHFLAGS  ?=
GO          := scripts/with-libpcap.sh go

.DEFAULT_GOAL := help
.PHONY: help demo build fast profile test scenes race check lint nocgo golden golden-check bench microbench flood fuzz clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' Makefile | expand -t 14

demo: build ## install what is missing, build, and print the report of a shipped capture
	@build/mapiscope report $(DEMO)

build: ## build build/mapiscope
	@$(GO) build -o build/mapiscope ./cmd/mapiscope

fast: ## build build/mapiscope by the committed profile: a tenth faster, and a minute more to build
	@$(GO) build -pgo=$(PROFILE) -o build/mapiscope ./cmd/mapiscope

profile: ## make the profile for `make fast` anew
	@scripts/profile.sh $(PROFILE)

test: ## run all tests (TESTFLAGS are added to go test)
	@$(GO) test $(TESTFLAGS) ./...

scenes: ## hold the judgement against every scene that is derived from the corpus, not only a few of each kind
	@MAPISCOPE_SCENES=all $(GO) test -count=1 -run TestScenes ./cmd/mapiscope

race: ## run all tests in a random order under the race detector
	@if [ "$$($(GO) env CGO_ENABLED)" = 1 ]; then $(GO) test -race -shuffle=on $(TESTFLAGS) ./...; \
	else echo "race: without cgo there is no race detector" >&2; go test -shuffle=on $(TESTFLAGS) ./...; fi

lint: ## gofmt, go mod tidy, go vet, staticcheck
	@$(GO) mod tidy -diff
	@out=$$(gofmt -l .); [ -z "$$out" ] || { echo "gofmt would change:"; echo "$$out"; exit 1; }
	@$(GO) vet ./...
	@$(GO) run $(STATICCHECK) ./...

nocgo: ## build, vet and capture without cgo, and vet for a 32-bit machine
	@CGO_ENABLED=0 go build ./...
	@CGO_ENABLED=0 go vet ./...
	@CGO_ENABLED=0 go test ./pcaps
	@CGO_ENABLED=0 GOARCH=386 go vet ./internal/wire ./flows ./dcerpc/... ./emsmdb

check: lint nocgo race golden-check ## all that has to hold before a commit

golden: ## write the golden files, shipped captures and outputs of test scripts anew
	@scripts/with-libpcap.sh scripts/golden.sh

golden-check: ## fail if make golden would change a file
	@scripts/with-libpcap.sh scripts/golden.sh --check

bench: fast ## make large captures and measure the report beside other programs (BENCHFLAGS, see cmd/mapiscope-bench)
	@$(GO) run ./cmd/mapiscope-bench -mapiscope build/mapiscope $(BENCHFLAGS)

microbench: ## run the benchmarks of the packages (BENCH chooses by name)
	@$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...

flood: ## run the floods in full: ten million connections, and others to scale
	@MAPISCOPE_FLOOD=full $(GO) test ./internal/run -run 'Floods|Bombs' -v -timeout 2h

fuzz: ## run each fuzz target for FUZZTIME
	@scripts/with-libpcap.sh scripts/fuzz.sh $(FUZZTIME)

clean: ## remove what was built
	@rm -rf build
