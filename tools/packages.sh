#!/usr/bin/env bash
# Installs Debian packages, only those that are missing: with all of them there it needs
# neither network nor root.
# usage: packages.sh PACKAGE...
set -euo pipefail

die() { echo "packages: $*" >&2; exit 1; }

if ! command -v dpkg-query >/dev/null; then
    command -v cc >/dev/null && command -v python3 >/dev/null ||
        die "this system has no dpkg; please install a C compiler and Python 3.11 or later by hand"
    exit 0
fi

installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
missing=()
for package; do
    grep -qx "$package installed" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "cannot install ${missing[*]}: neither root nor sudo"
    as_root=(sudo)
fi
apt_get() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 "$@" </dev/null
}

# One apt at a time.
exec 9<"$0"
flock 9

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
mine=
trap 'rm -f "$log"; [ -z "$mine" ] || "${as_root[@]}" rm -f "$policy"' EXIT
echo "installing Debian packages: ${missing[*]}"
# A failing update alone is no reason to stop: the lists that are there may do.
apt_get update >"$log" 2>&1 || true
# A package's service (nginx) is not to start: the tests start theirs.
if [ ! -e "$policy" ]; then
    mine=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
fi
apt_get install --yes --no-install-recommends "${missing[@]}" >>"$log" 2>&1 ||
    die "cannot install ${missing[*]}: $(grep '^E:' "$log" | tail -n 1)"
