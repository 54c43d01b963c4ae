#!/usr/bin/env bash
# Makes a small Docker image of a Debian suite with some packages, where no registry of images can be reached:
#   ci/base-image.sh SUITE IMAGE[:TAG] [PACKAGE…]
# debootstrap brings the packages from Debian's archive ($DEBIAN_MIRROR), docker import takes the folder. Needs root,
# debootstrap and a Docker engine. An image that is there already is kept.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -ge 2 ] || { say "usage: ci/base-image.sh SUITE IMAGE[:TAG] [PACKAGE...]"; exit 2; }
suite=$1 image=$2
shift 2
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

docker info >/dev/null 2>&1 || die "no Docker engine answers: start one, or set DOCKER_HOST"
docker image inspect "$image" >/dev/null 2>&1 && exit 0
command -v debootstrap >/dev/null || die "debootstrap is missing: install it with 'apt-get install debootstrap'"
[ "$(id -u)" = 0 ] || die "debootstrap needs root"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
include=$(IFS=,; echo "$*")
debootstrap --variant=minbase --keyring="$keyring" ${include:+--include="$include"} "$suite" "$root/image" "$mirror" \
  >"$root/log" 2>&1 || die "debootstrap of $suite failed: $(tail -n 3 "$root/log" | paste -sd' ')"
# Lists, archives and documents are of no use in a test.
rm -rf "$root"/image/var/{lib/apt/lists,cache/apt}/* "$root"/image/usr/share/{doc,man,locale}/*
tar -C "$root/image" -c . | docker import - "$image" >/dev/null
say "image $image is made of $suite${include:+ with $include}"
