#!/usr/bin/env bash
# Prints how many bytes the C part takes, compiled as for a native module, and the frozen Python.
# Needs `make unix` and the Makefile's environment.
set -euo pipefail

sections() {  # machine, name of MicroPython's architecture, prefix of its tools
    local out=$MODWEBSOCKET_BUILD/size/$2
    mkdir -p "$out"
    make -s -C "$out" -f "$PWD/modwebsocket/wscore/Makefile" MPY_DIR="$MODWEBSOCKET_MPY_DIR" \
        ARCH="$2" PYTHON="$MODWEBSOCKET_BUILD/venv/bin/python" modwscore.o wscore.o >/dev/null
    # Constants that point to constants are no data: they are only in another section.
    "$3size" -A "$out"/*.o | awk -v machine="$1" '
        function row(name, sum) {
            printf "%-10s %-14s %7d %6d %6d\n", machine, name, sum["text"], sum["data"], sum["bss"]
        }
        function add(kind, bytes) { file[kind] += bytes; all[kind] += bytes }
        / :$/ { sub(/.*\//, "", $1); sub(/\.o$/, ".c", $1); name = $1 }
        /^\.(text|literal|rodata|data\.rel\.ro)/ { add("text", $2); next }
        /^\.data/ { add("data", $2) }
        /^(\.bss|COMMON)/ { add("bss", $2) }
        /^Total/ { row(name, file); delete file }
        END { row("total", all) }'
}

printf '%-10s %-14s %7s %6s %6s\n' machine file text data bss
sections x86-64 x64 ''
sections lx106 xtensa xtensa-lx106-elf-
sections rv32imc rv32imc riscv64-unknown-elf-

printf '\n%-25s %7s\n' 'frozen Python' bytecode
cd "$MODWEBSOCKET_BUILD/unix/frozen_mpy"
find modwebsocket websocket.mpy -name '*.mpy' -printf '%p %s\n' | sort |
    awk '{ sub(/mpy$/, "py", $1); printf "%-25s %7d\n", $1, $2; total += $2 }
        END { printf "%-25s %7d\n", "total", total }'
