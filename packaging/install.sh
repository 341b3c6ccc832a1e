#!/usr/bin/env bash
# Puts avp-conform into a directory: install.sh DIRECTORY
#
#   METHOD    release: fetch a binary; build: compile the source that this script belongs to
#   RELEASES  where releases are, for `release`: https://HOST/OWNER/REPOSITORY/releases/download
#   VERSION   which one, 0.1.0 or v0.1.0; the version of the source that this script belongs to, unless told
set -euo pipefail
directory=$1
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$directory"

fail() {
    echo "error: $*" >&2
    exit 2
}

# The binary for Linux is static: it runs with any C library.
target() {
    case "$(uname -s) $(uname -m)" in
    "Linux x86_64") echo x86_64-unknown-linux-musl ;;
    "Linux aarch64" | "Linux arm64") echo aarch64-unknown-linux-musl ;;
    "Darwin x86_64") echo x86_64-apple-darwin ;;
    "Darwin arm64") echo aarch64-apple-darwin ;;
    MINGW*" x86_64" | MSYS*" x86_64" | CYGWIN*" x86_64") echo x86_64-pc-windows-msvc ;;
    *) fail "there is no release for $(uname -s) $(uname -m); build it instead (METHOD=build)" ;;
    esac
}

fetch() {
    curl --disable --fail --silent --show-error --location --retry 3 --max-time 300 --output "$2" "$1" ||
        fail "cannot fetch $1"
}

check() {
    if command -v sha256sum >/dev/null; then
        sha256sum --check --quiet "$1"
    else
        shasum -a 256 --check --quiet "$1"
    fi
}

release() {
    [ -n "${RELEASES:-}" ] || fail "nobody says where releases are; build it instead (METHOD=build)"
    local version=${VERSION:-} target name
    [ -n "$version" ] || version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
    version=${version#v}
    target=$(target)
    name="avp-conform-$version-$target"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    fetch "$RELEASES/v$version/$name.tar.gz" "$work/$name.tar.gz"
    fetch "$RELEASES/v$version/$name.tar.gz.sha256" "$work/$name.tar.gz.sha256"
    (cd "$work" && check "$name.tar.gz.sha256") || fail "$name.tar.gz is not what its checksum says"
    tar -xzf "$work/$name.tar.gz" -C "$work"
    find "$work/$name" -type f -name 'avp-conform*' -exec cp {} "$directory/" \;
}

build() {
    cargo build --locked --release --bin avp-conform --manifest-path "$root/Cargo.toml" \
        --target-dir "$root/target"
    find "$root/target/release" -maxdepth 1 -type f \( -name avp-conform -o -name avp-conform.exe \) \
        -exec cp {} "$directory/" \;
}

case "${METHOD:-release}" in
release) release ;;
build) build ;;
*) fail "METHOD is release or build, not '$METHOD'" ;;
esac
"$directory/avp-conform" --version
