"""What a server must not do: each ends with the status, and with the close frame, that says so."""

import pytest
from peer.servers import BINARY, CLOSE, FIN, MASK, PING, PONG, TEXT, close_payload, frame

RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10

LISTEN = """
    ws = client(close_timeout_ms=2000)
    ws.on("close", lambda ws, status: print("closed", status, ws.close_code))
    ws.connect(url)
"""

PROTOCOL = {
    "masked-text": bytes((FIN | TEXT, MASK | 2)) + b"\0\0\0\0hi",
    "masked-empty": bytes((FIN | TEXT, MASK)) + b"\0\0\0\0",
    "masked-close": bytes((FIN | CLOSE, MASK)) + b"\0\0\0\0",
    "rsv1": frame(FIN | RSV1 | TEXT, "hi"),
    "rsv2": frame(FIN | RSV2 | TEXT, "hi"),
    "rsv3": frame(FIN | RSV3 | BINARY, "hi"),
    "rsv-ping": frame(FIN | RSV1 | PING, "hi"),
    "opcode-3": frame(FIN | 3, "hi"),
    "opcode-7": frame(FIN | 7, "hi"),
    "opcode-11": frame(FIN | 11, "hi"),
    "opcode-15": frame(FIN | 15, "hi"),
    "continuation-of-nothing": frame(FIN, "hi"),
    "first-continuation-of-nothing": frame(0, "hi"),
    "continuation-behind-pong": frame(FIN | PONG) + frame(FIN, "hi"),
    "text-within-text": frame(TEXT, "a") + frame(FIN | TEXT, "b"),
    "binary-within-text": frame(TEXT, "a") + frame(BINARY, "b"),
    "fragment-of-ping": frame(PING, "hi"),
    "fragment-of-close": frame(CLOSE, close_payload(1000)),
    "ping-of-126": frame(FIN | PING, b"x" * 126),
    "pong-of-126": frame(FIN | PONG, b"x" * 126),
    "close-of-126": frame(FIN | CLOSE, close_payload(1000, "x" * 124)),
    "ping-with-16-bit-length": bytes((FIN | PING, 126, 0, 1)) + b"x",
    "16-bit-length-125": bytes((FIN | TEXT, 126, 0, 125)) + b"x" * 125,
    "64-bit-length-125": bytes((FIN | TEXT, 127, 0, 0, 0, 0, 0, 0, 0, 125)) + b"x" * 125,
    "64-bit-length-65535": bytes((FIN | TEXT, 127, 0, 0, 0, 0, 0, 0, 255, 255)),
    "length-2-to-63": bytes((FIN | TEXT, 127, 128, 0, 0, 0, 0, 0, 0, 0)),
    "close-of-1": frame(FIN | CLOSE, b"\x03"),
    **{
        f"close-code-{code}": frame(FIN | CLOSE, close_payload(code))
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}

UTF8 = {
    "stray": frame(FIN | TEXT, b"a\x80"),
    "overlong": frame(FIN | TEXT, b"\xc0\xaf"),
    "surrogate": frame(FIN | TEXT, b"\xed\xa0\x80"),
    "above-10ffff": frame(FIN | TEXT, b"\xf4\x90\x80\x80"),
    "cut": frame(FIN | TEXT, b"a\xe2\x82"),
    "cut-by-fragments": frame(TEXT, b"a\xe2") + frame(FIN, b"\x82"),
    "across-fragments": frame(TEXT, b"a\xe2") + frame(FIN, b"b"),
    "first-fragment": frame(TEXT, b"\xff"),
    "in-long-message": frame(FIN | TEXT, b"x" * 5000 + b"\xff" + b"x" * 5000),
    "close-reason": frame(FIN | CLOSE, b"\x03\xe8\xff"),
    "close-reason-cut": frame(FIN | CLOSE, b"\x03\xe8a\xc3"),
    # At the first byte that cannot be right, whatever is still to come.
    "before-the-end": frame(FIN | TEXT, b"a\xff", length=1000),
    "before-the-end-of-long": frame(FIN | TEXT, b"x" * 3000 + b"\xff", length=100_000),
}


def refused(talk, data, code, status):
    """Sends data to a client, which must answer with one close frame of this code."""

    async def server(wire):
        await wire.open()
        await wire.send(data)
        opcode, payload = await wire.frame()
        assert (opcode, payload[:2]) == (CLOSE, close_payload(code))
        await wire.close()

    lines = talk(server, LISTEN)
    assert lines == ["open", f"closed {status} 1006"]


@pytest.mark.parametrize("name", PROTOCOL)
def test_breach_of_protocol_is_minus_15(talk, name):
    refused(talk, PROTOCOL[name], 1002, -15)


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.not_on("lx106", "no memory for so long a message"))
    if name == "before-the-end-of-long" else name for name in UTF8])
def test_text_that_is_not_utf8_is_minus_15(talk, name):
    refused(talk, UTF8[name], 1007, -15)


def test_messages_before_the_breach_are_delivered_and_none_after(talk):
    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | TEXT, "one") + frame(FIN | TEXT, "two")
                        + frame(FIN | 3) + frame(FIN | TEXT, "three"))
        assert (await wire.frame())[1][:2] == close_payload(1002)
        await wire.close()

    assert talk(server, LISTEN) == ["open", "receive 1 one", "receive 1 two", "closed -15 1006"]


def test_client_ends_if_server_ignores_the_close_frame(talk):
    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | 3))
        frames = await wire.rest()
        assert [opcode for opcode, _ in frames] == [CLOSE]

    script = """
        ws = client(close_timeout_ms=200)
        ws.connect(url)
    """
    assert talk(server, script, timeout_s=5) == ["open", "closed -15"]


def test_client_ends_if_server_floods_behind_the_breach(talk):
    async def server(wire):
        await wire.open()
        try:
            await wire.send(frame(FIN | 3))
            for _ in range(100_000):
                await wire.send(b"\xff" * 10_000)
        except ConnectionError:
            return
        raise AssertionError("the client read it all")

    script = """
        ws = client(close_timeout_ms=200)
        ws.connect(url)
    """
    assert talk(server, script, timeout_s=8) == ["open", "closed -15"]


# ---- Too big


@pytest.mark.parametrize("data", [
    frame(FIN | TEXT, "x" * 101),
    frame(FIN | BINARY, b"", length=101),
    frame(FIN | BINARY, b"", length=1 << 62),
    frame(FIN | TEXT, b"", length=1 << 32),
    frame(TEXT, "x" * 60) + frame(FIN, "x" * 41),
    frame(TEXT, "x" * 100) + frame(0, "") + frame(0, "x"),
], ids=["one", "announced", "2-to-62", "2-to-32", "two", "three"])
def test_message_above_the_limit_is_minus_13(talk, data):
    async def server(wire):
        await wire.open()
        await wire.send(data)
        opcode, payload = await wire.frame()
        assert (opcode, payload[:2]) == (CLOSE, close_payload(1009))
        await wire.close()

    script = """
        ws = client(max_message_len=100)
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "closed -13"]


@pytest.mark.parametrize("data", [
    frame(FIN | TEXT, "x" * 100),
    frame(TEXT, "x" * 60) + frame(0, "") + frame(FIN | PING, "y" * 50) + frame(FIN, "x" * 40),
], ids=["one", "fragments"])
def test_message_at_the_limit_is_delivered(talk, data):
    async def server(wire):
        await wire.open()
        await wire.send(data + frame(FIN | CLOSE, close_payload(1000)))
        await wire.rest()

    script = """
        ws = client(max_message_len=100)
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "receive 1 " + "x" * 100, "closed -6"]


@pytest.mark.not_on("lx106", "a mebibyte does not fit")
def test_limit_of_a_mebibyte_is_the_default(talk):
    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | BINARY, bytes(1 << 20)))
        assert await wire.frame() == (TEXT, b"1048576")
        await wire.send(frame(FIN | BINARY, length=(1 << 20) + 1))
        assert (await wire.frame())[1][:2] == close_payload(1009)
        await wire.close()

    script = """
        ws = client()
        ws.on("receive", lambda ws, message: ws.send(str(len(message))))
        ws.connect(url)
    """
    assert talk(server, script, heap="4M") == ["open", "closed -13"]


def test_real_server_hears_1009(talk, kind):
    async def server(peer):
        await peer.send("x" * 101)
        assert await peer.recv() is None
        assert peer.close_code == 1009

    script = """
        ws = client(max_message_len=100)
        ws.connect(url)
    """
    assert talk(server, script, kind=kind) == ["open", "closed -13"]
