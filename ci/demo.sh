#!/usr/bin/env bash
# The whole chain on the replica of the tutorial's capture: t2x -> t2collect -> t2report. Needs no network service and
# no configuration; leaves nothing behind but the build.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
ci/setup.sh --build-only
cargo build --release --locked --bins
bin=${CARGO_TARGET_DIR:-target}/release

dir=$(mktemp -d) collector=
finish() {
  [ -z "$collector" ] || kill "$collector" 2>/dev/null || true
  rm -rf "$dir"
}
trap finish EXIT
mkdir "$dir/flows"

"$bin/t2gen" replica --out "$dir/faf-replica.pcap"
"$bin/t2collect" -b 127.0.0.1 -p 0 -w "$dir/flows" -T all -B 1000000 2>"$dir/collector.log" &
collector=$!
port=$(udp_port "$collector" "$dir/collector.log")

"$bin/t2x" -r "$dir/faf-replica.pcap" --nf-port "$port" 2>"$dir/exporter.log" ||
  { cat "$dir/exporter.log" >&2; die "t2x failed"; }
# SIGTERM: the collector takes what has arrived, finishes the slot and ends.
kill -TERM "$collector"
wait "$collector" || { cat "$dir/collector.log" >&2; die "t2collect failed"; }
collector=

report() {
  TZ=Europe/Zurich "$bin/t2report" -r "$dir"/flows/nfcapd.* -o extended -s srcip -s ip/flows \
    -s dstport/pps/packets/bytes -s record/bytes "$@"
}
say "The tutorial's report of the synthetic replica of faf-exercise.pcap, times in Central Europe:"
report | sed '/^Summary:/,$d'
# The summary in plain numbers.
report -N | sed -n '/^Summary:/,$p'
