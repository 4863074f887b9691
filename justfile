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

# The whole way with real programs, which the first run builds.
e2e *FILTER:
    cargo test --test e2e -- {{FILTER}}

# Write generated pages and golden files anew; review the difference like code.
golden:
    UPDATE_GOLDEN=1 cargo test

# The demo on http://127.0.0.1:9464/.
demo:
    cargo run --release -- demo

# The pictures of the dashboards, from a demo that runs for some minutes.
pictures MINUTES="35":
    cargo build --release
    docs/pictures/run --demo {{MINUTES}}

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

# Fuzz one target (`cargo fuzz list` names them) for some seconds.
fuzz TARGET SECONDS="60":
    mkdir -p fuzz/found/{{TARGET}}
    RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none {{TARGET}} fuzz/found/{{TARGET}} fuzz/corpus/{{TARGET}} -- \
        -max_total_time={{SECONDS}} -timeout=10 $(test ! -f fuzz/dict/{{TARGET}}.dict || echo -dict=fuzz/dict/{{TARGET}}.dict)
