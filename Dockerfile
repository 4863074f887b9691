# syntax=docker/dockerfile:1
# fedimeter in a container: one static binary, nobody's rights, no shell.
#
#   docker build -t fedimeter .
#   docker run --read-only -p 127.0.0.1:9464:9464 -e FEDIMETER_TARGETS=mastodon.example fedimeter
#
# The context has no history; this tells the image which commit it is of:
#
#   docker build -t fedimeter --build-arg FEDIMETER_REVISION="$(git rev-parse --short=12 HEAD)" .
#
# FEDIMETER_VERSION and FEDIMETER_CREATED (a date as in RFC 3339) are labels alone.
#
# Each platform is built on itself, natively or emulated, as the C in the TLS
# stack wants a compiler for it:
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t fedimeter .
#
# Tags can be moved. For the same image every time, put the digests that you
# have checked behind them: rust:…@sha256:….
FROM rust:1.95.0-alpine3.23 AS build
WORKDIR /src
COPY . .
ARG TARGETPLATFORM
ARG FEDIMETER_REVISION
# musl's target links statically already; said here, it stays so, on a base with glibc, too.
# For that cargo wants to be told the target. Dependencies are built again only where they
# change: registry and target outlive the build.
RUN --mount=type=cache,id=fedimeter-cargo,target=/usr/local/cargo/registry \
    --mount=type=cache,id=fedimeter-target-$TARGETPLATFORM,target=/src/target,sharing=locked \
    host="$(rustc --print host-tuple)" \
    && RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/usr/local/cargo/registry/src=cargo" \
      cargo build --profile shipped --locked --target "$host" --bin fedimeter \
    && cp "target/$host/shipped/fedimeter" /fedimeter

FROM scratch
ARG FEDIMETER_VERSION
ARG FEDIMETER_REVISION
ARG FEDIMETER_CREATED
# Where the project is: Cargo.toml says it, and a test holds this to it.
LABEL org.opencontainers.image.title="fedimeter" \
      org.opencontainers.image.description="An OpenTelemetry metrics bridge for Mastodon and the fediverse" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="fedimeter contributors" \
      org.opencontainers.image.url="https://docs.rs/fedimeter" \
      org.opencontainers.image.documentation="https://docs.rs/fedimeter" \
      org.opencontainers.image.base.name="scratch" \
      org.opencontainers.image.created="$FEDIMETER_CREATED" \
      org.opencontainers.image.version="$FEDIMETER_VERSION" \
      org.opencontainers.image.revision="$FEDIMETER_REVISION"
# Certificate authorities are the bundled ones: the image has no others.
COPY --from=build /fedimeter /fedimeter
USER 65532:65532
# All addresses, because the container's own loopback is nobody's. The port is
# 9464, or 9410 with FEDIMETER_COMPAT=dada; OTel's variable sets only the host.
ENV OTEL_EXPORTER_PROMETHEUS_HOST=0.0.0.0
EXPOSE 9464 9410
STOPSIGNAL SIGTERM
# It sees variables and no arguments: where to listen is best said by
# FEDIMETER_LISTEN or in the file of FEDIMETER_CONFIG.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/fedimeter", "healthcheck"]
ENTRYPOINT ["/fedimeter"]
