# What a person or CI calls; `make help` lists it. Cargo and go decide what has to be rebuilt.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/go/bin:/usr/local/sbin:/usr/sbin:/sbin
TARGET := $(or $(CARGO_TARGET_DIR),target)
export LOGS := $(TARGET)/test-logs
DIST := $(CURDIR)/dist/bin

# RESIDENT programs are static; RUSTFLAGS reach them alone because --target is given.
RESIDENT := wamr-crun wamr-runner wasmtime-runner containerd-shim-wamr-crun-v1
# Alone: built together, cargo would put its compiler into the runner.
COMPILER := wamr-compile
HOSTED := wamr-lab wamr-report
# Of the resident ones, what the demonstration runs: it compiles no guest, and is to begin soon.
DEMONSTRATED := wamr-crun wamr-runner containerd-shim-wamr-crun-v1
TRIPLE := $(shell uname -m)-unknown-linux-gnu
STATIC := LIBSECCOMP_LINK_TYPE=static \
	LIBSECCOMP_LIB_PATH="$$(pkg-config --variable=libdir libseccomp)" \
	RUSTFLAGS="$(RUSTFLAGS) -C target-feature=+crt-static"

# Tests drive the resident programs that are shipped, and of the rest what was just compiled: the
# lab and the report are built once, with the tests.
SHIPPED := WAMR_TEST_PROGRAMS=$(DIST) WAMR_TEST_RUNTIME=$(DIST)/wamr-crun \
	WAMR_RUNNER=$(DIST)/wamr-runner WASMTIME_RUNNER=$(DIST)/wasmtime-runner \
	WAMR_COMPILE=$(DIST)/$(COMPILER) WAMR_TEST_SHIM=$(DIST)/containerd-shim-wamr-crun-v1
TESTED := $(abspath $(TARGET))/debug
# Root without a single capability: it mounts nothing, signals nobody, and needs no other user.
POWERLESS := $(if $(filter 0,$(shell id -u)),setpriv --bounding-set=-all --inh-caps=-all,)
NEXTEST_VERSION := 0.9.151
NEXTEST := cargo nextest run --locked --workspace --no-tests=pass

# The parts of each tier, in the order that shows a slip early. CONTRIBUTING.md has the tiers.
QUICK := fmt tidy scenarios clippy unit
TEST := $(QUICK) doc resident image deb nix-check reference conformance-gate tests
FULL := $(TEST) build licences vulnerabilities generated nodes sweep stress-test \
	suite-on-peers peers-test gallery vm-test vm-privileged

# A release that tests bring nodes up with, besides the image's own: vm-images/stack/stack.toml.
CONTAINERD_NEWEST := 2.4

DESTDIR :=
PREFIX := /usr/local
SYSCONFDIR := /etc
LAB := 0
MANUAL := $(abspath $(TARGET))/manual
PACKAGING = PROGRAMS=$(DIST) MANUAL=$(MANUAL) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) \
	SYSCONFDIR=$(SYSCONFDIR) LAB=$(LAB)
CARGO_DEB_VERSION := 3.8.0
DEADNIX_VERSION := 1.3.1
CARGO_DENY_VERSION := 0.20.2
EXPERIMENT := lab/experiments/demo.toml
SUITE := $(TARGET)/validation
CONFORMANCE := data/conformance/results.json
RUNTIMES := wamr-crun,crun,runc
GALLERY := data/gallery/results.json
TOOLS := github.com/opencontainers/runtime-tools
DRIVER = PYTHONPATH=nixos-tests PYTHONDONTWRITEBYTECODE=1 python3 -m driver --lab $(DIST)/wamr-lab
BENCH := data/bench/lifecycle.csv
ROUNDS := 200
COMPUTE := data/compute
COMPUTE_ROUNDS := 30

.PHONY: help setup demo quick test test-full build resident lab image fuzz stress clean artifact
.PHONY: reference reference-pack report-cost install uninstall manual deb clients tools
.PHONY: fmt tidy clippy doc unit tests nodes sweep vm vm-test vm-privileged scenarios
.PHONY: stress-test peers-test suite-on-peers licences vulnerabilities full-tools generated
.PHONY: nix-check nix-show nix-options gallery gallery-page
.PHONY: churn bench bench-page bench-compute compute-page memory peers
.PHONY: conformance conformance-gate conformance-page validate

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## ten pods each of four systems on a node of this machine, and the report
	@$(MAKE) build RESIDENT="$(DEMONSTRATED)" COMPILER=
	@$(DIST)/wamr-lab demo $(ARGS)

quick: ## between two edits: format, house rules, lints, unit tests; never root, never a node
	@python3 testing/run.py quick $(QUICK)

test: setup tools ## all that CI runs (as root): real containers, a node, a client of each kind
	@python3 testing/run.py test $(TEST)

test-full: setup full-tools ## everything; goes on where it stopped; PARTS="sweep vm-test"
	@python3 testing/run.py full $(FULL)

# Both builds at once: the optimiser's last pass over a static program keeps one processor busy.
build: ## the programs into dist/bin
	@$(MAKE) resident & status=0; \
	cargo build --locked --release $(addprefix --package ,$(HOSTED)) --bins || status=$$?; \
	wait $$! || status=$$?; exit $$status
	@$(call put,$(addprefix $(TARGET)/release/,$(HOSTED)))

resident: ## of these, the static ones that a node runs
	@$(STATIC) cargo build --locked --profile resident --target $(TRIPLE) \
		$(addprefix --package ,$(RESIDENT)) --bins
	@$(if $(COMPILER),$(STATIC) cargo build --locked --release --target $(TRIPLE) \
		--package $(COMPILER) --bins)
	@$(call put,$(addprefix $(TARGET)/$(TRIPLE)/resident/,$(RESIDENT)) \
		$(addprefix $(TARGET)/$(TRIPLE)/release/,$(COMPILER)))

# Copies programs to where they are shipped from, unless the same bytes are there.
put = install -d $(DIST) && for program in $(1); do \
	cmp -s "$$program" "$(DIST)/$${program\#\#*/}" || install "$$program" $(DIST)/; done

# The lab that tests drive; a person's `make image` may use the one that is shipped.
LAB_UNDER_TEST := $(TESTED)/wamr-lab

lab: # what LAB_UNDER_TEST names, by the compilation that makes the tests
	@cargo test --locked --workspace --no-run --quiet

image: lab ## the node image, into the cache (as root; the first time takes minutes)
	@$(LAB_UNDER_TEST) image build --containerd $(CONTAINERD_NEWEST)

setup: ## what this machine lacks: packages, the Rust toolchain, Go (as root)
	@vm-images/host/setup.sh

fuzz: build ## fuzz config.json, the plan and modules, or TARGETS; MINUTES=10 each
	@WAMR_RUNNER=$(DIST)/wamr-runner MINUTES=$(or $(MINUTES),10) runtime/fuzz/run.sh $(TARGETS)

stress: resident ## 200 containers at once, 200 kills of each verb, 1,000 upgrades (as root)
	@$(SHIPPED) WAMR_TEST_REQUIRED=1 WAMR_TEST_PARALLEL=200 WAMR_TEST_ROUNDS=200 \
		cargo test --locked --package wamr-crun --test privileged -- --test-threads=1 \
		stress:: escapes:: redirects:: shared_mounts::
	@$(SHIPPED) WAMR_TEST_REQUIRED=1 WAMR_TEST_UPGRADES=1000 \
		cargo test --locked --package containerd-shim-wamr-crun-v1 --test service -- \
		upgrades_under_load::

artifact: ## what a reviewer downloads: sources, lock files, raw data, reports; the same bytes
	@cargo build --locked --release --package wamr-report --bins
	@analysis/artifact.sh $(abspath $(TARGET))/release/wamr-report dist

reference: lab ## the recorded runs of data/: verified, and their reports made again and compared
	@analysis/reference.sh check $(TESTED)/wamr-report $(abspath $(TARGET))/reference

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
	@$(MANUAL_BY) $(MANUAL)

# Tests have compiled it already, with the rest of the workspace; nobody else has to do that.
ifdef WAMR_TEST_REQUIRED
manual: lab
MANUAL_BY := $(TESTED)/wamr-manual
else
MANUAL_BY := cargo run --locked --release --quiet --package wamr-manual --
endif

install: build manual ## the runtime into $(DESTDIR)$(PREFIX); with LAB=1 the lab and the report too
	@$(PACKAGING) packaging/install.sh install

uninstall: ## what install put there
	@$(PACKAGING) packaging/install.sh uninstall

clients: resident deb tools ## Docker, Podman and containerd with the runtime (as root)
	@$(SHIPPED) WAMR_TEST_REQUIRED=1 $(NEXTEST) -E 'binary_id(wamr-lab::clients)'

deb: resident manual tools ## a Debian package of the runtime, into dist/
	@$(PACKAGING) CARGO_DEB=cargo-deb packaging/deb.sh dist
	@if command -v lintian >/dev/null; then lintian --fail-on error dist/wamr-crun_*.deb; fi

tools: # what cargo installs; a tool of that version is left as it is
	@vm-images/host/tool.sh cargo-nextest $(NEXTEST_VERSION) --no-default-features --debug
	@vm-images/host/tool.sh cargo-deb $(CARGO_DEB_VERSION) --no-default-features
	@vm-images/host/tool.sh deadnix $(DEADNIX_VERSION)
	@vm-images/host/nix.sh >/dev/null || echo "nix-check takes this machine's Nix" >&2

full-tools: tools
	@vm-images/host/tool.sh cargo-deny $(CARGO_DENY_VERSION)

clean: ## what was built here; the cache of node images is kept
	@rm -rf $(TARGET) dist

fmt: ## formatting of the Rust sources
	@cargo fmt --all --check

tidy: $(TARGET)/tidy ## the house rules of lab/tests/tidy, in seconds
	@python3 testing/tiers.py list >/dev/null
	@RUST_BACKTRACE=0 $(TARGET)/tidy --quiet

$(TARGET)/tidy: $(wildcard lab/tests/tidy/*.rs)
	@mkdir -p $(TARGET)
	@rustc --edition 2024 --test lab/tests/tidy/main.rs -o $@

clippy: ## lints, warnings are errors
	@cargo clippy --locked --workspace --all-targets -- -D warnings

doc: ## links of the documentation comments
	@RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --quiet

# Runs the tests of a filterset; their JUnit file is named after the part.
junit = status=0; $(1) || status=$$?; mkdir -p $(LOGS); \
	cp $(TARGET)/nextest/default/junit.xml $(LOGS)/$@.xml; exit $$status

unit: ## unit and property tests and hostile input; root's powers are dropped
	@cargo nextest --version >/dev/null || { echo 'hint: make tools' >&2; exit 1; }
	@cargo test --locked --workspace --no-run --quiet
	@$(call junit,$(POWERLESS) $(NEXTEST) -E "$$(python3 testing/tiers.py filter quick)")

tests: resident image deb ## whole containers, one node, a client of each kind (as root)
	@$(call junit,$(SHIPPED) $(NEXTEST) -E "$$(python3 testing/tiers.py only test)")

nodes: resident image deb ## many nodes, clusters, every client (as root)
	@$(call junit,$(SHIPPED) $(NEXTEST) -E "$$(python3 testing/tiers.py only full)")

sweep: resident image ## end to end: EXPERIMENT on a native node, and its report
	@rm -rf $(LOGS)/sweep && mkdir -p $(LOGS)
	@code=0; $(LAB_UNDER_TEST) --programs $(DIST) run $(EXPERIMENT) --out $(LOGS)/sweep || code=$$?; \
	if [ $$code = 4 ]; then printf 'sweep\tdisturbed\t%s\n' $(EXPERIMENT) \
		>>"$${WAMR_TEST_SKIPPED:-/dev/null}"; code=0; fi; \
	[ $$code = 0 ] && $(TESTED)/wamr-report verify $(LOGS)/sweep

churn: build image ## pods replaced again and again, three systems, and the report; ARGS (as root)
	@run=$${RUN:-runs/$$(date +%F-%H%M%S)-churn}; $(DIST)/wamr-lab churn --out "$$run" $(ARGS) && \
	$(DIST)/wamr-report build "$$run"

conformance: resident image $(TARGET)/debug/wamr-bench ## runtime-tools' programs on RUNTIMES
	@$(MAKE) validate RESULTS=$(CONFORMANCE)
	@$(MAKE) conformance-page

conformance-gate: resident $(TARGET)/debug/wamr-bench ## no worse than the committed results
	@mkdir -p $(LOGS)
	@$(MAKE) validate RUNTIMES=wamr-crun RESULTS=$(LOGS)/conformance.json

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

bench-compute: resident image $(TARGET)/debug/wamr-bench ## what programs take, by engine: COMPUTE
	@$(TARGET)/debug/wamr-bench compute-build --out $(TARGET)/compute
	@$(TARGET)/debug/wamr-bench compute --bin $(DIST) --made $(TARGET)/compute \
		--rounds $(COMPUTE_ROUNDS) --out $(COMPUTE) $(ARGS)
	@$(MAKE) compute-page

compute-page: $(TARGET)/debug/wamr-bench ## docs/compute.md from the raw data in COMPUTE
	@$(TARGET)/debug/wamr-bench compute-page $(COMPUTE) --out docs/compute.md

memory: resident $(TARGET)/debug/wamr-bench ## what idle programs hold, by engine (as root)
	@$(TARGET)/debug/wamr-bench compute-build --programs quickjs,go,cpython --out $(TARGET)/compute
	@cargo build --locked --workspace --example memory-account --quiet
	@$(TARGET)/debug/examples/memory-account engines $(DIST)/wamr-crun $(TARGET)/compute 5 \
		>$(TARGET)/engines.csv
	@cp $(TARGET)/engines.csv data/memory/engines.csv

peers: setup build ## what wamr-crun is compared with, from source into the cache: NAMES, or all
	@$(DIST)/wamr-lab peers build $(NAMES)

conformance-page: $(TARGET)/debug/wamr-bench ## docs/conformance.md from the committed results
	@$(TARGET)/debug/wamr-bench conformance-page $(CONFORMANCE) \
		--reasons runtime/conformance/reasons.toml --out docs/conformance.md

$(TARGET)/debug/wamr-bench: lab ;

vm: resident image ## the sweep of lab/experiments/vm.toml in a virtual machine (as root)
	@$(MAKE) sweep EXPERIMENT=lab/experiments/vm.toml

vm-test: build image ## nixos-tests/smoke.py in a virtual machine, and its report (as root)
	@rm -rf $(LOGS)/vm && mkdir -p $(LOGS)/vm
	@$(DRIVER) nixos-tests/smoke.py --output $(LOGS)/vm
	@[ ! -e $(LOGS)/vm/run ] || $(DIST)/wamr-report verify $(LOGS)/vm/run

vm-privileged: build image ## the runtime's tests on cgroup v2 and systemd, in a virtual machine
	@nixos-tests/suite.sh $(TARGET)/vm-suite $(DIST)
	@rm -rf $(LOGS)/vm-privileged && mkdir -p $(LOGS)/vm-privileged
	@status=0; SUITE=$(abspath $(TARGET))/vm-suite $(DRIVER) nixos-tests/privileged.py --bare \
		--output $(LOGS)/vm-privileged || status=$$?; \
	grep -h '^test .*FAILED\|^test result:' $(LOGS)/vm-privileged/*.log || true; exit $$status

stress-test: stress

peers-test: peers ## the peers' engines are proven on a node (as root)
	@$(LAB_UNDER_TEST) --programs $(DIST) peers verify

# Without this program's path it would be the newest of all builds, not this one's.
privileged = $$(cargo test --locked --workspace --no-run --message-format=json 2>/dev/null | \
	sed -n 's,.*"executable":"\([^"]*/privileged-[^"]*\)".*,\1,p')

suite-on-peers: resident image ## our privileged tests on runc and crun, as expected (as root)
	@env --unset=WAMR_TEST_SKIPPED --unset=WAMR_TEST_REQUIRED \
		$(TESTED)/wamr-bench privileged --runtimes runc,crun --bin $(DIST) \
		--tests "$(privileged)" --out $(LOGS)/privileged-peers.json

gallery: resident ## real modules of many toolchains on both engines and a reference: NAMES, or all
	@$(SHIPPED) PYTHONDONTWRITEBYTECODE=1 python3 testing/gallery/run.py \
		$(LOGS)/gallery/results.json $(NAMES)

gallery-page: ## docs/gallery.md from what make gallery measured last, which is kept in GALLERY
	@install -D -m 644 $(LOGS)/gallery/results.json $(GALLERY)
	@PYTHONDONTWRITEBYTECODE=1 python3 testing/gallery/page.py $(GALLERY) docs/gallery.md

generated: ## sources that are made of others are what these make of them
	@lab/cri-proto/regenerate.sh

licences: full-tools ## what the crates' licences allow, and which crates come twice: deny.toml
	@packaging/licences.sh

# Known faults of the pinned Go programs are told, not refused: a pin has reasons of its own.
vulnerabilities: ## what is known of the Go modules of the node's stack
	@code=0; vm-images/vulnerabilities.sh || code=$$?; [ $$code = 0 ] || [ $$code = 3 ]

scenarios: ## the drivers of nixos-tests and of the gallery, alone: no machine is needed
	@cd nixos-tests && PYTHONDONTWRITEBYTECODE=1 python3 -m unittest driver.test_machine
	@cd testing/gallery && PYTHONDONTWRITEBYTECODE=1 python3 -m unittest --buffer test_run

nix-check: ## flake and NixOS modules, evaluated without nixpkgs; NIXPKGS_LIB= names a real lib
	@nix/offline/check.sh

nix-show: ## what the flake offers, with stand-ins for its inputs
	@nix/offline/flake.sh show

nix-options: ## docs/options.md from the options of the NixOS modules
	@nix/offline/check.sh options
