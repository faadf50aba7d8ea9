"""Planted: what only a fuzzer that sees which branches Python takes can find."""


def run(data):
    if len(data) < 5:
        return
    if data[0] ^ 0x5A != 0x21:
        return
    if data[1] + data[0] != 0xF2:
        return
    if data[2] * 3 != 0x99:
        return
    if data[3] >> 1 != 0x2C:
        return
    assert data[4] & 0xF0 != 0xE0, "found"
