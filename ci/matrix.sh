#!/usr/bin/env bash
# Makes docs/conformance/: devices and requirements side by side, from what t2check says of them now. Needs the peers of
# ci/setup.sh; takes some minutes. DEVICE=FILE arguments add reports of others. T2_BIN names a folder of built programs.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${T2_BIN:-}
if [ -z "$bin" ]; then
    cargo build --release --locked -p conformance -p collector -p exporter -p golden --bins
    bin=${CARGO_TARGET_DIR:-target}/release
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$bin/t2gen" replica --out "$work/replica.pcap" >"$work/log"

# NAME, declaration, command: exit code 3 is a result, too.
exporter() {
    printf '%b' "$2" >"$work/dut.toml"
    local code=0
    "$bin/t2check" exporter --pcap "$work/replica.pcap" --dut "$work/dut.toml" --replay "$3" \
        --json "$work/$1.json" >"$work/log" 2>&1 || code=$?
    [ "$code" = 0 ] || [ "$code" = 3 ] || { cat "$work/log"; exit 1; }
    results+=("$1=$work/$1.json")
}
# NAME, observer, command, more options.
collector() {
    local name=$1 observer=$2 start=$3 code=0
    shift 3
    "$bin/t2check" collector --observe "$observer" --start "$start" --json "$work/$name.json" "$@" >"$work/log" 2>&1 || code=$?
    [ "$code" = 0 ] || [ "$code" = 3 ] || { cat "$work/log"; exit 1; }
    results+=("$name=$work/$name.json")
}

results=()
exporter "t2x IPFIX" '' "$bin/t2x -r {pcap} --nf-version 10 --nf-addr {host} --nf-port {port}"
exporter "t2x v9" 'bytes = "l7"\n' "$bin/t2x -r {pcap} --nf-addr {host} --nf-port {port}"
exporter "softflowd v9" 'times = "pair"\n' "softflowd -r {pcap} -a -d -c none -p {dir}/pid -v 9 -n {host}:{port}"
exporter "softflowd IPFIX" 'times = "pair"\n' \
    "softflowd -r {pcap} -a -d -c none -p {dir}/pid -v 10 -A milli -n {host}:{port}"
exporter "nfpcapd" '' \
    "nfpcapd -r {pcap} -w {dir} -S 0 && for f in {dir}/nfcapd.2*; do nfreplay -r \$f -H {host} -p {port} -v 9; done"
collector "t2collect" "json:{dir}/all.json" \
    "$bin/t2collect -b 127.0.0.1 --listen udp://127.0.0.1:{port} --listen tcp://127.0.0.1:{tcp-port} --json {dir}/all.json --no-nfcapd" \
    --send udp://127.0.0.1:0 --send tcp://127.0.0.1:0 --batch 20
collector "nfcapd" "nfcapd:{dir}" "nfcapd -b 127.0.0.1 -p {port} -w {dir}" --send udp://127.0.0.1:0 --batch 20

mkdir -p docs/conformance
"$bin/t2check" matrix "${results[@]}" "$@" --html docs/conformance/index.html --markdown docs/conformance/README.md
echo "docs/conformance: ${#results[@]} devices"
