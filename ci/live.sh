#!/usr/bin/env bash
# A capture of 200 MB, replayed as fast as tcpreplay can to t2x -i between two network namespaces: what arrived, what was
# dropped where, and whether sums are those of the file. Needs root and tcpreplay; takes programs from T2_BIN_DIR (default
# target/release).
#   ci/live.sh [PACKETS=550000] [T2X_OPTION...]
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

packets=${1:-550000} bin=${T2_BIN_DIR:-target/release} ns=t2live$$
shift || true
[ "$(id -u)" = 0 ] || die "network namespaces need root"
work=$(mktemp -d "${TMPDIR:-/tmp}/t2-live.XXXXXX")
cleanup() {
  for side in a b; do
    kill $(ip netns pids "$ns-$side") 2>/dev/null || true
    ip netns del "$ns-$side" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap cleanup EXIT
ip netns add "$ns-a" && ip netns add "$ns-b" || die "cannot make network namespaces"
ip link add t2a netns "$ns-a" type veth peer name t2b netns "$ns-b"
for side in a b; do
  ip netns exec "$ns-$side" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
  ip -n "$ns-$side" link set "t2$side" up
done
"$bin/t2gen" frames --packets "$packets" --flows 50000 --size mix --out "$work/frames.pcap" >&2

ip netns exec "$ns-a" "$bin/t2x" -i t2a --sink text -w "$work/live" --report json -M 1 "$@" 2>"$work/live.json" &
t2x=$!
until grep -q '"kind":"status"' "$work/live.json"; do sleep 0.1; done
ip netns exec "$ns-b" tcpreplay -q -t -K -i t2b "$work/frames.pcap" 2>&1 | grep -E 'Actual|Rated' >&2
until grep -q "\"received\":$packets" "$work/live.json" || [ $((waited = ${waited:-0} + 1)) -gt 60 ]; do sleep 1; done
kill -INT $t2x && wait $t2x || say "t2x ended with $?"
"$bin/t2x" -r "$work/frames.pcap" --sink text -w "$work/file" --report json 2>"$work/file.json"
for run in live file; do
  tail -n 1 "$work/$run.json" | jq -c --arg run $run '{$run, packets: .packets.packets, wireOctets: .packets.wireOctets, tcp: .protocols.tcp, udp: .protocols.udp,
    flows: .flows.flows, processorTime: .run.processorTime, memory: .memory.octets}
    + (.inputs[0] | {received, kernelDropped, interfaceDropped, ringDropped})'
done
