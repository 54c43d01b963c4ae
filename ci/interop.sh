#!/usr/bin/env bash
# Our programs and other people's in containers on a private network: every exporter to every collector to every
# reporter, then faults between ours. Needs a Docker engine; options go to the program (--out DIR, --no-faults …).
#   T2_BASE   image that ours is built on, with libpcap [default: t2-peers/base:bookworm, made here]
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

docker info >/dev/null 2>&1 || die "no Docker engine answers: the matrix cannot be run"
# A missing image is told in its cells; the others still run.
peer() { ci/base-image.sh "$@" || true; }
peer bullseye t2-peers/nfdump:1.6.22 nfdump
peer bookworm t2-peers/nfdump:1.7.1 nfdump
peer trixie t2-peers/nfdump:1.7.5 nfdump
peer sid t2-peers/nfdump:sid nfdump
peer bookworm t2-peers/exporters:bookworm softflowd pmacct
base=${T2_BASE:-t2-peers/base:bookworm}
[ "$base" != t2-peers/base:bookworm ] || peer bookworm "$base" libpcap0.8

ci/setup.sh --build-only
cargo build --release --locked --bins
bin=${CARGO_TARGET_DIR:-target}/release
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp "$bin"/{t2x,t2collect,t2report,t2check} ci/Dockerfile "$context"
docker build --quiet --build-arg BASE="$base" --tag t2/ours:latest "$context" >/dev/null || die "our image cannot be built"
"$bin/interop" "$@"
