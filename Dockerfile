# zkctl, without anything else: a static binary, as a user without rights.
#
#   docker build --tag zkctl .
#   docker run --rm zkctl demo
#   docker run --rm --network host --env ZK_SERVER=zk1:2181 zkctl ls /

FROM rust:1-alpine AS build
# ring compiles C and assembler.
# hadolint ignore=DL3018
RUN apk add --no-cache musl-dev
WORKDIR /build
COPY . .
RUN cargo build --locked --release --package zkctl \
    && cp target/release/zkctl /zkctl \
    && mkdir /work

FROM scratch
COPY --from=build /zkctl /zkctl
# The CAs that --tls-system-roots trusts.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# For --auth-file, certificates and data: mount them here.
COPY --from=build --chown=65532:65532 /work /work
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["/zkctl"]
CMD ["--help"]
