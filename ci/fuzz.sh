#!/usr/bin/env bash
# Runs fuzz targets with libFuzzer, on the stable toolchain too. Captures of the corpus are seeds, read where they lie.
#
#   ci/fuzz.sh [SECONDS=60] [CRATE [TARGET]]     all targets of all crates, of one, or one target; each so long
#
# Needs cargo-fuzz (cargo install cargo-fuzz). A finding stops the run; it lies in CRATE/fuzz/artifacts/TARGET.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
seconds=${1:-60} only_crate=${2:-} only_target=${3:-}
cargo fuzz --version >/dev/null 2>&1 || die "cargo-fuzz is missing: cargo install cargo-fuzz"
if [ -z "${T2_CORPUS:-}" ] && [ -d ../shared/corpus ]; then T2_CORPUS=$(cd ../shared/corpus && pwd); fi
corpus=${T2_CORPUS:-golden/corpus}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Seeds of a target: folders, one a line.
seeds() { # crate target
  [ -d "$corpus/pcaps" ] || return 0
  case $1/$2 in
    exporter/capture | exporter/flows) printf '%s\n' "$corpus/pcaps" "$corpus/tranalyzer" ;;
    exporter/compressed)
      # A file of each kind and compression is enough of a start.
      mkdir -p "$work/compressed"
      find "$corpus/pcaps" -type f -size -8k | sort | head -n 40 | while read -r file; do
        name=$work/compressed/$(basename "$file")
        gzip -c "$file" >"$name.gz"
        ! command -v zstd >/dev/null || zstd -qc "$file" >"$name.zst"
        ! command -v lz4 >/dev/null || lz4 -qc "$file" >"$name.lz4"
      done
      printf '%s\n' "$work/compressed"
      ;;
  esac
}

found=false
for targets in */fuzz/fuzz_targets; do
  crate=${targets%%/*}
  [ -z "$only_crate" ] || [ "$crate" = "$only_crate" ] || continue
  for source in "$targets"/*.rs; do
    target=$(basename "$source" .rs)
    [ -z "$only_target" ] || [ "$target" = "$only_target" ] || continue
    found=true
    mapfile -t folders < <(seeds "$crate" "$target")
    mkdir -p "$crate/fuzz/corpus/$target"
    say "== $crate $target: $seconds s, ${#folders[@]} folders of seeds"
    # Without a sanitizer there is nothing that stable cannot do; there is no unsafe code to watch over either.
    (cd "$crate" && cargo fuzz run -s none "$target" "fuzz/corpus/$target" ${folders[@]+"${folders[@]}"} -- \
      -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=1) 2>&1 |
      grep -vE '^#[0-9]+.(NEW|REDUCE|pulse|RELOAD)|^ +(Compiling|Finished|Running)|NEW_FUNC|^"|Recommended dictionary|recommended dictionary' || die "$crate $target: see above"
  done
done
$found || die "no target ${only_crate:+$only_crate }$only_target"
