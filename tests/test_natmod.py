"""The native modules, each executed by a processor of its kind: same vectors, same results.

x64 runs in an unmodified interpreter on this machine, xtensa on the emulated ESP8266-class board,
the others on machines of MicroPython's QEMU port. Without `-m ""` only what is quick.
"""

import os
import re
from pathlib import Path

import pytest
import qemu
from test_device import DEVICE, TESTS, VECTORS, check, functions

BUILD = Path(os.environ.get("MODWEBSOCKET_BUILD", TESTS.parent / "build"))
ARCHITECTURES = ("xtensa", "xtensawin", "rv32imc", "x64", "armv6m", "armv7m", "armv7emsp")

# Those that use `_wscore` and no network.
SCRIPTS = ("mp_codec", "mp_parts", *(
    pytest.param(name, marks=pytest.mark.natmod) for name in ("mp_connection", "mp_upgrade")))

LONGEST_WIRE = 1000  # of the vectors, bytes: 352 of 365
REPORT = ["352 vectors", "30016 checks, 0 failed"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_device_script(native, script):
    names = [p.values[1] for p in functions() if p.values[0] == script]
    assert names
    at_once = native.fits(len(names), 3)
    for i in range(0, len(names), at_once):
        some = names[i : i + at_once]
        result = native.run(DEVICE / "run.py", script, *some, timeout_s=60)
        assert [line for line in result.lines if line] == [f"ok {name}" for name in some], result
        assert result.status == 0


def test_vectors_give_the_same_everywhere(native):
    result = native.run(DEVICE / f"{VECTORS}.py", TESTS / "vectors", LONGEST_WIRE, timeout_s=100)
    check(result, REPORT[-1])
    assert result.lines == REPORT


@pytest.mark.natmod
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_two_builds_are_the_same(arch):
    one, other = (BUILD / name / arch / "_wscore.mpy" for name in ("natmod", "natmod-again"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.natmod
@pytest.mark.parametrize(("core", "arch"), [
    *(("xtensa", arch) for arch in qemu.MACHINES), ("armv7m", "armv6m")])
def test_another_processors_module_is_explained(make_native, arch, core):
    # tests/peer/test_mip.py has it on the ESP8266-class board.
    machine = make_native(arch)
    machine.core = core
    called = {"armv7m": "armv7em"}.get(arch, arch)  # by MicroPython, which takes both there
    result = machine.run("""
        try:
            import modwebsocket
        except ImportError as e:
            print(e)
    """)
    assert result.lines == [
        "_wscore: ValueError: incompatible .mpy arch; this board takes that of modwebsocket "
        f"for {called} or any, .mpy version 6.3"], result


def test_esp8266_has_too_little_iram(xtensa):
    result = xtensa.run("""
        try:
            import native
        except MemoryError as e:
            print(e)
    """)
    code = (BUILD / "natmod" / "xtensa" / "_wscore.mpy").stat().st_size
    found = re.search(r"allocating (\d+) bytes for native code", result.lines[-1])
    assert found and 2048 < int(found[1]) < code, result


def test_esp8266_loads_it_from_two_sectors_of_flash(xtensa):
    # Erased whenever the module is loaded, that is at every boot.
    result = xtensa.run("""
        import esp, gc, lx106, sys
        gc.collect()
        free = gc.mem_free()
        for erasures in (2, 4):
            esp.set_native_code_location(0xFE000, 0x2000)
            import native
            assert lx106.erasures() == erasures
            gc.collect()
            taken = free - gc.mem_free()
            assert taken <= 512, taken
            del sys.modules["native"], native
        print("ok")
    """)
    check(result, "ok")
