#!/usr/bin/env bash
# How processor time and memory of t2x grow: with packets at the same number of connections, and with connections at the
# same number of packets. The captures come through a pipe, so that no disk is needed; flows go to a JSON sink that
# throws them away, and to a NetFlow sink whose datagrams nobody takes.
#
#   ci/scaling.sh [LARGEST=20]      millions of packets of the largest capture
#
# Needs the release build. T2_BIN_DIR names another folder of programs.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
largest=${1:-20}
bin=${T2_BIN_DIR:-${CARGO_TARGET_DIR:-target}/release}
for program in "$bin/t2x" "$bin/t2gen"; do
  [ -x "$program" ] || die "$program is missing: cargo build --release --bins"
done

number() { # name in the report
  sed -n "s/.*\"$1\":\([0-9.e]*\).*/\1/p" <<<"$report"
}
measure() { # packets connections; sets cpu, flows, rss
  # Port 9 is that of the discard service; -f 8 has room for 2 million flows.
  report=$("$bin/t2gen" frames --packets "$1" --flows "$2" --rate 1000000 --out - 2>/dev/null |
    "$bin/t2x" -r - -f 8 --nf-port 9 --rate unlimited --report json 2>&1)
  cpu=$(number processorTime) flows=$(number maxFlows)
  rss=$(sed -n 's/.*"memory":{\([^}]*\)}.*/\1/p' <<<"$report" | sed -n 's/.*"octets":\([0-9]*\).*/\1/p')
  [ -n "$cpu" ] && [ -n "$rss" ] || die "no report: $report"
}
row() {
  awk -v packets="$1" -v flows="$flows" -v cpu="$cpu" -v rss="$rss" 'BEGIN {
    printf "%10.1f %12d %8.2f %14.0f %10.1f\n", packets / 1e6, flows, cpu, cpu * 1e9 / packets, rss / 1048576 }'
}
title() { printf '\n%s\n%10s %12s %8s %14s %10s\n' "$1" "M packets" "most flows" "CPU-s" "ns per packet" "RSS MiB"; }

echo "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores"
title "Packets grow, 100000 connections:"
for millions in 1 $((largest / 4)) $((largest / 2)) "$largest"; do
  measure "${millions}000000" 100000
  row "${millions}000000"
done
title "Connections grow, $((largest / 4)) M packets:"
for connections in 1000 10000 100000 200000 400000 800000; do
  measure "$((largest / 4))000000" "$connections"
  row "$((largest / 4))000000"
done
