# What a contributor needs; CI runs the same commands.

# List the recipes.
default:
    @just --list

# Everything that a change has to pass.
ci:
    .ci/run

# Format and lint.
lint:
    cargo fmt --all
    cargo clippy --all-targets -- -D warnings

# The tests.
test:
    cargo test

# Write generated pages and golden files anew; review the difference like code.
golden:
    UPDATE_GOLDEN=1 cargo test

# The demo on http://127.0.0.1:9464/.
demo:
    cargo run --release -- demo

# Criterion benches.
bench:
    cargo bench

# The bridge against simulated instances: CPU, memory, bytes.
load TARGETS="1 1000 10000":
    cargo build --release --bench load
    cargo bench --bench load -- {{TARGETS}}

# Licences, sources and duplicate versions of dependencies.
deny:
    cargo deny check licenses bans sources
