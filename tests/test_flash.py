"""`make flash`: PyPI's esptool against a chip's loader; which ports there are.

tests/peer/test_deploy.py has what comes after it.
"""

import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from peer.espressif import FLASH_LEN, Chip
from serial.tools.list_ports_common import ListPortInfo

ROOT = Path(__file__).resolve().parent.parent
MICROPYTHON = Path(os.environ["MODWEBSOCKET_MPY_DIR"])

import device  # noqa: E402

BOARDS = {"ESP8266_GENERIC": ("esp8266", 0), "ESP32_GENERIC": ("esp32", 0x1000)}


@pytest.fixture(params=BOARDS)
def board(request):
    return request.param


@pytest.fixture
def chip(board):
    chip = Chip(BOARDS[board][0])
    yield chip
    chip.close()


@pytest.fixture
def image(board, tmp_path):
    """A file that begins as a firmware image does, half of it dense, not a whole sector long."""
    header = struct.pack("<BBBBI", 0xE9, 1, 2, 0x30, 0x40100000)
    dense = random.Random(board).randbytes(60_000)
    file = tmp_path / "firmware.bin"
    file.write_bytes(header + dense + bytes(range(256)) * 240 + b"the end.")
    return file


def flash(chip, board, image, *words):
    command = [sys.executable, ROOT / "tools/device.py", "flash", "--micropython", MICROPYTHON,
               "--port", chip.port, "--board", board, "--firmware", image, *words]
    return subprocess.run([str(w) for w in command], capture_output=True, text=True, timeout=100,
                          check=False)


def test_flash_holds_the_image_and_nothing_else(chip, board, image):
    done = flash(chip, board, image, "--flash-size", "keep")
    assert done.returncode == 0, done.stdout + done.stderr
    data, offset = image.read_bytes(), BOARDS[board][1]
    assert bytes(chip.flash[offset:offset + len(data)]) == data
    assert set(chip.flash[:offset]) | set(chip.flash[offset + len(data):]) == {0xFF}
    assert chip.erased and chip.baud == 460800 and len(chip.flash) == FLASH_LEN


def test_damaged_byte_is_an_error(chip, board, image):
    chip.damage = BOARDS[board][1] + 50_000
    done = flash(chip, board, image, "--baud", "115200")
    assert done.returncode == 1
    assert "MD5 of file does not match" in done.stdout + done.stderr
    assert "flash: the board does not have the firmware" in done.stderr


@pytest.mark.parametrize("board", ["ESP8266_GENERIC"], indirect=True)
def test_other_chip_than_the_boards_is_an_error(chip, image):
    done = flash(chip, "ESP32_GENERIC", image)
    assert done.returncode == 1
    assert "This chip is ESP8266, not ESP32" in done.stdout + done.stderr
    assert not chip.erased


# The command, without a chip


def command(board, image, **options):
    options = {"baud": 115200, "size": None, **options}
    return device.flash_command("PORT", board, image, MICROPYTHON, **options)


@pytest.mark.parametrize("name, chip_name, offset", [
    ("ESP8266_GENERIC", "esp8266", "0x0"), ("ESP32_GENERIC", "esp32", "0x1000"),
    ("ESP32_GENERIC_S2", "esp32s2", "0x1000"), ("ESP32_GENERIC_S3", "esp32s3", "0x0"),
    ("ESP32_GENERIC_C3", "esp32c3", "0x0"), ("ESP32_GENERIC_C6", "esp32c6", "0x0"),
    ("UM_TINYS3", "esp32s3", "0x0"), ("LOLIN_S2_MINI", "esp32s2", "0x1000"),
])
def test_board_decides_chip_and_offset(name, chip_name, offset, tmp_path):
    image = tmp_path / "image"
    image.write_bytes(b"\xe9")
    words = command(name, image)
    assert words[words.index("--chip") + 1] == chip_name
    assert words[-2:] == [offset, image]
    size = "detect" if chip_name == "esp8266" else "keep"
    assert words[words.index("--flash-size") + 1] == size


def test_what_is_no_image_is_refused(tmp_path):
    page = tmp_path / "firmware.bin"
    page.write_text("<html>")
    with pytest.raises(device.Failure, match="no firmware image"):
        command("ESP32_GENERIC", page)
    with pytest.raises(device.Failure, match="make firmware BOARD=ESP32_GENERIC"):
        command("ESP32_GENERIC", tmp_path / "missing.bin")
    with pytest.raises(device.Failure, match="no board ESP32.*ESP32_GENERIC_C3"):
        command("ESP32", page)


def test_without_a_port_the_candidates_are_listed():
    ports = [ListPortInfo("/dev/ttyUSB1"), ListPortInfo("/dev/ttyACM0")]
    ports[0].description = "CP2102N"
    assert device.ports(ports) == "  PORT=/dev/ttyACM0  n/a\n  PORT=/dev/ttyUSB1  CP2102N"
    for action in ("flash", "deploy", "repl"):
        done = subprocess.run([sys.executable, ROOT / "tools/device.py", action, "--port", ""],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith(f"{action}: which serial port?\n  ")
