"""Count the instructions of the C core and of other people's techniques on three machines.

    python3 tools/bench/kernels.py [--build DIR] [--machine NAME] [--write]

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
sys.path.insert(0, str(HERE.parent))
import figures  # noqa: E402
import lx106  # noqa: E402

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

# How each machine counts: a function of the folder for its files.
MACHINES = {
    "x86-64": lambda build: count_host(build),
    "lx106": lambda build: count_qemu(build, "lx106", *LX106),
    "rv32imc": lambda build: count_qemu(build, "rv32", *RV32),
}

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
    program, counts = build / ("kernels-%s.elf" % name), build / ("counts-%s" % name)
    run([compiler, *flags, *WARNINGS, HERE / ("start_%s.S" % name), *SOURCES,
         "-T", HERE / ("%s.ld" % name), "-o", program])
    out = run([*emulator, "-display", "none", "-monitor", "none",
               "-plugin", "%s,out=%s" % (lx106.PLUGIN, counts), "-kernel", program])
    return out, [int(line) for line in counts.read_text().split()]


def worst(out, counts):
    """Return {(measure, who): instructions per byte or call}, the worst of equal runs."""
    lines = out.splitlines()
    if len(lines) != len(counts):
        raise Failure("%d runs but %d counts" % (len(lines), len(counts)))
    overhead = {}
    table = {}
    for line, count in zip(lines, counts, strict=True):
        kind, measure, who, divisor = line.split("\t")
        if measure == "empty":
            overhead[kind] = count
            continue
        figure = (count - overhead[kind]) / int(divisor, 16)
        table[measure, who] = max(figure, table.get((measure, who), 0))
    return table


def number(figure):
    """Return a figure as text: two decimals below 100, none above."""
    return "-" if figure is None else "%.2f" % figure if figure < 100 else "%.0f" % figure


def print_table(by_machine):
    """Print who needs how many instructions for what; return the number of goals missed."""
    missed = []
    print("executed instructions, per byte for 1 KiB and per call otherwise")
    print("%-30s %-15s" % ("", "") + "".join("%10s" % name for name in by_machine) + "  goal")
    for measure, goals in GOALS.items():
        verdicts = []
        for name, goal in goals.items():
            if name not in by_machine:
                continue
            figure = by_machine[name][measure, "ours"]
            met = round(figure, 2) <= goal
            verdict = "met" if met else "not met (%s)" % number(figure)
            verdicts.append("%s <= %g: %s" % (name, goal, verdict))
            if not met:
                missed.append(measure)
        people = [who for of, who in next(iter(by_machine.values())) if of == measure]
        for who in people:
            row = "".join("%10s" % number(by_machine[name].get((measure, who)))
                          for name in by_machine)
            note = "  " + "; ".join(verdicts) if who == "ours" else ""
            print(("%-30s %-15s%s%s" % (measure, who, row, note)).rstrip())
    print("goals: %d missed%s" % (len(missed), ": " + ", ".join(missed) if missed else ""))


def write(of):
    """Put lx106's figures into README.md."""
    def ours(measure):
        return number(of[measure, "ours"]).removesuffix(".00")

    figures.write({
        "mask": ours("mask 1 KiB aligned"),
        "mask worst": ours("mask 1 KiB worst phase"),
        "UTF-8": ours("UTF-8 1 KiB ASCII"),
        "UTF-8 any": ours("UTF-8 1 KiB any text"),
        "header": ours("header 2 B") + ", " + ours("header 4 B"),
        "C part": ours("C part of an echo, 16 B") + ", " + ours("C part of an echo, 1 KiB"),
    })


def main():
    """Build, count, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=Path("build/bench"), help="output folder")
    parser.add_argument("--machine", choices=MACHINES, nargs="*", default=[*MACHINES])
    parser.add_argument("--write", action="store_true", help="lx106's into README.md")
    options = parser.parse_args()
    build = options.build.resolve()
    build.mkdir(parents=True, exist_ok=True)
    try:
        by_machine = {name: worst(*MACHINES[name](build)) for name in options.machine}
        print_table(by_machine)
        if options.write:
            write(by_machine["lx106"])
    except Failure as error:
        print("kernels: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
