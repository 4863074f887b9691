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

# The library without default features, as an application embeds it.
test-library:
    cargo test -p fedimeter --no-default-features

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

# What a number costs, beside nginx with the same bytes and a bare HTTP client.
price *FIGURES:
    cargo build --release --bench price
    cargo bench --bench price -- {{FIGURES}}

# Real minutes of a fleet whose connections are not all kept: pages, CPU, memory.
fleet SERVERS="30000" DESCRIPTORS="2048" MINUTES="8":
    cargo build --release
    benches/fleet {{SERVERS}} {{DESCRIPTORS}} {{MINUTES}}

# Simulated minutes of a fleet: every number looked at is right, and memory stays.
minutes TARGETS="10000" MINUTES="10":
    cargo bench --bench minutes -- {{TARGETS}} {{MINUTES}}

# All figures of docs/performance.md that one machine can take, in one report.
bench-all:
    just price
    just load 1 1000 5000 10000 30000
    just fleet
    just siege

# The bridge beside hostile clients: what the good client waits, and what it costs.
siege TARGETS="1000" SECONDS="20":
    cargo build --release --bench siege
    cargo bench --bench siege -- {{TARGETS}} {{SECONDS}}

# Licences, sources, duplicate versions and known weaknesses of dependencies.
deny:
    cargo deny check

# Fuzz one target (`cargo fuzz list` names them) for some seconds.
fuzz TARGET SECONDS="60":
    mkdir -p fuzz/found/{{TARGET}}
    RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none {{TARGET}} fuzz/found/{{TARGET}} fuzz/corpus/{{TARGET}} -- \
        -max_total_time={{SECONDS}} -timeout=10 $(test ! -f fuzz/dict/{{TARGET}}.dict || echo -dict=fuzz/dict/{{TARGET}}.dict)

# The crates as they would be published, each compiled from its package.
crates:
    cargo publish --dry-run --workspace --locked

# The static program, its archive, the .deb, the SBOM and the checksums.
package:
    PACKAGE_STRICT=1 deploy/package/build

# The .deb in a fresh Debian, as root: install, start, reload, upgrade, remove.
try-deb:
    deploy/package/try-deb

# The chart: lint, rendering, Kubernetes's schemas.
chart:
    deploy/helm/check

# Both stages of the Dockerfile, and the image read-only as nobody, as root.
image:
    deploy/package/image

# What a release has to pass beside `ci` (RELEASE.md): known weaknesses of dependencies, all
# that is published, a minute of each fuzz target, and what it costs.
release-check: ci deny crates package try-deb chart image
    for target in $(cargo fuzz list); do just fuzz "$target"; done
    just load
    just siege
