# Needs Go and make; scripts/with-services gets the rest.
# (exec: a signal for make then reaches the script, which ends what it started.)

TESTFLAGS  ?=
BENCHFLAGS ?=
FUZZTIME   ?= 30s
FAULTTIME  ?= 60s

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

.PHONY: test
test: ## every test with -race, beside the services they need; TESTFLAGS='-run Login -v'
	exec env CGO_ENABLED=1 scripts/with-services go test -race -count=1 -timeout 10m $(TESTFLAGS) ./...

.PHONY: check
check: ## gofmt, go vet, staticcheck and govulncheck
	scripts/check

.PHONY: bench
bench: ## the benchmarks of ./bench, beside the services they need; BENCHFLAGS=...
	exec scripts/with-services go run ./bench $(BENCHFLAGS)

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (30s)
	scripts/fuzz $(FUZZTIME)

.PHONY: bench-scale
bench-scale: ## how the stores grow, from 1,000 to 1,000,000 sessions; BENCHFLAGS=...
	exec scripts/with-services go run ./bench/scale $(BENCHFLAGS)

.PHONY: faults
faults: ## what usher promises while processes, stores and networks fail, FAULTTIME (60s) of each fault
	exec scripts/with-services env USHER_FAULTS_TIME=$(FAULTTIME) go test -count=1 -v -timeout 3h -run TestFaults $(TESTFLAGS) ./faults
