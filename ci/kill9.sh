#!/usr/bin/env bash
# kill -9 of t2collect at random moments under load: is every file readable by nfdump, and how many flows are lost?
#
#   ci/kill9.sh [ROUNDS=200] [FLOWS_PER_S=30000] [SLOT=86400]
#
# Odd rounds write uncompressed files, even ones LZ4. After each kill all files are read by nfdump as they were left and
# again after the next start has recovered them. With slots of a second or two, kills meet files that are being closed. Needs nfdump and python3; the binary is that of the release build.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
rounds=${1:-200} rate=${2:-30000} slot=${3:-86400}
collect=${T2_BIN_DIR:-target/release}/t2collect
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TZ=UTC

start() { # options… ; sets pid and port
    "$collect" -b 127.0.0.1 -p 0 -w "$work/flows" -t $slot -B 32000000 "$@" 2>"$work/log" &
    pid=$!
    port=$(udp_port "$pid" "$work/log")
}
flows() { # files…: what nfdump lists
    for file; do
        nfdump -r "$file" -q -o 'fmt:%sp' | grep -c '[0-9]' || true
    done | awk '{ n += $1 } END { print n + 0 }'
}

shopt -s nullglob
unreadable=0 unfinished=0
for round in $(seq "$rounds"); do
    rm -rf "$work/flows"; mkdir "$work/flows"
    option=$([ $((round % 2)) = 1 ] || echo -y)
    start $option
    rm -f "$work/flowing"
    ci/v9-load.py "$port" "$rate" 60 >"$work/sent" 2>"$work/flowing" &
    load=$!
    until [ -s "$work/flowing" ]; do sleep 0.02; done
    sleep "$((RANDOM % 3)).$((RANDOM % 900 + 100))"
    kill -9 "$pid"; wait "$pid" 2>/dev/null || true
    kill "$load"; wait "$load" || true
    sent=$(cut -d' ' -f1 "$work/sent")
    left=("$work"/flows/nfcapd.current.*)
    unfinished=$((unfinished + ${#left[@]}))
    for file in "${left[@]}"; do
        nfdump -v "$file" >"$work/check" 2>&1 || { unreadable=$((unreadable + 1)); echo "round $round: $file unreadable as left" >&2; }
    done
    before=$(flows "$work"/flows/nfcapd.*)
    start $option
    kill "$pid"; wait "$pid"
    for file in "$work"/flows/nfcapd.2*; do
        # Also where nothing was on disk yet, so that nothing was left to recover.
        if ! nfdump -v "$file" >"$work/check" 2>&1 || ! grep -q '^Records' "$work/check" || grep -qiE 'error|corrupt' "$work/check"; then
            unreadable=$((unreadable + 1)); echo "round $round: $file unreadable after recovery" >&2
        fi
    done
    after=$(flows "$work"/flows/nfcapd.*)
    [ "$after" -ge "$before" ] || echo "round $round: $before flows before recovery, $after after it" >&2
    echo "${option:-none} $sent $after $((sent - after))" >>"$work/rounds"
done
echo "$rounds kills at $rate flows/s, slots of $slot s: $unfinished files unfinished, $unreadable files unreadable"
for option in none -y; do
    grep -e "^$option " "$work/rounds" | sort -n -k4 | awk -v option="$option" '
        { lost[NR] = $4; sent += $2; stored += $3 }
        END { if (NR) printf "%s: %d rounds, %d flows sent, %d stored; lost in a round: median %d, worst %d\n", option, NR, sent, stored, lost[int((NR + 1) / 2)], lost[NR] }'
done
