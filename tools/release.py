"""Lay out the folder that a web server needs, for `mip install http://HOST/TARGET/package.json`.

    python3 tools/release.py --mpy-cross PATH FOLDER [_wscore.mpy...]

mip knows no processors, so each target has a package of its own: the Python part, compiled, and
the core, native if one of its processor is given. The target "any" has the core in Python.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "modwebsocket"

# Targets and the architecture of their native module, in MicroPython's words.
TARGETS = {
    "any": None,
    "esp8266": "xtensa",
    "esp32": "xtensawin",
    "esp32c3": "rv32imc",
    "rp2040": "armv6m",
    "rp2350": "armv7emsp",
    "stm32f4": "armv7emsp",
    "unix": "x64",
}

# As the numbers of a .mpy have it.
ARCHITECTURES = (
    None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp",
    "xtensa", "xtensawin", "rv32imc",
)  # fmt: skip
MPY_VERSION = 6, 3

# They say what is wrong when no .mpy can be loaded.
SOURCES = ("__init__.py", "_unfit.py")


class Failure(Exception):
    """The text says why there is no release."""


def architecture(mpy):
    """Of a .mpy file (Path), None if it is not native. Raises Failure for another version."""
    head = mpy.read_bytes()[:3]
    if len(head) < 3 or head[0] != ord("M"):
        raise Failure(f"{mpy} is no .mpy file")
    number = head[2] >> 2 & 0x0F
    version = head[1], head[2] & 3
    if version[0] != MPY_VERSION[0] or (number and version != MPY_VERSION):
        raise Failure(f"{mpy} is of .mpy version {version[0]}.{version[1]}, not 6.3")
    return ARCHITECTURES[number]


def compile_into(folder, source, name, mpy_cross):
    """Compile source, which tracebacks know by name, to name.mpy in folder."""
    out = (folder / name).with_suffix(".mpy")
    out.parent.mkdir(parents=True, exist_ok=True)
    # As frozen: without asserts and line numbers.
    subprocess.run([mpy_cross, "-O3", "-s", name, "-o", out, source], check=True)
    if architecture(out) is not None:
        raise Failure(f"{out} has native code")


def lay_out(folder, mpy_cross, natives):
    """Make the targets' folders. natives: {architecture: Path of _wscore.mpy}."""
    shutil.rmtree(folder, ignore_errors=True)
    version = re.search(r'__version__ = "(.*)"', (PACKAGE / "__init__.py").read_text())[1]
    common = folder / "any"
    for source in sorted(PACKAGE.glob("*.py")):
        if source.name in SOURCES:
            target = common / "modwebsocket" / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        elif source.name != "manifest.py":
            compile_into(common, source, f"modwebsocket/{source.name}", mpy_cross)
    compile_into(common, ROOT / "lua_compat" / "websocket.py", "websocket.py", mpy_cross)
    for target, wanted in TARGETS.items():
        if wanted in natives:
            shutil.copytree(common, folder / target)
            shutil.copyfile(natives[wanted], folder / target / "_wscore.mpy")
    for source in sorted((PACKAGE / "wscore").glob("*.py")):
        compile_into(common, source, source.name, mpy_cross)
    for target in sorted(folder.iterdir()):
        names = sorted(str(f.relative_to(target)) for f in target.rglob("*") if f.is_file())
        package = {"version": version, "urls": [[name, name] for name in names]}
        (target / "package.json").write_text(json.dumps(package, separators=(",", ":")) + "\n")
        size = sum((target / name).stat().st_size for name in names)
        core = (target / "_wscore.mpy").stat().st_size
        print(f"{target.name:8} {size:7,} bytes, {core:6,} of them _wscore.mpy")


def main():
    """Lay out what the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mpy-cross", type=Path, required=True)
    parser.add_argument("folder", type=Path)
    parser.add_argument("natives", type=Path, nargs="*")
    args = parser.parse_args()
    try:
        lay_out(args.folder, args.mpy_cross, {architecture(f): f for f in args.natives})
    except Failure as e:
        return f"release: {e}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
