"""Firmware for chips, as far as it goes without the vendors' tools: what is found, how it
compiles, where it is placed, what is frozen. Nothing here runs.

Of ESP-IDF, the ESP8266's SDK and micropython-lib only the names that are asked for are there:
tests/idf, and empty files that the tests make.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("MODWEBSOCKET_BUILD", ROOT / "build"))
MICROPYTHON = Path(os.environ["MODWEBSOCKET_MPY_DIR"])
MPY_CROSS = BUILD / "mpy-cross" / "mpy-cross"
WSCORE = ROOT / "modwebsocket" / "wscore"

# A C library's headers; nothing is linked with it.
LIBC = Path("/usr/lib/xtensa-lx106-elf")
XTENSA = "xtensa-lx106-elf-"
RISCV = "riscv64-unknown-elf-"

# The ESP8266's SDK: what the port's HAL, which our binding includes, needs of it.
SDK_HEADERS = dict.fromkeys(("os_type.h", "osapi.h"), "")
SDK_HEADERS["gpio.h"] = """
#define READ_PERI_REG(at) (*(volatile uint32_t *)(at))
#define GPIO_REG_READ(at) READ_PERI_REG(at)
#define GPIO_OUT_ADDRESS 0x60000300
#define RTC_GPIO_OUT 0x60000768
"""
SDK_HEADERS["user_interface.h"] = """
#include <stdint.h>
uint32_t system_get_time(void);
"""

# Elsewhere py/stream.h includes the HAL, since MicroPython 1.26, but we use nothing of it.
NO_HAL = "-DMICROPY_INCLUDED_PY_MPHAL_H"

# ESP-IDF's headers that the port's configuration includes, and what it needs of them.
IDF_HEADERS = dict.fromkeys(("esp_random.h", "esp_system.h", "freertos/FreeRTOS.h",
                             "freertos/task.h", "freertos/queue.h", "driver/i2s_std.h",
                             "esp_wifi_types.h"), "")
IDF_HEADERS["freertos/semphr.h"] = """
typedef void *SemaphoreHandle_t;
typedef struct { void *dummy; } StaticSemaphore_t;
"""

OURS = {f"modwebsocket/{file.name}" for file in (ROOT / "modwebsocket").glob("*.py")
        if file.stem not in ("_wscore", "manifest")} | {"websocket.py"}
# What each firmware's own manifest has, too, from MicroPython and from micropython-lib.
STOCK = {"asyncio/core.py", "mip.py", "ntptime.py", "webrepl.py", "neopixel.py"}


def run(*command, **options):
    """Runs a program that must succeed; returns what it printed."""
    done = subprocess.run([str(w) for w in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def write(folder, files):
    """Writes files, {name: text}, into a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A micropython-lib: each package that the manifests require is one empty module."""
    folder = tmp_path_factory.mktemp("lib")
    (folder / "README.md").touch()
    manifests = MICROPYTHON.glob("ports/esp*/boards/**/manifest*.py")
    names = set(re.findall(r'^require\("([\w.-]+)"', "".join(m.read_text() for m in manifests),
                           re.M))
    assert "bundle-networking" in names
    for name in {*names, "mip", "ntptime", "webrepl"}:
        package = folder / "micropython" / name
        package.mkdir(parents=True)
        if name == "bundle-networking":
            text = 'require("mip")\nrequire("ntptime")\nrequire("webrepl")\n'
        else:
            module = name.replace(".", "_").replace("-", "_")
            (package / f"{module}.py").touch()
            text = f'module("{module}.py")\n'
        (package / "manifest.py").write_text(text)
    return folder


# ESP8266: make


@pytest.fixture(scope="module")
def esp8266(library, tmp_path_factory):
    """The port's build folder, with our two objects and the frozen code as it makes them."""
    folder = tmp_path_factory.mktemp("esp8266")
    write(folder / "sdk/include", SDK_HEADERS)
    said = run(
        "make", "-s", "-j2", "-C", MICROPYTHON / "ports/esp8266", "BOARD=ESP8266_GENERIC",
        f"BUILD={folder}", f"USER_C_MODULES={ROOT / 'modwebsocket'}",
        f"FROZEN_MANIFEST={ROOT / 'ports/esp8266/manifest.py'}", f"MPY_LIB_DIR={library}",
        f"MICROPY_MPYCROSS={MPY_CROSS}", f"ESP_SDK={folder / 'sdk'}",
        f"CFLAGS_EXTRA=-isystem {LIBC / 'include'}",
        # The names in all other sources would need the SDK's headers.
        f"SRC_QSTR={WSCORE / 'modwscore.c'}",
        folder / "wscore/modwscore.o", folder / "wscore/wscore.o", folder / "frozen_content.c",
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
    )
    assert f"Including User C Module from {WSCORE}" in said
    return folder


def test_esp8266_has_our_code_in_flash_and_no_static_ram(esp8266):
    # By the port's own linker script, which looks at the names of files and sections.
    elf = esp8266 / "ours.elf"
    run(XTENSA + "ld", "-nostdlib", "-T", "boards/esp8266_2MiB.ld", "-e", "0",
        "--unresolved-symbols=ignore-all", "-o", elf, *esp8266.glob("wscore/*.o"),
        cwd=MICROPYTHON / "ports/esp8266")
    defined = run(XTENSA + "nm", "--defined-only", *esp8266.glob("wscore/*.o"))
    symbols = set(re.findall(r"^\w+ [a-zA-Z] ([\w.$]+)", defined, re.M))
    assert {"ws_mask", "ws_utf8", "codec_serve", "tx_flush"} < symbols
    placed = {name: int(at, 16) for at, name in
              re.findall(r"^(\w+) [a-zA-Z] ([\w.$]+)", run(XTENSA + "nm", elf), re.M)}
    flash = range(0x40209000, 0x40300000)
    assert {name: hex(placed[name]) for name in symbols if placed[name] not in flash} == {}
    # What is in the IRAM is the same with nothing of ours.
    empty = esp8266 / "empty.o"
    run(XTENSA + "gcc", "-x", "c", "-c", os.devnull, "-o", empty)
    none = esp8266 / "none.elf"
    run(XTENSA + "ld", "-nostdlib", "-T", "boards/esp8266_2MiB.ld", "-e", "0",
        "--unresolved-symbols=ignore-all", "-o", none, empty, cwd=MICROPYTHON / "ports/esp8266")
    sizes = [dict(re.findall(r"^(\.\S+)\s+(\d+)\s+\d+$", run(XTENSA + "size", "-A", file), re.M))
             for file in (elf, none)]
    for section in (".text", ".data", ".rodata", ".bss"):
        assert sizes[0].get(section) == sizes[1].get(section), section
    assert int(sizes[0][".irom0.text"]) > 4096


def frozen(content):
    """The names of the modules in a frozen_content.c."""
    return set(re.findall(r"^// frozen bytecode for file ([\w/]+\.py),", content, re.M))


def test_esp8266_freezes_ours_and_the_stock_modules(esp8266):
    names = frozen((esp8266 / "frozen_content.c").read_text())
    assert OURS | STOCK | {"_boot.py", "inisetup.py", "ssd1306.py"} <= names


# ESP32: CMake


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """MicroPython's tree with empty files for the Berkeley database, which CMake looks for."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "lib").mkdir()
    for entry in (*MICROPYTHON.iterdir(), *(MICROPYTHON / "lib").iterdir()):
        link = folder / entry.relative_to(MICROPYTHON)
        if entry.name not in ("lib", "berkeley-db-1.xx"):
            link.symlink_to(entry)
    sources = re.findall(r"BERKELEY_DIR}/(\S+\.c)",
                         (MICROPYTHON / "extmod/extmod.cmake").read_text())
    for name in ("README", *sources):
        file = folder / "lib/berkeley-db-1.xx" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return folder


def configured(board, tree, library, folder):
    """What CMake says and the command that compiles each file, after it has read the port."""
    said = run(
        "cmake", "-S", tree / "ports/esp32", "-B", folder, f"-DMICROPY_DIR={tree}",
        f"-DMICROPY_BOARD={board}", f"-DUSER_C_MODULES={WSCORE / 'micropython.cmake'}",
        f"-DMICROPY_FROZEN_MANIFEST={ROOT / 'ports/esp32/manifest.py'}",
        f"-DMICROPY_LIB_DIR={library}", "-DCMAKE_SYSTEM_NAME=Generic",
        "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
        f"-DCMAKE_C_COMPILER={RISCV}gcc", f"-DCMAKE_ASM_COMPILER={RISCV}gcc",
        "-DCMAKE_C_FLAGS=-march=rv32imc -mabi=ilp32", "-G", "Unix Makefiles",
        env={**os.environ, "IDF_PATH": str(ROOT / "tests/idf")},
    )
    commands = json.loads((folder / "compile_commands.json").read_text())
    return said, {Path(c["file"]): c for c in commands}


def test_esp32c3_finds_our_module_and_compiles_it(tree, library, esp8266, tmp_path):
    said, commands = configured("ESP32_GENERIC_C3", tree, library, tmp_path)
    assert "Found User C Module(s): usermod_wscore" in said
    write(tmp_path / "idf", IDF_HEADERS)
    for name in ("modwscore.c", "wscore.c"):
        command = commands[WSCORE / name]
        # The names that qstrdefs.generated.h has for our module are the same for every port.
        run(*shlex.split(command["command"])[:-4], "-isystem", tmp_path / "idf", "-isystem",
            LIBC / "include", "-I", esp8266, NO_HAL, "-Wall", "-Wextra", "-Wno-unused-parameter",
            "-Werror", "-Os", "-DCONFIG_IDF_TARGET_ARCH_RISCV=1", "-o", tmp_path / f"{name}.o",
            "-c", WSCORE / name, cwd=command["directory"])
        header = run(RISCV + "readelf", "-h", tmp_path / f"{name}.o")
        assert "RISC-V" in header and "ELF32" in header


def esp32_frozen(board, tree, library, names, folder):
    make_manifest = [
        sys.executable, tree / "tools/makemanifest.py", "-o", folder / "frozen_content.c",
        "-v", f"MPY_DIR={tree}", "-v", f"MPY_LIB_DIR={library}",
        "-v", f"PORT_DIR={tree / 'ports/esp32'}",
        "-v", f"BOARD_DIR={tree / 'ports/esp32/boards' / board}", "-b", folder,
        "-f-march=xtensawin", "--mpy-tool-flags=", ROOT / "ports/esp32/manifest.py",
    ]
    # The names that the firmware's C code has; here, another port's.
    (folder / "genhdr").symlink_to(names / "genhdr")
    run(*make_manifest, env={**os.environ, "MICROPY_MPYCROSS": str(MPY_CROSS)})
    return frozen((folder / "frozen_content.c").read_text())


@pytest.mark.parametrize("board, more", [
    ("ESP32_GENERIC_S3", {"aioespnow.py"}),
    ("UM_TINYS3", {"aioespnow.py", "tinys3.py"}),  # it has a manifest of its own
])
def test_esp32_freezes_ours_and_the_stock_modules(board, more, tree, library, esp8266, tmp_path):
    assert OURS | STOCK | more <= esp32_frozen(board, tree, library, esp8266, tmp_path)


# make firmware


@pytest.mark.parametrize("board, needs", [
    ("ESP8266_GENERIC", "the image larsks/esp-open-sdk"),
    ("ESP32_GENERIC_C3", r"the image espressif/idf:v5\.\d+\.\d+"),
    ("ESP32_GENERIC_S9", "no board ESP32_GENERIC_S9: BOARD is one of .* ESP32_GENERIC_S3 "),
])
def test_without_the_vendors_tools_one_sentence_says_what_to_install(board, needs, tmp_path):
    # A PATH on which nothing is but what this script itself runs.
    for name in ("bash", "env", "grep", "head", "sed", "timeout"):
        (tmp_path / name).symlink_to(run("sh", "-c", f"command -v {name}").strip())
    done = subprocess.run([ROOT / "tools/firmware.sh", board, MICROPYTHON, tmp_path / "out"],
                          env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    assert done.stdout == "" and re.fullmatch(f"firmware: .*{needs}.*\n", done.stderr)
