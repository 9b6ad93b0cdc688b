# Entry points for people and for CI. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup run test lint format docs bench crashlab deny

# CI runs every test even after a failure; at the desk the first failure is enough.
NEXTEST_PROFILE := $(if $(CI),ci,default)
WARNINGS_ARE_ERRORS := -D warnings

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done

setup: ## install what building and testing need, if it is missing (Debian)
	scripts/setup

run: ## run Satpost with a regtest node and a push service, until Ctrl-C
	scripts/dev

test: lint ## run everything: format, lints, tests, documentation
	scripts/node path
	scripts/clients
	scripts/ntfy
	cargo nextest run --workspace --all-features --locked --profile $(NEXTEST_PROFILE)
	cargo test --workspace --all-features --locked --doc
	RUSTDOCFLAGS="$(WARNINGS_ARE_ERRORS)" cargo doc --workspace --all-features --locked --no-deps

lint: ## check format and lints
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets --all-features --locked -- $(WARNINGS_ARE_ERRORS)

format: ## format the code
	cargo fmt --all

docs: ## write the generated documents again
	UPDATE_DOCS=1 cargo nextest run --workspace --all-features --locked -E 'binary(tidy) & test(generated) | test(openapi)'

bench: ## run the benchmarks
	cargo bench --locked -p satpost-tests

crashlab: ## break everything on purpose at the size of a release: hours; PERCENT=1 for minutes
	cargo build --workspace --all-features --bins --release --locked
	SATPOST_BINARIES=$(CURDIR)/target/release target/release/crashlab campaign --percent $(or $(PERCENT),100) --seed $(or $(SEED),1)

deny: ## check the licences and sources of the dependencies (needs cargo-deny)
	cargo deny --locked check bans licenses sources
