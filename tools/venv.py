"""Make a virtual environment and install a group of pyproject.toml's pinned packages into it.

usage: venv.py FOLDER CACHE GROUP

Wheels are kept in CACHE: what is there needs no network.
"""

import pathlib
import subprocess
import sys
import tomllib


def main(folder, cache, group):
    groups = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["dependency-groups"]
    wheels = pathlib.Path(cache, "wheels")
    wheels.mkdir(parents=True, exist_ok=True)

    # A stamp in it says that it was made in whole.
    if not any(folder.glob(".made-*")):
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    pins = folder / "constraints.txt"
    pins.write_text("\n".join(groups["pulled-in"]))

    def pip(*args):
        command = [folder / "bin/python", "-m", "pip", *args, "--quiet", "--constraint", pins]
        return subprocess.run([*command, *groups[group]], capture_output=True, text=True)

    def install():
        return pip("install", "--root-user-action=ignore", "--no-index", "--find-links", wheels)

    if install().returncode:
        print(f"fetching the Python packages of {group}", flush=True)
        answer = pip("wheel", "--wheel-dir", wheels)
        if answer.returncode == 0:
            answer = install()
        if answer.returncode:
            cause = next(line for line in answer.stderr.splitlines() if "rror" in line)
            cause = cause.partition("after connection broken by ")[2] or cause
            sys.exit(f"venv: cannot get the Python packages of {group}: {cause}")
    (folder / f".made-{group}").touch()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
