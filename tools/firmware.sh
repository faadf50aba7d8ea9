#!/usr/bin/env bash
# Builds MicroPython's firmware for an ESP8266 or ESP32 with modwebsocket in it, by the vendor's
# tools if this machine has them, else in a container that does.
# usage: firmware.sh BOARD TREE BUILD    TREE: MicroPython's, which `make submodules` would complete
set -euo pipefail

die() { echo "firmware: $*" >&2; exit 1; }

board=$1 tree=$2 build=$3
root=$(cd "${BASH_SOURCE%/*}/.." && pwd)

for port in esp8266 esp32 ""; do
    [ ! -d "$tree/ports/${port:-.}/boards/$board" ] || break
done
if [ -z "$board" ] || [ -z "$port" ]; then
    boards=("$tree"/ports/esp{8266,32}/boards/*/)
    boards=("${boards[@]%/}")
    die "no board ${board:-given}: BOARD is one of ${boards[*]##*/}"
fi

if [ "$port" = esp8266 ]; then
    image=larsks/esp-open-sdk
    tools="the ESP8266's toolchain with its SDK (xtensa-lx106-elf-gcc of esp-open-sdk)"
    parts=(axtls berkeley-db-1.xx micropython-lib)
    modules=$root/modwebsocket
    # Debian's compiler of that name has no SDK.
    have_tools() {
        local sysroot
        sysroot=$(xtensa-lx106-elf-gcc -print-sysroot 2>/dev/null) &&
            [ -e "$sysroot/usr/include/user_interface.h" ]
    }
else
    # As MicroPython's own builds do: a version, or a command that finds it.
    release=$(cd "$tree" && eval "$(grep '^IDF_VER=' tools/ci.sh)" && echo "$IDF_VER")
    image=espressif/idf:$release
    tools="ESP-IDF $release (idf.py, after its export.sh)"
    parts=(berkeley-db-1.xx micropython-lib tinyusb)
    modules=$root/modwebsocket/wscore/micropython.cmake
    have_tools() { command -v idf.py >/dev/null; }
fi

run=()
if ! have_tools; then
    [ -z "${FIRMWARE_IMAGE:-}" ] || die "the image $FIRMWARE_IMAGE lacks $tools"
    timeout 20 docker info >/dev/null 2>&1 || die "$board needs $tools on the PATH," \
        "or docker, running, which gets them as the image $image"
    run=(docker run --rm --user "$(id -u):$(id -g)" --env HOME=/tmp --env FIRMWARE_IMAGE="$image"
        --env MICROPY_GIT_TAG --env MICROPY_GIT_HASH
        --volume "$root:$root" --volume "$tree:$tree" --volume "$build:$build" --workdir "$root"
        "$image")
fi

[ -n "${FIRMWARE_IMAGE:-}" ] || "$root/tools/sources.sh" "$tree" micropython "${parts[@]}"
mkdir -p "$build"
if [ ${#run[@]} -gt 0 ]; then
    "${run[@]}" "$root/tools/firmware.sh" "$board" "$tree" "$build"
else
    make -C "$tree/mpy-cross" BUILD="$build/mpy-cross" USER_C_MODULES=
    MICROPY_MPYCROSS=$build/mpy-cross/mpy-cross make -C "$tree/ports/$port" BOARD="$board" \
        BUILD="$build" USER_C_MODULES="$modules" FROZEN_MANIFEST="$root/ports/$port/manifest.py" \
        ${ESPTOOL:+ESPTOOL="$ESPTOOL"}
fi
[ -n "${FIRMWARE_IMAGE:-}" ] || echo "$build/firmware.bin: make flash PORT=… BOARD=$board"
