#!/usr/bin/env bash
# Ours and the installed programs side by side: CPU time, wall time, memory, and whether each result is right.
#
#   ci/bench.sh exporter  [ROUNDS=3] [PACKETS=13400000]   t2x, nfpcapd, softflowd on frames of 64 bytes and of mixed sizes
#   ci/bench.sh collector [ROUNDS=3] [FLOWS=10000000]     t2collect, nfcapd: NetFlow v9 at 500,000 flows/s, without compression and LZ4
#   ci/bench.sh reporter  [ROUNDS=3] [FLOWS=20000000]     t2report, nfdump: statistics, aggregation, filter, text
#   ci/bench.sh all       [ROUNDS=3]
#
# The programs take turns, so that a busy neighbour hits all of them; the least CPU time of each counts. Prints Markdown.
# Needs the release build (T2_BIN_DIR, default target/release) and the peers of ci/setup.sh; nfdump 1.7.5 is taken from
# $T2_PEERS. Room for 8 GB in $TMPDIR.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

what=${1:-all} rounds=${2:-3}
bin=$(cd "${T2_BIN_DIR:-target/release}" && pwd) || die "no release build"
work=$(mktemp -d)
collector=
cleanup() {
    [ -z "$collector" ] || { kill "$collector" && wait "$collector"; } 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
export TZ=UTC

need() {
    for program in "$@"; do command -v "$program" >/dev/null || die "$program is missing"; done
}

# Runs a command and keeps "CASE PROGRAM user system wall kilobytes"; its output goes to $work/CASE.PROGRAM.
measure() { # case program command…
    local name=$1 program=$2
    shift 2
    /usr/bin/time -o "$work/time" -f '%U %S %e %M' "$@" >"$work/$name.$program" 2>"$work/$name.$program.err" ||
        { cat "$work/$name.$program.err" >&2; die "$program failed: $*"; }
    echo "$name $program $(cat "$work/time")" >>"$work/times"
}

# The table of a case's best rounds; `units` are counted in millions per CPU-second.
table() { # heading units-in-millions unit
    awk -v heading="$1" -v units="$2" -v unit="$3" '
        { k = $1 SUBSEP $2; cpu = $3 + $4
          if (!(k in least) || cpu < least[k]) least[k] = cpu
          if (!(k in wall) || $5 < wall[k]) wall[k] = $5
          if (!(k in memory) || $6 < memory[k]) memory[k] = $6
          if (!($1 in known)) { known[$1] = 1; cases[++n] = $1 }
          if (!(k in member)) { member[k] = 1; programs[$1] = programs[$1] " " $2 } }
        END {
          printf "\n### %s\n\n| case | program | CPU-s | wall-s | MB | M %s per CPU-s | ours is (CPU) | ours is (wall) | ours needs (memory) |\n|---|---|---|---|---|---|---|---|---|\n", heading, unit
          for (i = 1; i <= n; i++) {
            count = split(programs[cases[i]], list, " "); ours = cases[i] SUBSEP list[1]
            for (j = 1; j <= count; j++) {
              k = cases[i] SUBSEP list[j]
              printf "| %s | %s | %.2f | %.2f | %.0f | %.2f |", cases[i], list[j], least[k], wall[k], memory[k] / 1024, units / least[k]
              if (j == 1) print " | | |"
              else printf " %.1f x | %.1f x | %.0f %% |\n", least[k] / least[ours], wall[k] / wall[ours], 100 * memory[ours] / memory[k]
            } } }' "$work/times"
    rm -f "$work/times"
}

machine() {
    echo "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores; $rounds rounds; load before: $(cut -d' ' -f1 /proc/loadavg)"
}

exporter() {
    local packets=${1:-13400000} flows=100000 size count port round
    need "$bin/t2x" "$bin/t2gen" "$bin/t2collect" nfpcapd softflowd
    mkdir -p "$work/flows" "$work/nfpcapd"
    # Both senders get a listener, so that neither is slowed down by refused datagrams.
    "$bin/t2collect" -b 127.0.0.1 -p 0 -w "$work/flows" -B 8000000 2>"$work/collector.log" &
    collector=$!
    port=$(udp_port "$collector" "$work/collector.log")
    for size in 64 mix; do
        count=$packets
        [ "$size" = 64 ] || count=$((packets / 5))
        "$bin/t2gen" frames --packets "$count" --flows "$flows" --size "$size" --out "$work/frames.pcap" 2>/dev/null
        cat "$work/frames.pcap" >/dev/null
        for round in $(seq "$rounds"); do
            say "exporter, $size, round $round of $rounds"
            measure "$size" t2x "$bin/t2x" -r "$work/frames.pcap" --nf-port "$port" --report json
            rm -rf "$work"/nfpcapd/*
            measure "$size" nfpcapd nfpcapd -r "$work/frames.pcap" -w "$work/nfpcapd"
            measure "$size" softflowd softflowd -r "$work/frames.pcap" -n "127.0.0.1:$port" -v 9 -m 200000 -d -c none -p "$work/pid"
        done
        grep -q "\"packets\":$count[,}]" "$work/$size.t2x.err" || die "t2x did not read $count packets"
        table "Exporter: $count frames of $size bytes, $flows connections, NetFlow v9" "$(awk "BEGIN { print $count / 1e6 }")" packets
        rm "$work/frames.pcap"
    done
    kill "$collector" && wait "$collector" || true
    collector=
}

collector() {
    local flows=${1:-10000000} round option name program log sent stored
    need "$bin/t2collect" nfcapd nfdump python3
    for round in $(seq "$rounds"); do
        for option in none -y; do
            name=$([ "$option" = none ] && echo plain || echo LZ4)
            for program in t2collect nfcapd; do
                say "collector, $name, $program, round $round of $rounds"
                rm -rf "$work/flows"
                mkdir "$work/flows"
                log=$work/$name.$program.err
                set -- -b 127.0.0.1 -w "$work/flows" -B 64000000 -t 3600
                [ "$option" = none ] || set -- "$@" "$option"
                if [ "$program" = t2collect ]; then
                    /usr/bin/time -o "$work/time" -f '%U %S %e %M' "$bin/t2collect" -p 0 "$@" 2>"$log" &
                    collector=$!
                    port=$(udp_port "$collector" "$log")
                else
                    port=$((20000 + RANDOM % 10000))
                    /usr/bin/time -o "$work/time" -f '%U %S %e %M' nfcapd -p "$port" "$@" 2>"$log" &
                    collector=$!
                    sleep 1
                fi
                sent=$(ci/v9-load.py "$port" 500000 3600 "$flows" 2>/dev/null | awk '{ print $1 }')
                sleep 1
                kill -INT "$(pgrep -P "$collector")"
                wait "$collector" || true
                collector=
                stored=$(for file in "$work"/flows/nfcapd.2*; do nfdump -r "$file" -I; done | awk '/^Flows:/ { n += $2 } END { print n + 0 }')
                echo "$name $program $(cat "$work/time")" >>"$work/times"
                echo "$name $program: $sent sent, $stored stored" >>"$work/stored"
            done
        done
    done
    table "Collector: $flows flows of NetFlow v9, 30 a datagram, 500,000 a second" "$(awk "BEGIN { print $flows / 1e6 }")" flows
    printf '\n```\n'
    cat "$work/stored"
    printf '```\n'
    rm -f "$work/stored"
}

# What both print, without the lines that tell the time.
same() { # case program
    cmp -s <(grep -v '^Sys\|^Wall' "$work/$1.t2report") <(grep -v '^Sys\|^Wall' "$work/$1.$2") ||
        echo "$1: t2report and $2 differ" >>"$work/differ"
}

# Runs the cases of standard input, "NAME|FILE|OPTIONS" each.
queries() {
    local cases round name file options newer=${T2_PEERS:+$T2_PEERS/1.7.5/usr/bin/nfdump}
    cases=$(cat)
    for round in $(seq "$rounds"); do
        while IFS='|' read -r name file options; do
            say "reporter, $name, round $round of $rounds"
            cat "$work/$file" >/dev/null
            eval "set -- $options"
            measure "$name" t2report "$bin/t2report" -r "$work/$file" "$@"
            measure "$name" nfdump-1.7.1 nfdump -r "$work/$file" "$@"
            same "$name" nfdump-1.7.1
            [ -z "$newer" ] || measure "$name" nfdump-1.7.5 "$newer" -r "$work/$file" "$@"
        done <<<"$cases"
    done
}

reporter() {
    local flows=${1:-20000000}
    need "$bin/t2report" "$bin/t2gen" nfdump
    "$bin/t2gen" flows --flows "$flows" --out "$work/plain" 2>/dev/null
    "$bin/t2gen" flows --flows "$flows" --compression lz4 --out "$work/lz4" 2>/dev/null
    queries <<'CASES'
srcip|plain|-s srcip/bytes -n 10 -o line
record|plain|-s record/bytes -n 10 -o line
-A|plain|-A srcip,dstport -O bytes -n 10
filter|plain|-o null 'proto tcp and dst port 443'
srcip,LZ4|lz4|-s srcip/bytes -n 10 -o line
filter,LZ4|lz4|-o null 'proto tcp and dst port 443'
CASES
    table "Reporter: $flows flows in $(stat -c %s "$work/plain") octets" "$(awk "BEGIN { print $flows / 1e6 }")" flows
    rm "$work/plain" "$work/lz4"
    flows=$((flows / 10))
    "$bin/t2gen" flows --flows "$flows" --out "$work/text" 2>/dev/null
    queries <<'CASES'
csv|text|-o csv
line|text|-o line
extended|text|-o extended
json|text|-o json
CASES
    table "Text of $flows flows" "$(awk "BEGIN { print $flows / 1e6 }")" flows
    [ ! -s "$work/differ" ] || { printf '\nDifferences (rows that tie are in another order):\n\n```\n'; sort -u "$work/differ"; printf '```\n'; }
    rm -f "$work/text" "$work/differ"
}

machine
case $what in
exporter | collector | reporter) "$what" "${3:-}" ;;
all) exporter && collector && reporter ;;
*) die "exporter, collector, reporter or all, not '$what'" ;;
esac
