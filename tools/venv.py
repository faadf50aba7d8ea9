"""Make a virtual environment and install groups of pyproject.toml's pinned packages into it.

usage: venv.py FOLDER CACHE GROUP...

Wheels are kept in CACHE: what is there is installed without network.
"""

import os
import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def requirements(groups):
    """Pinned requirements of the groups, then those that are pinned but come only as needed."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    return sum((table[group] for group in groups), []), table["pulled-in"]


def main(folder, cache, *groups):
    python = pathlib.Path(folder, "bin/python")
    wanted, constraints = requirements(groups)
    wheels = pathlib.Path(cache, "wheels")
    wheels.mkdir(parents=True, exist_ok=True)
    pins = pathlib.Path(folder, "constraints.txt")

    def pip(*args, **options):
        command = [python, "-m", "pip", *args, "-qq", "--constraint", pins, *wanted]
        return subprocess.run(command, **options).returncode

    def install(**options):
        return pip("install", "--no-index", f"--find-links={wheels}", **options)

    # No stamp says so, but an earlier group may have made it whole already.
    if not any(pathlib.Path(folder).glob(".*")):
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    pins.write_text("\n".join(constraints))
    if install(stderr=subprocess.DEVNULL):
        print("fetching Python packages:", *groups, flush=True)
        if pip("wheel", f"--wheel-dir={wheels}") or install():
            sys.exit(f"venv: cannot get the Python packages of {' '.join(groups)}, see above")


if __name__ == "__main__":
    os.environ.update(PIP_ROOT_USER_ACTION="ignore", PIP_DISABLE_PIP_VERSION_CHECK="1")
    main(*sys.argv[1:])
