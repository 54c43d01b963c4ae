#!/usr/bin/env bash
# Installs what the build and the tests need (Debian 12 and its relatives), or names what is missing.
#   --offline     install nothing; what the build needs must be there, missing peers are only named
#   --build-only  only what the build needs, not the peers of the tests
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

offline=false build_only=false
for option in "$@"; do
  case $option in
    --offline) offline=true ;;
    --build-only) build_only=true ;;
    *) say "usage: ci/setup.sh [--offline] [--build-only]"; exit 2 ;;
  esac
done

# Version of cargo, as rust-version in Cargo.toml asks for.
needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
command -v cargo >/dev/null ||
  die "cargo is missing: install Rust $needed or newer with https://rustup.rs"
found=$(cargo --version | cut -d' ' -f2)
[ "$(printf '%s\n' "$needed" "$found" | sort -V | head -n 1)" = "$needed" ] ||
  die "cargo $found is too old, $needed or newer is needed: run 'rustup update stable' (a cargo from apt is replaced by https://rustup.rs)"
command -v cc >/dev/null ||
  die "a C compiler is missing: install it with 'apt-get install build-essential'"

links_with() { printf 'int main(void) { return 0; }\n' | cc -x c -o /dev/null - "$1" 2>/dev/null; }
missing_for_build() {
  links_with -lpcap || echo libpcap-dev
}
# A package beside the program by which it is known.
missing_peers() {
  while read -r package program; do
    command -v "$program" >/dev/null || echo "$package"
  done <<'PEERS'
nfdump nfcapd
softflowd softflowd
tshark tshark
tcpreplay tcpreplay
pmacct pmacctd
e2fsprogs mkfs.ext4
PEERS
}
missing() {
  missing_for_build
  $build_only || missing_peers
}

# Runs a command as root, without ever asking for a password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
can_install() {
  command -v apt-get >/dev/null && as_root true 2>/dev/null
}

packages=$(missing | tr '\n' ' ')
[ -n "$packages" ] || exit 0
if $offline; then
  [ -z "$(missing_for_build)" ] || die "missing for the build: $(missing_for_build) (not installed because of --offline)"
  say "missing, their tests will be skipped: $packages"
  exit 0
fi
can_install || die "missing: $packages(no root or no apt-get here); run as root: apt-get install $packages"
say "installing $packages"
# The question of tshark's package (may everybody capture?) is answered with its default, no.
as_root apt-get update -qq &&
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2 ||
  die "apt-get could not install $packages- see its message above"
[ -z "$(missing)" ] || die "installed, but still not found: $(missing | tr '\n' ' ')"
