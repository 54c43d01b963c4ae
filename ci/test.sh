#!/usr/bin/env bash
# Everything that is checked: format, lints, licences, build, documentation examples, tests. Options go to ci/setup.sh:
#   --offline  install nothing; tests whose peer programs are missing are skipped, and named at the end
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
ci/setup.sh "$@"
case " $* " in *" --offline "*) offline=true ;; *) offline=false ;; esac
$offline || ci/nfdump-versions.sh
if [ -z "${T2_CORPUS:-}" ] && [ -d ../shared/corpus ]; then
  T2_CORPUS=$(cd ../shared/corpus && pwd)
  export T2_CORPUS
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export T2_SKIP_LOG=$work/skipped
touch "$T2_SKIP_LOG"

step() {
  local name=$1 start=$SECONDS
  shift
  say "== $name: $*"
  "$@" || die "$name failed after $((SECONDS - start)) s"
  echo "$name $((SECONDS - start)) s" >>"$work/durations"
}
run_tests() {
  set -o pipefail
  "$@" 2>&1 | tee "$work/tests"
}

step format cargo fmt --all -- --check
step lints cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
# It looks at the crates of every platform, so it may have to download some.
if ! $offline && cargo deny --version >/dev/null 2>&1; then
  step licences cargo deny --log-level error check bans licenses sources
fi
# Programs and tests in one go: the same features, so nothing is built twice.
step build cargo build --workspace --bins --tests --locked --quiet
step "doc tests" cargo test --workspace --doc --locked --quiet
if cargo nextest --version >/dev/null 2>&1; then
  step tests run_tests cargo nextest run --workspace --locked
else
  step tests run_tests cargo test --workspace --bins --lib --tests --locked --no-fail-fast
fi

if [ -s "$T2_SKIP_LOG" ]; then
  say "$(wc -l <"$T2_SKIP_LOG") skipped:"
  sort -u "$T2_SKIP_LOG" >&2
fi
say "durations: $(paste -sd, "$work/durations" | sed 's/,/, /g')"
# The runner's closing lines once more, so that they are the last ones.
grep -E '^ +Summary|^test result' "$work/tests"
