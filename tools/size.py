"""Print how many bytes the C part and the frozen Python take, beside their goals.

    python3 tools/size.py [--build DIR] [--micropython DIR] [--mpy-cross PATH FILE.py ...]

wscore.c is compiled as MicroPython's ports do; with --micropython also as the native module does,
together with the binding.  Constants count as text.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

CORE = Path(__file__).resolve().parent.parent / "modwebsocket/wscore"

# machine: MicroPython's name for it, prefix of its tools, flags of the port.
MACHINES = {
    "x86-64": ("x64", "", ["-Os"]),
    "lx106": ("xtensa", "xtensa-lx106-elf-",
              ["-Os", "-mforce-l32", "-mlongcalls", "-mtext-section-literals",
               "-ffunction-sections", "-fno-inline-functions", "-ffreestanding"]),
    "rv32imc": ("rv32imc", "riscv64-unknown-elf-",
                ["-Os", "-march=rv32imc", "-mabi=ilp32", "-ffreestanding"]),
}
PACKAGES = {
    "gcc": "gcc",
    "xtensa-lx106-elf-gcc": "gcc-xtensa-lx106",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf",
}

# (machine, what): bytes of text.
GOALS = {("lx106", "wscore.c"): 3482, ("lx106", "native module"): 6144}
PYTHON_GOAL = 12288
# What NodeMCU's API over ws:// loads of the package; the other modules are loaded on demand.
NODEMCU = {"__init__", "connection", "errors", "handshake", "link", "pump", "url", "websocket"}


TEXT = (".text", ".literal", ".rodata", ".data.rel.ro")
DATA = (".data",)
BSS = (".bss", "COMMON")


def verdict_of(size, goal):
    """Whether a size keeps its goal, both in bytes, and by how much it does not."""
    met = "met" if size <= goal else "not met (%+d)" % (size - goal)
    return "<= %d: %s" % (goal, met)


class Failure(Exception):
    """A tool is missing or failed; the text says which."""


def run(*command):
    """Run a command and return its output; raise Failure if it fails."""
    command = [str(part) for part in command]
    if shutil.which(command[0]) is None:
        package = PACKAGES.get(command[0])
        hint = ": install %s" % package if package else ""
        raise Failure("%s is missing%s" % (command[0], hint))
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        output = (done.stderr or done.stdout).strip()[-2000:]
        raise Failure("%s failed (%d): %s" % (command[0], done.returncode, output))
    return done.stdout


def sections(tool, path):
    """Return (text, data, bss) of an object file in bytes."""
    sums = [0, 0, 0]
    for line in run(tool, "-A", path).splitlines():
        words = line.split()
        if len(words) == 3 and words[1].isdigit():
            for i, names in enumerate((TEXT, DATA, BSS)):
                if words[0].startswith(names):
                    sums[i] += int(words[1])
                    break
    return sums


def port_object(build, arch, prefix, flags):
    """Compile the core as MicroPython's ports do; return the object."""
    target = build / ("wscore-%s.o" % arch)
    run(prefix + "gcc", *flags, "-std=c99", "-c", CORE / "wscore.c", "-o", target)
    return target


def native_objects(build, micropython, arch, prefix):
    """Compile the core and the binding as the native module does; return the objects."""
    out = build / arch
    out.mkdir(parents=True, exist_ok=True)
    run("make", "-s", "-C", out, "-f", CORE / "Makefile", "MPY_DIR=%s" % micropython,
        "ARCH=%s" % arch, "PYTHON=%s" % sys.executable, "all")
    return sorted(out.glob("*.o"))


def print_c(build, micropython):
    """Print the C part's table."""
    print("%-10s %-14s %7s %6s %6s  %s" % ("machine", "file", "text", "data", "bss", "goal"))
    for machine, (arch, prefix, flags) in MACHINES.items():
        size = prefix + "size"
        sizes = {"wscore.c": sections(size, port_object(build, arch, prefix, flags))}
        if micropython:
            parts = [sections(size, path)
                     for path in native_objects(build, micropython, arch, prefix)]
            sizes["native module"] = [sum(column) for column in zip(*parts, strict=True)]
        for name, (text, data, bss) in sizes.items():
            goal = GOALS.get((machine, name))
            verdict = ""
            if goal is not None:
                verdict = "text " + verdict_of(text, goal)
            row = "%-10s %-14s %7d %6d %6d  %s" % (machine, name, text, data, bss, verdict)
            print(row.rstrip())


def print_python(build, mpy_cross, files):
    """Print how many bytes of bytecode each file becomes, compiled as for freezing."""
    print("\n%-37s %7s" % ("frozen Python", "bytes"))
    total = nodemcu = 0
    for path in files:
        target = build / (path.stem + ".mpy")
        run(mpy_cross, "-O3", "-o", target, path)
        total += target.stat().st_size
        if Path(path).stem in NODEMCU:
            nodemcu += target.stat().st_size
        print("%-37s %7d" % (path, target.stat().st_size))
    print("%-37s %7d" % ("total", total))
    verdict = verdict_of(nodemcu, PYTHON_GOAL)
    print("%-37s %7d  %s" % ("of it for NodeMCU's API over ws://", nodemcu, verdict))


def main():
    """Compile, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=Path("build/size"), help="output folder")
    parser.add_argument("--micropython", type=Path, help="MicroPython's source tree")
    parser.add_argument("--mpy-cross", type=Path, help="MicroPython's compiler")
    parser.add_argument("files", nargs="*", type=Path, help="Python files to be frozen")
    options = parser.parse_args()
    if options.files and options.mpy_cross is None:
        parser.error("files need --mpy-cross")
    build = options.build.resolve()
    build.mkdir(parents=True, exist_ok=True)
    try:
        print_c(build, options.micropython and options.micropython.resolve())
        if options.files:
            print_python(build, options.mpy_cross.resolve(), options.files)
    except Failure as error:
        print("size: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
