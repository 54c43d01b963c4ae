#!/usr/bin/env bash
# Unpacks nfdump 1.7.5 (Debian 13) and 1.6.22 (Debian 11) beside the installed one, to compare the styles of --compat with:
# target/nfdump/1.7.5/nfdump and target/nfdump/1.6.22/nfdump are scripts that run them with their own libraries.
# T2_NFDUMP_DIR names another folder. Nothing is installed; apt checks the signatures of what it downloads.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
target=${T2_NFDUMP_DIR:-$PWD/target/nfdump}
mirror=${T2_DEBIAN_MIRROR:-http://deb.debian.org/debian}
[ -x "$target/1.7.5/nfdump" ] && [ -x "$target/1.6.22/nfdump" ] && exit 0
command -v apt-get >/dev/null || die "apt-get is missing: this works on Debian and its relatives only"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$target"
for suite in trixie bullseye; do
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >>"$work/sources.list"
done
apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" "$@"
}
apt update
cd "$work"
# Debian 13's programs need a newer C library than Debian 12's.
apt download nfdump/trixie libc6/trixie libbz2-1.0/trixie liblz4-1/trixie libzstd1/trixie librrd8t64/trixie libpcap0.8t64/trixie
for package in *.deb; do dpkg -x "$package" "$target/1.7.5"; done
rm ./*.deb
apt download nfdump/bullseye
dpkg -x nfdump_1.6*.deb "$target/1.6.22"

libraries=$target/1.7.5/usr/lib/x86_64-linux-gnu
cat >"$target/1.7.5/nfdump" <<RUN
#!/bin/sh
exec $libraries/ld-linux-x86-64.so.2 --argv0 nfdump --library-path $libraries $target/1.7.5/usr/bin/nfdump "\$@"
RUN
cat >"$target/1.6.22/nfdump" <<RUN
#!/bin/sh
exec $target/1.6.22/usr/bin/nfdump "\$@"
RUN
chmod +x "$target"/*/nfdump
"$target/1.7.5/nfdump" -V >&2
"$target/1.6.22/nfdump" -V >&2
