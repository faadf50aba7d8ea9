#!/usr/bin/env bash
# Makes a C compiler for the Xtensa processors with register windows (ESP32, S2, S3) of Debian 13's
# gcc-xtensa-lx106, which takes the description of another processor from a shared library.
# usage: toolchain.sh FOLDER            made whole or not at all
#
# FOLDER may be moved: what it runs has its own C library beside it, so that older systems do.
set -euo pipefail

suite=trixie
packages=(gcc-xtensa-lx106 binutils-xtensa-lx106 libc6 libgcc-s1 libgmp10 libisl23 libmpc3
    libmpfr6 libstdc++6 libzstd1 zlib1g)

die() { echo "xtensawin: $*" >&2; exit 1; }
. "${BASH_SOURCE%/*}/../debian.sh"

fetch() {
    local mirror
    for mirror in $(mirrors); do
        (cd "$work" && use_mirror "$mirror" 'deb deb-src' && apt_get download "${packages[@]}" &&
            apt_get source --download-only qemu) && return
    done
    return 1
}

# The programs that the compiler runs, with their libraries, each behind a script that has Debian
# 13's loader run it.
unpack() {
    local file gcc
    for file in "$work"/*.deb; do
        dpkg -x "$file" "$work/root"
    done
    mkdir -p "$made"/{bin,lib}
    for file in c.so.6 gcc_s.so.1 gmp.so.10 isl.so.23 m.so.6 mpc.so.3 mpfr.so.6 stdc++.so.6 z.so.1 \
            zstd.so.1; do
        cp -L "$work"/root/usr/lib/*-linux-gnu/"lib$file" "$made/lib/"
    done
    cp -L "$(find "$work/root" -name 'ld-linux*.so.*' -print -quit)" "$made/lib/ld.so"
    cd "$work/root/usr"
    gcc=$(echo lib/gcc/xtensa-lx106-elf/*)
    cp -r --parents "$gcc"/{cc1,collect2,include,include-fixed} lib/xtensa-lx106-elf/bin/{as,ld} \
        bin/xtensa-lx106-elf-{gcc,size} "$made"
    cd "$made"
    mv bin/xtensa-lx106-elf-size bin/xtensa-esp32-elf-size
    for file in "$gcc"/{cc1,collect2} lib/xtensa-lx106-elf/bin/* bin/*; do
        mv "$file" "$file.elf"
        cat >"$file" <<END
#!/bin/sh
top=\${0%/*}/$(realpath --relative-to="${file%/*}" .)
XTENSA_GNU_CONFIG=\$top/lib/core.so \\
    exec "\$top/lib/ld.so" --library-path "\$top/lib" --argv0 "\$0" "\$0.elf" "\$@"
END
        chmod +x "$file"
    done
    # The name under which MicroPython looks for it.
    cat >bin/xtensa-esp32-elf-gcc <<'END'
#!/bin/sh
exec "${0%/*}/xtensa-lx106-elf-gcc" -mabi=windowed -fno-use-linker-plugin "$@"
END
    chmod +x bin/xtensa-esp32-elf-gcc
}

# The processor's description.
describe() {
    local of=target/xtensa from=$work/from
    mkdir "$from"
    tar -xf "$work"/qemu_*.orig.tar.* -C "$from" --strip-components=1 --wildcards \
        '*/include/hw/xtensa/xtensa-isa.h' "*/$of/xtensa-isa-internal.h" \
        "*/$of/core-dc233c/core-isa.h" "*/$of/core-dc233c/xtensa-modules.c.inc"
    cp "$work"/root/usr/lib/gcc/*/*/plugin/include/xtensa-dynconfig.h "$from"
    sed 's,"qemu/osdep.h",<stdint.h>,' "$from/$of/core-dc233c/xtensa-modules.c.inc" \
        >"$from/modules.c"
    cc -shared -fPIC -O1 -w '-DATTRIBUTE_UNUSED=' -I"$from" -I"$from/include/hw/xtensa" \
        -I"$from/$of" -I"$from/$of/core-dc233c" \
        "$here/core.c" "$from/modules.c" -o "$made/lib/core.so"
}

folder=$1
[ ! -e "$folder" ] || exit 0
here=$(realpath "${BASH_SOURCE%/*}")
mkdir -p "$(dirname "$folder")"
folder=$(realpath "$folder")
exec 9>"$folder.lock"
flock 9
[ ! -e "$folder" ] || exit 0
work=$folder.part
made=$work/made
rm -rf "$work"
mkdir "$work"
: >"$work/log"
trap 'rm -rf "$work"' EXIT

echo "making a compiler for the ESP32 of Debian packages"
fetch || die "no Debian mirror gave the packages of $suite" \
    "($(grep '^E:' "$work/log" | tail -n 1))"
(unpack)
describe
mv -T "$made" "$folder"
