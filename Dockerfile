# avp-conform as a static binary.
#
#   docker build -t avp-conform .
#   docker run --rm avp-conform --target http://host.docker.internal:8080
#   docker run --rm -p 8787:8787 avp-conform serve --bind 0.0.0.0
#
# The base has a shell, which --exec and the jobs of CI systems need.
FROM rust:1.95-alpine3.22 AS build
RUN apk add --no-cache musl-dev
WORKDIR /src
COPY . .
RUN cargo build --locked --profile dist --bin avp-conform && target/dist/avp-conform --version

FROM alpine:3.22
RUN adduser -D -u 10001 conform
COPY --from=build /src/target/dist/avp-conform /usr/local/bin/avp-conform
COPY --from=build /src/packaging/run.sh /usr/local/bin/avp-conform-ci
USER 10001:10001
WORKDIR /home/conform
EXPOSE 8787
ENTRYPOINT ["avp-conform"]
