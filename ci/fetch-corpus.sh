#!/usr/bin/env bash
# Downloads faf-exercise.pcap, the capture of Tranalyzer's tutorial, which is not ours to ship, to golden/corpus/ and
# checks size and SHA-256. The end-to-end tests use it where it is present. T2_FAF_URL names another source.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
url=${T2_FAF_URL:-https://tranalyzer.com/download/data/faf-exercise.pcap}
size=5087870
sum=26dc6e000aab63a9d3f43f11439f52090ba43a5cbcbb47ebd120a3f6386d4251
target=golden/corpus/faf-exercise.pcap

is_original() { [ "$(stat -c %s "$1")" = "$size" ] && echo "$sum  $1" | sha256sum --check --status; }

if [ -f "$target" ]; then
  is_original "$target" && { say "$target is there already"; exit 0; }
  die "$target is there, but is not the original (size or SHA-256); remove it first"
fi
command -v curl >/dev/null || die "curl is missing: apt-get install curl"
mkdir -p golden/corpus
# In the same folder, so that the move at the end is one step: there is the whole file or none.
part=$(mktemp golden/corpus/.faf-exercise.XXXXXX)
trap 'rm -f "$part"' EXIT
curl --fail --location --silent --show-error --connect-timeout 20 --max-time 600 --max-filesize "$size" --output "$part" "$url" ||
  die "cannot download $url (see curl's message above)"
is_original "$part" ||
  die "$url gave $(stat -c %s "$part") bytes with SHA-256 $(sha256sum "$part" | cut -d' ' -f1); expected $size bytes with $sum"
chmod 644 "$part"
mv "$part" "$target"
say "$target: $size bytes, SHA-256 checked"
