# syntax=docker/dockerfile:1
# fedimeter in a container: one static binary, nobody's rights, no shell.
#
#   docker build -t fedimeter .
#   docker run -p 9464:9464 -e MASTODON_HOST=https://mastodon.example fedimeter
FROM rust:1.95-alpine AS build
RUN apk add --no-cache musl-dev
WORKDIR /src
COPY . .
RUN cargo build --release --locked && cp target/release/fedimeter /fedimeter

FROM scratch
LABEL org.opencontainers.image.title="fedimeter" \
      org.opencontainers.image.description="An OpenTelemetry metrics bridge for Mastodon and the fediverse" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /fedimeter /fedimeter
# Certificate authorities are the bundled ones: the image has no others.
USER 65532:65532
# All addresses, because the container's own loopback is nobody's. The port is
# 9464, or 9410 with FEDIMETER_COMPAT=dada; OTel's variable sets only the host.
ENV OTEL_EXPORTER_PROMETHEUS_HOST=0.0.0.0
EXPOSE 9464 9410
ENTRYPOINT ["/fedimeter"]
