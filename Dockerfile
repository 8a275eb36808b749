# The server in a small image: built with nothing but Rust, run by nobody special.
#
#   docker build -t gale .
#   docker run -p 7400:7400 -p 7401:7401 -v gale-data:/var/lib/gale gale

FROM rust:1-slim-bookworm AS build
WORKDIR /gale
COPY Cargo.toml Cargo.lock build.rs ./
COPY proto proto
COPY data data
COPY src src
RUN cargo build --release --locked --bin gale

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 gale && install -d -o gale /var/lib/gale
COPY --from=build /gale/target/release/gale /usr/local/bin/gale
COPY NOTICE LICENSE /usr/share/doc/gale/
USER gale
VOLUME /var/lib/gale
EXPOSE 7400 7401
# No keys yet: a container's port is meant to be published, so anybody who reaches it
# may call. Publish it to those who should.
ENTRYPOINT ["gale", "serve", "--listen", "0.0.0.0:7400", "--admin", "0.0.0.0:7401", "--allow-anonymous", "--data-dir", "/var/lib/gale"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["gale", "health"]
