#!/usr/bin/env bash
# Listens on an interface for MINUTES with traffic that changes every minute, and says whether memory stays flat, whether
# the active time-out is kept and whether options data keep coming. Needs root, tcpreplay and jq; takes programs from
# T2_BIN_DIR (default target/release), and leaves everything in a folder of its own.
#   ci/soak-live.sh [MINUTES=30] [PACKETS_PER_SECOND=2000]
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

minutes=${1:-30} rate=${2:-2000} bin=${T2_BIN_DIR:-target/release} ns=t2soak$$
[ "$(id -u)" = 0 ] || die "network namespaces need root"
work=$(mktemp -d "${TMPDIR:-/tmp}/t2-soak.XXXXXX")
cleanup() {
  [ -z "${changing:-}" ] || kill "$changing" 2>/dev/null || true
  for side in a b; do
    kill $(ip netns pids "$ns-$side") 2>/dev/null || true
    ip netns del "$ns-$side" 2>/dev/null || true
  done
}
trap cleanup EXIT
ip netns add "$ns-a" && ip netns add "$ns-b" || die "cannot make network namespaces"
ip link add t2a netns "$ns-a" type veth peer name t2b netns "$ns-b"
for side in a b; do
  ip netns exec "$ns-$side" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
  ip -n "$ns-$side" link set lo up
  ip -n "$ns-$side" link set "t2$side" up
done

# A hundred connections that go on all the time, with a tenth of the packets, and others that are new every minute.
long=$((rate / 10)) short=$((rate - rate / 10))
"$bin/t2gen" frames --packets $((long * 60)) --flows 100 --rate "$long" --size mix --out "$work/long.pcap" >&2

ip netns exec "$ns-a" "$bin/t2collect" -b 127.0.0.1 -p 9995 --no-nfcapd --json - 2>"$work/collector.log" |
  grep --line-buffered -E '"flowEndReason":2|"kind":"options"' >"$work/kept.json" &
ip netns exec "$ns-a" "$bin/t2x" -i t2a --nf-version 10 --report json -M 60 2>"$work/exporter.json" &
exporter=$!
sleep 2
ip netns exec "$ns-b" tcpreplay -q --loop 0 --pps "$long" -i t2b "$work/long.pcap" >"$work/long.log" 2>&1 &
(
  seed=2
  while :; do
    "$bin/t2gen" frames --packets $((short * 60)) --flows 20000 --rate "$short" --size mix \
      --seed $seed --out "$work/short.pcap" >/dev/null 2>&1
    ip netns exec "$ns-b" tcpreplay -q --pps "$short" -i t2b "$work/short.pcap" >>"$work/short.log" 2>&1
    seed=$((seed + 1))
  done
) &
changing=$!

end=$((SECONDS + minutes * 60))
while [ $SECONDS -lt $end ] && kill -0 "$exporter" 2>/dev/null; do
  echo "$(date +%s) $(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$exporter/status")" >>"$work/memory"
  sleep 10
done
kill -INT "$exporter" || true
wait "$exporter" && say "t2x ended with 0" || say "t2x ended with $?"
sleep 3

echo "folder: $work"
awk 'NR > 6 { if (!min || $2 < min) min = $2; if ($2 > max) max = $2; last = $2 }
  NR == 7 { first = $2 }
  END { print "memory after the first minute: first", first, "KB, last", last, "KB, least", min, "KB, most", max, "KB,", NR, "samples" }' "$work/memory"
jq -r 'select(.kind == "options") | .template' "$work/kept.json" | sort | uniq -c |
  awk '{ print "options records of template", $2 ":", $1 }'
# From the first packet of a flow that the active time-out cut to the message it came with, seconds.
jq -r 'select(.kind == "flow") | (.exportTime | sub("\\..*Z"; "Z") | fromdate) - (.fields.flowStartMilliseconds | sub("\\..*Z"; "Z") | fromdate)' "$work/kept.json" |
  sort -n | uniq -c | awk '{ print "cut by the active time-out after", $2, "s:", $1 }'
tail -n 1 "$work/exporter.json" | jq -c '{inputs: .inputs[0] | {received, packets, kernelDropped, interfaceDropped, ringDropped, clockSteps},
  run: .run | {elapsed, processorTime}, flows: .flows.flows, memory: .memory, netflow: .netflow, failures}'
