#!/usr/bin/env bash
# Packets per CPU-second of t2x (NetFlow sink) beside nfpcapd and softflowd, on one generated capture, in one run.
#
#   ci/speed.sh [ROUNDS=3] [PACKETS=13400000] [SIZE=64]
#
# The programs take turns, so that a busy neighbour hits all of them; the least CPU time of each is compared.
# The default capture is 13.4 M frames of 64 bytes, 1.07 GB. Needs the release build, nfpcapd and softflowd.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

rounds=${1:-3} packets=${2:-13400000} size=${3:-64} flows=100000
bin=${T2_BIN_DIR:-target/release}
work=$(mktemp -d)
collector=
cleanup() {
    [ -z "$collector" ] || { kill "$collector" && wait "$collector"; } 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

for program in "$bin/t2x" "$bin/t2gen" "$bin/t2collect" nfpcapd softflowd; do
    command -v "$program" >/dev/null || die "$program is missing"
done

capture=$work/frames.pcap
"$bin/t2gen" frames --packets "$packets" --flows "$flows" --size "$size" --out "$capture"
cat "$capture" >/dev/null

# Both senders get a listener, so that neither is slowed down by refused datagrams.
mkdir "$work/flows" "$work/nfpcapd"
"$bin/t2collect" -b 127.0.0.1 -p 0 -w "$work/flows" -B 8000000 2>"$work/collector.log" &
collector=$!
port=$(udp_port "$collector" "$work/collector.log")

TIMEFORMAT='%U %S %R'
measure() { # name command…
    local name=$1 told
    shift
    told=$({ time "$@" >"$work/$name.log" 2>&1; } 2>&1) || { cat "$work/$name.log" >&2; exit 1; }
    echo "$name $told" >>"$work/times"
}

for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    measure t2x "$bin/t2x" -r "$capture" --nf-port "$port"
    rm -rf "$work"/nfpcapd/*
    measure nfpcapd nfpcapd -r "$capture" -w "$work/nfpcapd"
    measure softflowd softflowd -r "$capture" -n "127.0.0.1:$port" -v 9 -m 200000 -d -c none -p "$work/pid"
done

echo "$packets frames of $size bytes, $flows flows, $rounds rounds; $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores"
awk -v packets="$packets" '
    { cpu = $2 + $3; if (!($1 in least) || cpu < least[$1]) { least[$1] = cpu; wall[$1] = $4 } }
    END {
        printf "%-10s %8s %8s %18s %10s\n", "program", "CPU-s", "wall-s", "M packets/CPU-s", "t2x is"
        split("t2x nfpcapd softflowd", order, " ")
        for (i = 1; i <= 3; i++) {
            p = order[i]
            printf "%-10s %8.2f %8.2f %18.2f %9.1fx\n", p, least[p], wall[p], packets / least[p] / 1e6, least[p] / least["t2x"]
        }
    }' "$work/times"
