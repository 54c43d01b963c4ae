# Shared by the scripts of this folder, which source it: strict mode, the workspace as working directory, messages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# rustup's cargo before an older one of the system; servers' programs are not on everybody's path.
PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }

# The UDP port that a starting t2collect, process $1, says in its log $2: port 0 of the command line is one that is free.
udp_port() {
  local port
  for _ in $(seq 600); do
    port=$(sed -n 's/.*listening on udp .*:\([0-9][0-9]*\)[^0-9]*$/\1/p' "$2" | head -n 1)
    [ -z "$port" ] || { echo "$port"; return; }
    kill -0 "$1" 2>/dev/null || break
    sleep 0.05
  done
  cat "$2" >&2
  say "t2collect does not listen"
  return 1
}
