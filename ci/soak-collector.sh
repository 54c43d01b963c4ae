#!/bin/sh
# A soak of the collector: exporters that define their templates anew all the time, over UDP and TCP.
# usage: ci/soak-collector.sh [MINUTES [LOG]]     (default: 60 minutes, soak-collector.tsv)
# The log has memory and descriptors every 10 seconds, and in its last line what was sent and stored.
set -eu
cd "$(dirname "$0")/.."
T2_SOAK_MINUTES=${1:-60}
T2_SOAK_LOG=$(realpath -m "${2:-soak-collector.tsv}")
export T2_SOAK_MINUTES T2_SOAK_LOG
cargo build --release --locked -p collector --bin t2collect
T2_BIN_DIR=${CARGO_TARGET_DIR:-target}/release
T2_BIN_DIR=$(realpath "$T2_BIN_DIR")
export T2_BIN_DIR
exec nice cargo test --locked -p collector --test soak -- --nocapture
