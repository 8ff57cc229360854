# What a person or CI calls; `make help` lists it. Cargo and go decide what has to be rebuilt.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/go/bin:/usr/local/sbin:/usr/sbin:/sbin
TARGET := $(or $(CARGO_TARGET_DIR),target)
LOGS := $(TARGET)/test-logs
DIST := $(CURDIR)/dist/bin

# RESIDENT programs are static; RUSTFLAGS reach them alone because --target is given.
RESIDENT := wamr-crun wamr-runner containerd-shim-wamr-v1
HOSTED := wamr-lab wamr-report
TRIPLE := $(shell uname -m)-unknown-linux-gnu
STATIC := LIBSECCOMP_LINK_TYPE=static \
	LIBSECCOMP_LIB_PATH="$$(pkg-config --variable=libdir libseccomp)" \
	RUSTFLAGS="$(RUSTFLAGS) -C target-feature=+crt-static"

# With these, tests drive the programs that are shipped instead of those that cargo just built.
SHIPPED := WAMR_TEST_RUNTIME=$(DIST)/wamr-crun WAMR_RUNNER=$(DIST)/wamr-runner \
	WAMR_TEST_SHIM=$(DIST)/containerd-shim-wamr-v1

DESTDIR :=
PREFIX := /usr/local
SYSCONFDIR := /etc
LAB := 0
MANUAL := $(abspath $(TARGET))/manual
PACKAGING = PROGRAMS=$(DIST) MANUAL=$(MANUAL) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) \
	SYSCONFDIR=$(SYSCONFDIR) LAB=$(LAB)
CARGO_DEB_VERSION := 3.8.0
DEADNIX_VERSION := 1.3.1
DEADNIX := $(abspath $(TARGET))/tools/bin/deadnix
CARGO_DEB := $(abspath $(TARGET))/tools/bin/cargo-deb
EXPERIMENT := lab/experiments/demo.toml
SUITE := $(TARGET)/validation
CONFORMANCE := data/conformance/results.json
RUNTIMES := wamr-crun,crun,runc
TOOLS := github.com/opencontainers/runtime-tools
DRIVER = PYTHONPATH=nixos-tests PYTHONDONTWRITEBYTECODE=1 python3 -m driver --lab $(DIST)/wamr-lab
BENCH := data/bench/lifecycle.csv
ROUNDS := 200

.PHONY: help setup demo build image test check fuzz stress clean artifact report-cost
.PHONY: reference reference-pack
.PHONY: install uninstall manual deb clients
.PHONY: fmt tidy clippy doc unit sweep totals vm vm-test vm-privileged scenarios
.PHONY: nix-check nix-show nix-options
.PHONY: bench bench-page peers conformance conformance-gate conformance-page validate FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup build ## ten pods each of three systems on a node of this machine, and the report
	@$(DIST)/wamr-lab demo $(ARGS)

test: setup fmt tidy clippy doc scenarios nix-check build deb image ## everything; CI runs this
	@rm -rf $(LOGS)
	@status=0; \
	$(SHIPPED) $(MAKE) unit && $(MAKE) reference && $(MAKE) conformance-gate && $(MAKE) sweep && \
		$(MAKE) vm-test || status=$$?; \
	$(MAKE) totals; exit $$status

check: setup fmt tidy clippy doc scenarios nix-check unit reference ## what needs no root, no node

# Both builds at once: the optimiser's last pass over a static program keeps one processor busy.
build: ## the five programs into dist/bin
	@echo '== build: $(RESIDENT), static; $(HOSTED)'
	@($(STATIC) cargo build --locked --profile resident --target $(TRIPLE) \
		$(addprefix --package ,$(RESIDENT)) --bins) & status=0; \
	cargo build --locked --release $(addprefix --package ,$(HOSTED)) --bins || status=$$?; \
	wait $$! || status=$$?; exit $$status
	@install -d $(DIST)
	@for program in $(addprefix $(TARGET)/$(TRIPLE)/resident/,$(RESIDENT)) \
		$(addprefix $(TARGET)/release/,$(HOSTED)); do \
		cmp -s "$$program" "$(DIST)/$${program##*/}" || install "$$program" $(DIST)/; done

image: build ## the node image, into the cache (as root; the first time takes minutes)
	@if [ "$$(id -u)" = 0 ]; then $(DIST)/wamr-lab image build; fi

setup: ## what this machine lacks: packages, the Rust toolchain, Go (as root)
	@vm-images/host/setup.sh

fuzz: build ## fuzz config.json, the plan and modules, or TARGETS; MINUTES=10 each
	@WAMR_RUNNER=$(DIST)/wamr-runner MINUTES=$(or $(MINUTES),10) runtime/fuzz/run.sh $(TARGETS)

stress: build ## 200 containers at once, 200 kills of each verb, races of 200 rounds (as root)
	@echo '== stress'
	@$(SHIPPED) WAMR_TEST_PRIVILEGED=required WAMR_TEST_PARALLEL=200 WAMR_TEST_ROUNDS=200 \
		cargo test --locked --package wamr-crun --test privileged -- --test-threads=1 \
		stress:: escapes:: redirects:: shared_mounts::

artifact: ## what a reviewer downloads: sources, lock files, raw data, reports; the same bytes
	@echo '== artifact'
	@cargo build --locked --release --package wamr-report --bins
	@analysis/artifact.sh $(abspath $(TARGET))/release/wamr-report dist

reference: ## the recorded runs of data/: verified, and their reports made again and compared
	@echo '== reference'
	@cargo build --locked --release --quiet --package wamr-report --bins
	@mkdir -p $(LOGS)
	@if analysis/reference.sh check $(abspath $(TARGET))/release/wamr-report \
		$(abspath $(TARGET))/reference; \
	then echo 'test result: ok. 1 passed; 0 failed (reference)' | tee $(LOGS)/reference.log; \
	else echo 'test result: FAILED. 0 passed; 1 failed (reference)' | \
		tee $(LOGS)/reference.log; exit 1; fi

reference-pack: ## RUN becomes data/NAME: an archive, and its report
	@cargo build --locked --release --quiet --package wamr-report --bins
	@analysis/reference.sh pack $(abspath $(TARGET))/release/wamr-report $(RUN)

report-cost: ## time and memory of a report on nine systems, three densities, five repetitions
	@cargo build --locked --release --package wamr-report --bins --examples
	@rm -rf $(LOGS)/nine $(LOGS)/nine-report && mkdir -p $(LOGS)
	@$(TARGET)/release/examples/synthetic_run $(LOGS)/nine nine
	@/usr/bin/time -f '%e s, %M kB at most' \
		$(TARGET)/release/wamr-report build $(LOGS)/nine --out $(LOGS)/nine-report

manual: ## man pages and shell completions, into $(MANUAL)
	@cargo run --locked --release --quiet --package wamr-manual -- $(MANUAL)

install: build manual ## the runtime into $(DESTDIR)$(PREFIX); with LAB=1 the lab and the report too
	@$(PACKAGING) packaging/install.sh install

uninstall: ## what install put there
	@$(PACKAGING) packaging/install.sh uninstall

clients: build deb ## Docker, Podman, containerd and the Debian package with the runtime
	@echo '== clients'
	@$(SHIPPED) cargo test --locked --package wamr-lab --test clients -- --show-output

deb: build manual $(CARGO_DEB) ## a Debian package of the runtime, into dist/
	@$(PACKAGING) CARGO_DEB=$(CARGO_DEB) packaging/deb.sh dist
	@if command -v lintian >/dev/null; then lintian --fail-on error dist/wamr-crun_*.deb; fi

$(CARGO_DEB):
	@cargo install cargo-deb --version $(CARGO_DEB_VERSION) --locked --no-default-features \
		--root $(TARGET)/tools

clean: ## what was built here; the cache of node images is kept
	@rm -rf $(TARGET) dist

fmt: ## formatting of the Rust sources
	@echo '== fmt'
	@cargo fmt --all --check

tidy: $(TARGET)/tidy ## the house rules of lab/tests/tidy, in seconds
	@echo '== tidy'
	@RUST_BACKTRACE=0 $(TARGET)/tidy --quiet

$(TARGET)/tidy: $(wildcard lab/tests/tidy/*.rs)
	@mkdir -p $(TARGET)
	@rustc --edition 2024 --test lab/tests/tidy/main.rs -o $@

clippy: ## lints, warnings are errors
	@echo '== clippy'
	@cargo clippy --locked --workspace --all-targets -- -D warnings

doc: ## links of the documentation comments
	@echo '== doc'
	@RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --quiet

unit: ## tests of the workspace; those that need root say so and are skipped without
	@echo '== tests'
	@mkdir -p $(LOGS)
	@cargo test --locked --workspace --no-fail-fast -- --show-output | tee $(LOGS)/unit.log

sweep: ## end to end: EXPERIMENT on a native node, and its report
	@echo '== sweep: $(EXPERIMENT)'
	@mkdir -p $(LOGS)
	@[ "$$(id -u)" = 0 ] || { echo 'skipped: the sweep needs root' | tee $(LOGS)/sweep.log; exit; }; \
	rm -rf $(LOGS)/sweep; \
	code=0; $(DIST)/wamr-lab run $(EXPERIMENT) --out $(LOGS)/sweep || code=$$?; \
	if [ $$code = 4 ]; then echo 'note: the machine was too busy for figures'; code=0; fi; \
	if [ $$code = 0 ] && $(DIST)/wamr-report verify $(LOGS)/sweep && \
		$(DIST)/wamr-report summary $(LOGS)/sweep; \
	then echo 'test result: ok. 1 passed; 0 failed (sweep)' | tee $(LOGS)/sweep.log; \
	else echo 'test result: FAILED. 0 passed; 1 failed (sweep)' | tee $(LOGS)/sweep.log; exit 1; fi

conformance: build image $(TARGET)/debug/wamr-bench ## runtime-tools' programs on RUNTIMES
	@$(MAKE) validate RESULTS=$(CONFORMANCE)
	@$(MAKE) conformance-page

conformance-gate: $(TARGET)/debug/wamr-bench
	@echo '== conformance: no worse than $(CONFORMANCE)'
	@mkdir -p $(LOGS)
	@[ "$$(id -u)" = 0 ] || { echo 'skipped: conformance needs root' | tee $(LOGS)/conformance.log; \
		exit; }; \
	if $(MAKE) validate RUNTIMES=wamr-crun RESULTS=$(LOGS)/conformance.json; \
	then echo 'test result: ok. 1 passed; 0 failed (conformance)' | tee $(LOGS)/conformance.log; \
	else echo 'test result: FAILED. 0 passed; 1 failed (conformance)' | \
		tee $(LOGS)/conformance.log; exit 1; fi

validate: # runs the programs; RESULTS is written, and compared with the committed results
	@runtime/conformance/build.sh $(SUITE)
	@before=$$(mktemp); cp $(CONFORMANCE) $$before; \
	status=0; $(TARGET)/debug/wamr-bench conformance --suite $(SUITE) --bin $(DIST) \
		--suite-name "$$(cd runtime/conformance && go list -m $(TOOLS))" \
		--runtimes $(RUNTIMES) --out $(RESULTS) --against $$before || status=$$?; \
	rm -f $$before; exit $$status

bench: build image $(TARGET)/debug/wamr-bench ## times and system calls of the verbs: BENCH
	@youki=$$($(DIST)/wamr-lab peers build youki | sed -n 's,^bin/youki: \(.*\)/bin/youki$$,\1,p'); \
	$(TARGET)/debug/wamr-bench speed --bin $(DIST) --peers "$$youki" \
		--runtimes $(RUNTIMES),youki --rounds $(ROUNDS) --out $(BENCH)
	@$(MAKE) bench-page

bench-page: $(TARGET)/debug/wamr-bench ## docs/benchmarks.md from the raw data in BENCH
	@$(TARGET)/debug/wamr-bench speed-page $(BENCH) --out docs/benchmarks.md

peers: setup build ## what wamr-crun is compared with, from source into the cache: NAMES, or all
	@$(DIST)/wamr-lab peers build $(NAMES)

conformance-page: $(TARGET)/debug/wamr-bench ## docs/conformance.md from the committed results
	@$(TARGET)/debug/wamr-bench conformance-page $(CONFORMANCE) \
		--reasons runtime/conformance/reasons.toml --out docs/conformance.md

$(TARGET)/debug/wamr-bench: FORCE
	@cargo build --locked --quiet --package wamr-bench

FORCE:

vm: build image ## the sweep of lab/experiments/vm.toml in a virtual machine (as root)
	@$(MAKE) sweep EXPERIMENT=lab/experiments/vm.toml

vm-test: build image ## nixos-tests/smoke.py in a virtual machine, and its report (as root)
	@echo '== vm-test'
	@rm -rf $(LOGS)/vm && mkdir -p $(LOGS)/vm
	@$(DRIVER) nixos-tests/smoke.py --output $(LOGS)/vm | tee $(LOGS)/vm.log
	@[ ! -e $(LOGS)/vm/run ] || $(DIST)/wamr-report verify $(LOGS)/vm/run

vm-privileged: build image ## the runtime's tests on cgroup v2 and systemd, in a virtual machine
	@echo '== vm-privileged'
	@nixos-tests/suite.sh $(TARGET)/vm-suite $(DIST)
	@rm -rf $(LOGS)/vm-privileged* && mkdir -p $(LOGS)/vm-privileged
	@status=0; SUITE=$(abspath $(TARGET))/vm-suite $(DRIVER) nixos-tests/privileged.py --bare \
		--output $(LOGS)/vm-privileged | tee $(LOGS)/vm-privileged.log || status=$$?; \
	for log in $(LOGS)/vm-privileged/*.log; do [ ! -e $$log ] || \
		{ cp $$log $(LOGS)/vm-privileged-$${log##*/}; \
			grep -H '^test .*FAILED\|^test result:' $$log || true; }; \
	done; exit $$status

scenarios: ## the driver of nixos-tests against a shell: no machine is needed
	@echo '== scenarios'
	@mkdir -p $(LOGS)
	@cd nixos-tests && PYTHONDONTWRITEBYTECODE=1 python3 -m unittest driver.test_machine

nix-check: ## flake and NixOS modules, evaluated without nixpkgs; NIXPKGS_LIB= names a real lib
	@echo '== nix-check'
	@mkdir -p $(LOGS)
	@if ! command -v nix >/dev/null; then \
		echo 'skipped: nix-check: nix is not installed (apt-get install nix-bin)' | \
			tee $(LOGS)/nix.log; \
	else $(MAKE) $(DEADNIX) && DEADNIX=$(DEADNIX) nix/offline/check.sh | tee $(LOGS)/nix.log; fi

nix-show: ## what the flake offers, with stand-ins for its inputs
	@nix/offline/flake.sh show

nix-options: ## docs/options.md from the options of the NixOS modules
	@nix/offline/check.sh options

$(DEADNIX):
	@cargo install deadnix --version $(DEADNIX_VERSION) --locked --root $(TARGET)/tools

totals:
	@echo; awk '/^failures:/ { on = 1 } on && n++ < 200; /^test result:/ { on = 0 }' $(LOGS)/*.log
	@grep -h 'skipped: ' $(LOGS)/*.log | sort -u || true
	@awk '/^test result:/ { for (i = 2; i <= NF; i++) { \
			if ($$i ~ /^passed/) passed += $$(i-1); if ($$i ~ /^failed/) failed += $$(i-1); \
			if ($$i ~ /^ignored/) skipped += $$(i-1) } } \
		/skipped: / { skipped++ } \
		END { printf "total: %d passed, %d failed, %d skipped\n", passed, failed, skipped }' \
		$(LOGS)/*.log
