# Slipway's front door. `make` lists the entry points; everything else is CMake presets (CMakePresets.json) and ctest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
JOBS ?= $(shell nproc)
# ctest arguments for one's own: make test ARGS='-R store'
ARGS ?=
export CTEST_OUTPUT_ON_FAILURE := 1

configure = cmake --preset $(1) >build/$(1).configure.log 2>&1 || { cat build/$(1).configure.log >&2; exit 1; }
ninja = ninja -C build/$(1) -j$(JOBS)
ctest = ctest --test-dir build/$(1) -j$(JOBS) --no-tests=error --output-on-failure

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

# ---- the two commands of the README
.PHONY: build test demo
build: ## installs what is missing (apt-get), builds build/release/slipway
	@packaging/install build run
	@mkdir -p build
	@$(call configure,release)
	$(call ninja,release) slipway

test: ## builds and runs all tests: unit, golden, fuzz corpora, e2e, faults
	@packaging/install build run test
	@mkdir -p build
	@$(call configure,release)
	$(call ninja,release)
	$(call ctest,release) $(ARGS)

demo: ## builds an example, pushes it, pulls it elsewhere, rebuilds after a change, with times
	@packaging/install build run demo
	@$(MAKE) build
	@examples/demo.sh build/release/slipway

# ---- parts of the tests
.PHONY: unit golden e2e fault conformance
unit: ARGS = -L unit
golden: ARGS = -L golden
e2e: ARGS = -L e2e
fault: ARGS = -L fault
conformance: ARGS = -L conformance
unit: test ## unit tests only
golden: test ## golden folders only (SLIPWAY_ACCEPT=1 rewrites what is expected)
e2e: test ## end to end, against docker, skopeo, umoci and a registry
fault: test ## injected faults, kill -9, full disks
conformance: test ## Dockerfile cases recorded from BuildKit, when they lie beside the repository

# ---- other builds
.PHONY: asan tsan clang coverage
asan: ## unit and fault tests under AddressSanitizer and UBSan
	@packaging/install build run test
	@mkdir -p build
	@$(call configure,asan)
	$(call ninja,asan)
	$(call ctest,asan) -L 'unit|fault|fuzz' $(ARGS)

tsan: ## unit and fault tests under ThreadSanitizer
	@packaging/install build run test
	@mkdir -p build
	@$(call configure,tsan)
	$(call ninja,tsan)
	$(call ctest,tsan) -L 'unit|fault' $(ARGS)

clang: ## builds with clang 19, warnings are errors
	@packaging/install build run clang
	@mkdir -p build
	@$(call configure,clang)
	$(call ninja,clang)

coverage: ## line coverage of the unit tests, in build/coverage/report.txt
	@packaging/install build run test coverage
	@mkdir -p build
	@$(call configure,coverage)
	$(call ninja,coverage)
	$(call ctest,coverage) -L 'unit|golden|fuzz' $(ARGS)
	gcovr --root . --filter src/ --exclude '.*_test\.cpp' --object-directory build/coverage -o build/coverage/report.txt
	@tail -n 3 build/coverage/report.txt

# ---- fuzzing: tests/fuzz/NAME_fuzz.cpp, corpora beside them
.PHONY: fuzz fuzz-smoke
SECONDS_EACH ?= 600
fuzz: ## every fuzz target for SECONDS_EACH (600); finds go to tests/fuzz/corpus
	@packaging/install build run clang
	@mkdir -p build
	@$(call configure,fuzz)
	$(call ninja,fuzz) fuzzers
	tests/fuzz/run.sh build/fuzz $(SECONDS_EACH)

fuzz-smoke: ## every fuzz target for some seconds, one minute in all
	@packaging/install build run clang
	@mkdir -p build
	@$(call configure,fuzz)
	$(call ninja,fuzz) fuzzers
	tests/fuzz/run.sh build/fuzz smoke

# ---- code as it should be
.PHONY: format format-check tidy
format: ## clang-format over all sources
	@packaging/install clang
	git ls-files '*.cpp' '*.hpp' | xargs -r clang-format-19 -i

format-check: ## the same as a check
	@packaging/install clang
	git ls-files '*.cpp' '*.hpp' | xargs -r clang-format-19 --dry-run -Werror

tidy: ## clang-tidy over all sources
	@packaging/install build clang
	@mkdir -p build
	@$(call configure,clang)
	git ls-files 'src/*.cpp' | xargs -r -n 4 -P $(JOBS) clang-tidy-19 -p build/clang --quiet

# ---- speed
.PHONY: bench
bench: ## whole builds against buildkitd, docker and buildah in turns (bench/README.md; ARGS='--scenario …')
	@packaging/install build run bench
	@$(MAKE) build
	bench/run.py --slipway build/release/slipway $(ARGS)

.PHONY: clean
clean: ## removes build/
	rm -rf build
