#!/usr/bin/env bash
# Fetches the other nfdump versions that tests compare with, from Debian's archive, and unpacks them without installing:
#   DIR/1.6.22 (bullseye)  DIR/1.7.5 (trixie), each with usr/bin/nfdump, nfcapd …
# DIR: $T2_PEERS, else target/peers. What is there already is kept. Needs apt-get and dpkg; no root.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

dir=${T2_PEERS:-${CARGO_TARGET_DIR:-target}/peers}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

# An apt of its own: the suite's lists, and nothing of the system's.
fetch() {
  local suite=$1 version=$2 work
  [ -x "$dir/$version/usr/bin/nfdump" ] && return
  work=$(mktemp -d)
  mkdir -p "$work"/{lists/partial,cache/archives/partial}
  touch "$work/status"
  echo "deb [signed-by=$keyring] $mirror $suite main" >"$work/sources.list"
  local apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
    -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
  (cd "$work" && "${apt[@]}" update && "${apt[@]}" download nfdump) || die "cannot fetch nfdump of $suite from $mirror"
  mkdir -p "$dir"
  dpkg -x "$work"/nfdump_*.deb "$work/root"
  "$work/root/usr/bin/nfdump" -V >"$work/version" 2>&1 || die "nfdump of $suite does not run here: $(cat "$work/version")"
  grep -q "$version" "$work/version" || die "$suite has another nfdump than $version: $(cat "$work/version")"
  mv -T "$work/root" "$dir/$version"
  rm -rf "$work"
  say "nfdump $version is in $dir/$version"
}

fetch bullseye 1.6.22
fetch trixie 1.7.5
