#!/usr/bin/env bash
# Puts the sources that we build from into one MicroPython tree, each part whole or not at all.
# usage: sources.sh TREE PART...        PART: micropython, mbedtls or lwip; for a chip's firmware
#   also axtls, berkeley-db-1.xx, micropython-lib or tinyusb, which come from git only
#
# They come as Debian source packages where apt has them, else from MicroPython's own git.
set -euo pipefail

version=1.25.0
# MICROPYTHON_VERSION chooses another one of these.  sha256: of Debian's original tarball.  commit:
# of the tag; without one git's is not trusted.  suite: Debian's, for MicroPython the last one, for
# the two libraries the first.  They are pinned by series only: apt's signatures vouch for them, and
# security updates replace them.
version=${MICROPYTHON_VERSION:-$version}
case $version in
    1.25.0)
        sha256=7b25be99a502f070b2de81dafc08da7051d992325d6e67daa9045a918fffdbea
        commit=f498a16c7db6d4b2de200b3e0856528dfe0613c3
        suite=trixie
        ;;
    1.26.1)
        sha256=f5ad2ec89d3e921f753d448955af98b6005655f84ba26087dde6ba0e8d062f34
        commit=
        suite="trixie sid"
        ;;
    *)
        echo "sources: MicroPython $version is not pinned here; MICROPYTHON_DIR takes any tree" >&2
        exit 1
        ;;
esac
git_url=https://github.com/micropython/micropython.git

die() { echo "sources: $*" >&2; exit 1; }
. "${BASH_SOURCE%/*}/debian.sh"

# A part's folder, and a file in it that tells that the part is there.
place() { [ "$1" = micropython ] && echo "$tree" || echo "$tree/lib/$1"; }
mark() {
    case $1 in
        micropython) echo "$tree/py/mpconfig.h" ;;
        mbedtls) echo "$tree/lib/mbedtls/include/mbedtls/version.h" ;;
        lwip) echo "$tree/lib/lwip/src/include/lwip/init.h" ;;
        axtls) echo "$tree/lib/axtls/ssl/ssl.h" ;;
        berkeley-db-1.xx) echo "$tree/lib/berkeley-db-1.xx/include/db.h" ;;
        micropython-lib) echo "$tree/lib/micropython-lib/README.md" ;;
        tinyusb) echo "$tree/lib/tinyusb/src/tusb.h" ;;
    esac
}

from_debian() {
    local mirror part tarball packages
    command -v apt-get >/dev/null || return 1
    for part; do
        [[ " micropython mbedtls lwip " = *" $part "* ]] || return 1
    done
    packages=("${@/%//${suite%% *}}")
    packages=("${packages[@]/#micropython\/*/micropython/${suite##* }}")
    for mirror in $(mirrors); do
        (cd "$work" && use_mirror "$mirror" deb-src &&
            apt_get source --download-only "${packages[@]}") ||
            continue
        for part; do
            tarball=$(echo "$work/${part}_"*.orig.tar.*z*)
            [ "$part" != micropython ] || sha256sum --status --check <<<"$sha256  $tarball" ||
                die "${tarball##*/} does not have the pinned SHA-256; nothing of it was kept"
            mkdir "$work/$part"
            tar -xf "$tarball" -C "$work/$part" --strip-components=1 ||
                die "cannot unpack ${tarball##*/}; nothing of it was kept"
        done
        return 0
    done
    return 1
}

from_git() {
    local part clone=$work/clone
    [ -n "$commit" ] && command -v git >/dev/null || return 1
    git clone --quiet --depth 1 --branch "v$version" $git_url "$clone" &>>"$work/log" || return 1
    [ "$(git -C "$clone" rev-parse HEAD)" = $commit ] ||
        die "tag v$version is not the pinned commit; nothing of it was kept"
    for part; do
        [ "$part" != micropython ] || continue
        git -C "$clone" submodule --quiet update --init --depth 1 "lib/$part" &>>"$work/log" ||
            return 1
        mv "$clone/lib/$part" "$work/$part"
        mkdir "$clone/lib/$part"
    done
    mv "$clone" "$work/micropython"
}

missing() {
    local part
    for part; do [ -e "$(mark "$part")" ] || echo "$part"; done
}

tree=$1
shift
[ -n "$(missing "$@")" ] || exit 0
[ "$tree" != "${MICROPYTHON_DIR:-}" ] ||
    die "MICROPYTHON_DIR ($tree) lacks $(missing "$@" | xargs): it is used as it is, so complete it"

# One fetch at a time.  Work next to the tree, so that the last step is a rename; what an
# interrupted run left there goes first.
mkdir -p "$(dirname "$tree")"
exec 9>"$tree.lock"
flock 9
mapfile -t parts < <(missing "$@")
[ ${#parts[@]} -gt 0 ] || exit 0
work=$tree.part
rm -rf "$work"
mkdir "$work"
trap 'rm -rf "$work"' EXIT

echo "fetching the sources of ${parts[*]}"
from_debian "${parts[@]}" || from_git "${parts[@]}" ||
    die "cannot fetch ${parts[*]}: no Debian mirror and no git server gave them" \
        "($(grep -sE '^(E|fatal):' "$work/log" | tail -n 1))"
for part in "${parts[@]}"; do
    # Renames onto the empty folder that the tree has for a library.
    mv -T "$work/$part" "$(place "$part")"
done
