# Shared by the scripts of this folder, which source it: strict mode, the workspace as working directory, messages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# rustup's cargo before an older one of the system; servers' programs are not on everybody's path.
PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }
