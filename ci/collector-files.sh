#!/usr/bin/env bash
# Files of t2collect as nfdump sees them, and rotation under load.
#
#   ci/collector-files.sh files [FLOWS…=0 1000000 5000000]    every compression, two exporters, restarted within the slot
#   ci/collector-files.sh rotation [FLOWS_PER_S=500000] [SECONDS=60] [SLOT=2]    a slot of 86400 s shows what is lost without rotation
#
# Needs nfdump, for ZSTD nfdump 1.7.5 below $T2_PEERS, and python3; the binary is that of the release build.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
collect=${T2_BIN_DIR:-target/release}/t2collect
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TZ=UTC

start() { # options… ; sets pid and port
    "$collect" -b 127.0.0.1 -p 0 -w "$work/flows" -B 64000000 "$@" 2>"$work/log" &
    pid=$!
    port=$(udp_port "$pid" "$work/log")
}
lost() { grep -h 'Lost:\|were dropped\|could not be written' "$work"/log* || true; }

case ${1:-files} in
files)
    shift || true
    for flows in "${@:-0 1000000 5000000}"; do for flows in $flows; do
        for option in none -z -y -j -z=zstd; do
            rm -rf "$work"/flows "$work"/log*; mkdir "$work/flows"
            sum=0
            # Two runs within one slot, two exporters in each.
            for run in 1 2; do
                start -t 86400 $([ "$option" = none ] || echo "$option")
                for source in 127.0.0.1 127.0.0.2; do
                    [ "$flows" = 0 ] || ci/v9-load.py "$port" 60000 3600 $((flows / 4)) "$source" >"$work/sent.$source" 2>/dev/null &
                done
                wait $(jobs -p | grep -v "^$pid\$") 2>/dev/null || true
                [ "$flows" = 0 ] || sum=$((sum + $(cat "$work"/sent.* | awk '{ n += $1 } END { print n }')))
                kill "$pid"; wait "$pid"
                mv "$work/log" "$work/log.$run"
            done
            file=$(echo "$work"/flows/nfcapd.2*)
            nfdump=nfdump
            [ "$option" != -z=zstd ] || nfdump=$T2_PEERS/1.7.5/usr/bin/nfdump
            "$nfdump" -v "$file" >"$work/check" 2>&1 || echo "nfdump -v failed"
            listed=$("$nfdump" -r "$file" -q -o 'fmt:%sp' | grep -c '[0-9]' || true)
            stated=$("$nfdump" -r "$file" -I | awk '/^Flows:/ { print $2 }')
            exporters=$("$nfdump" -E "$file" 2>/dev/null | grep -c '^SysID\|SysID:' || true)
            echo "$option: $sum sent, $stated in the totals, $listed listed, $exporters exporters, $(stat -c %s "$file") octets; nfdump -v: $(sed -n 's/^Records *: //p' "$work/check") records, $(grep -ciE 'error|corrupt' "$work/check" || true) errors"
            lost
        done
    done; done
    ;;
rotation)
    rate=${2:-500000} seconds=${3:-60} slot=${4:-2}
    mkdir "$work/flows"
    start -t "$slot"
    ci/v9-load.py "$port" "$rate" "$seconds" >"$work/sent" 2>/dev/null
    kill "$pid"; wait "$pid"
    cat "$work/sent"
    stored=0 files=0
    for file in "$work"/flows/nfcapd.2*; do
        stored=$((stored + $(nfdump -r "$file" -I | awk '/^Flows:/ { print $2 }')))
        files=$((files + 1))
    done
    echo "$stored flows stored in $files files"
    lost
    ;;
esac
