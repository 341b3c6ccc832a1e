#!/usr/bin/env bash
# Packs a binary as a release asset: pack.sh TARGET BINARY DIRECTORY
# The name of the archive is what `install.sh` and `cargo binstall` look for: avp-conform-VERSION-TARGET.tar.gz
set -euo pipefail
target=$1 binary=$2 directory=$3

version=$("$binary" --version | cut -d ' ' -f 2)
name="avp-conform-$version-$target"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/$name" "$directory"
cp "$binary" LICENSE README.md "$work/$name/"
tar -czf "$directory/$name.tar.gz" -C "$work" "$name"

cd "$directory"
if command -v sha256sum >/dev/null; then
    sha256sum "$name.tar.gz" >"$name.tar.gz.sha256"
else
    shasum -a 256 "$name.tar.gz" >"$name.tar.gz.sha256"
fi
printf '%s\n' "$directory/$name.tar.gz"
