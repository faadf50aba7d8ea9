"""Count the instructions of the C core and of other people's techniques on three machines.

    python3 tools/bench/kernels.py [--build DIR]

x86-64 is counted by callgrind; lx106 (ESP8266) and rv32imc (ESP32-C3) by a plugin in QEMU.
The same program runs on all three, built with the flags that MicroPython's ports use.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORE = HERE.parent.parent / "modwebsocket/wscore/wscore.c"
SOURCES = [HERE / "kernels.c", HERE / "peers.c", CORE]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-std=gnu99"]
BARE = ["-Os", "-ffreestanding", "-nostdlib", "-ffunction-sections"]

# name: (compiler, flags, emulator)
LX106 = (
    "xtensa-lx106-elf-gcc",
    [*BARE, "-mforce-l32", "-mlongcalls", "-mtext-section-literals", "-fno-inline-functions"],
    ["qemu-system-xtensa", "-M", "lx60-nommu", "-cpu", "lx106", "-m", "4", "-semihosting"],
)
RV32 = (
    "riscv64-unknown-elf-gcc",
    [*BARE, "-march=rv32imc", "-mabi=ilp32"],
    ["qemu-system-riscv32", "-M", "virt", "-m", "4", "-bios", "none", "-serial", "stdio"],
)
PACKAGES = {
    "cc": "build-essential",
    "valgrind": "valgrind",
    "xtensa-lx106-elf-gcc": "gcc-xtensa-lx106",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf",
    "qemu-system-xtensa": "qemu-system-misc",
    "qemu-system-riscv32": "qemu-system-misc",
}

MACHINES = ["x86-64", "lx106", "rv32imc"]

# measure: goals by machine, instructions per byte (1 KiB) or per call.
GOALS = {
    "mask 1 KiB aligned": {"x86-64": 0.38, "lx106": 1.0},
    "mask 1 KiB worst phase": {"x86-64": 0.38, "lx106": 1.0},
    "mask 16 B": {"lx106": 40},
    "mask 125 B": {"lx106": 150},
    "copy-mask 1 KiB same phase": {"x86-64": 0.38, "lx106": 1.08},
    "copy-mask 1 KiB phases differ": {"lx106": 2.65},
    "UTF-8 1 KiB ASCII": {"lx106": 0.75},
    "UTF-8 1 KiB any text": {"lx106": 6.5},
    "UTF-8 16 B ASCII": {},
    "header 2 B": {"lx106": 60},
    "header 4 B": {"lx106": 60},
    "header 8 B masked": {},
    "header 2 B, unaligned": {},
    "header 4 B, unaligned": {},
    "header 8 B masked, unaligned": {},
    "masking key": {"lx106": 480},
    "accept key": {},
    "C part of an echo, 16 B": {"lx106": 800},
    "C part of an echo, 1 KiB": {"lx106": 3500},
}


class Failure(Exception):
    """A tool is missing or failed; the text says which."""


def run(command, **options):
    """Run a command and return its output; raise Failure if it fails."""
    command = [str(part) for part in command]
    if shutil.which(command[0]) is None:
        package = PACKAGES.get(command[0], "the package that has it")
        raise Failure("%s is missing: install %s" % (command[0], package))
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, **options)
    if done.returncode != 0:
        output = (done.stderr or done.stdout).strip()[-2000:]
        raise Failure("%s failed (%d): %s" % (command[0], done.returncode, output))
    return done.stdout


def count_host(build):
    """Return the program's output and one count per run, on x86-64."""
    program = build / "kernels-host"
    run(["valgrind", "--version"])  # before the compiler misses its header
    run(["cc", "-Os", *WARNINGS, "-DBENCH_HOST", *SOURCES, "-o", program])
    for old in build.glob("callgrind.*"):
        old.unlink()
    out = run(["valgrind", "--quiet", "--tool=callgrind",
               "--callgrind-out-file=%s/callgrind" % build, program])
    dumps = sorted(build.glob("callgrind.*"), key=lambda path: int(path.suffix[1:]))
    return out, [int(re.search(r"^summary: (\d+)", dump.read_text(), re.M)[1]) for dump in dumps]


def count_qemu(build, name, compiler, flags, emulator):
    """Return the program's output and one count per run, on an emulated machine."""
    plugin, program, counts = (build / part for part in
                               ("count.so", "kernels-%s.elf" % name, "counts-%s" % name))
    run(["cc", "-O2", "-shared", "-fPIC", *WARNINGS, HERE / "count.c", "-o", plugin])
    run([compiler, *flags, *WARNINGS, HERE / ("start_%s.S" % name), *SOURCES,
         "-T", HERE / ("%s.ld" % name), "-o", program])
    out = run([*emulator, "-display", "none", "-monitor", "none",
               "-plugin", "%s,out=%s" % (plugin, counts), "-kernel", program])
    return out, [int(line) for line in counts.read_text().split()]


def worst(out, counts):
    """Return {(measure, who): instructions per byte or call}, the worst of equal runs."""
    lines = out.splitlines()
    if len(lines) != len(counts):
        raise Failure("%d runs but %d counts" % (len(lines), len(counts)))
    overhead = {}
    figures = {}
    for line, count in zip(lines, counts, strict=True):
        kind, measure, who, divisor = line.split("\t")
        if measure == "empty":
            overhead[kind] = count
            continue
        figure = (count - overhead[kind]) / int(divisor, 16)
        figures[measure, who] = max(figure, figures.get((measure, who), 0))
    return figures


def number(figure):
    """Return a figure as text: two decimals below 100, none above."""
    return "-" if figure is None else "%.2f" % figure if figure < 100 else "%.0f" % figure


def print_table(by_machine):
    """Print who needs how many instructions for what; return the number of goals missed."""
    missed = []
    print("executed instructions, per byte for 1 KiB and per call otherwise")
    print("%-30s %-15s" % ("", "") + "".join("%10s" % name for name in MACHINES) + "  goal")
    for measure, goals in GOALS.items():
        verdicts = []
        for name, goal in goals.items():
            figure = by_machine[name][measure, "ours"]
            met = round(figure, 2) <= goal
            verdict = "met" if met else "not met (%s)" % number(figure)
            verdicts.append("%s <= %g: %s" % (name, goal, verdict))
            if not met:
                missed.append(measure)
        people = [who for of, who in by_machine["lx106"] if of == measure]
        for who in people:
            row = "".join("%10s" % number(by_machine[name].get((measure, who)))
                          for name in MACHINES)
            note = "  " + "; ".join(verdicts) if who == "ours" else ""
            print(("%-30s %-15s%s%s" % (measure, who, row, note)).rstrip())
    print("goals: %d missed%s" % (len(missed), ": " + ", ".join(missed) if missed else ""))


def main():
    """Build, count, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=Path("build/bench"), help="output folder")
    build = parser.parse_args().build.resolve()
    build.mkdir(parents=True, exist_ok=True)
    try:
        runs = [count_host(build), count_qemu(build, "lx106", *LX106),
                count_qemu(build, "rv32", *RV32)]
        print_table({name: worst(*result) for name, result in zip(MACHINES, runs, strict=True)})
    except Failure as error:
        print("kernels: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
