# To be sourced: takes packages of one of Debian's suites from the machine's own mirrors, without
# installing any.  Needs $suite and $work, an empty folder.

# Addresses from which this machine gets its own Debian packages; only the suite will differ.
mirrors() {
    local own
    own=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
    apt-get update --print-uris -o Dir::State::Lists="$work" 2>/dev/null |
        sed -nE "s,^'(.*)/dists/($own|oldstable|stable|testing|unstable|sid)/InRelease'.*,\1,p" |
        sort -u
}

# apt-get with its own sources, lists and cache: the machine's stay as they are.
apt_get() {
    apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/apt" \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=2 "$@" >>"$work/log" 2>&1
}

# Has apt_get take from this mirror.  TYPES: deb for packages, deb-src for their sources.
use_mirror() {  # MIRROR TYPES
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    mkdir -p "$work"/{apt,lists/partial,cache/archives/partial}
    printf '%s\n' "Types: $2" "URIs: $1" "Suites: $suite" 'Components: main' \
        >"$work/apt/debian.sources"
    [ ! -e $keyring ] || echo "Signed-By: $keyring" >>"$work/apt/debian.sources"
    apt_get update
}
