"""Messages, both ways, with servers that others wrote."""

import pytest
from peer.conftest import too_big

SIZES = [0, 1, 125, 126, 4000]
BIG_SIZES = [65535, 65536, 1_000_000]

ECHO = """
    ws = client()
    ws.on("receive", lambda ws, message, opcode: ws.send(message, opcode))
    ws.connect(url)
"""

# Sends a message of its own, says what came back.
ASK = """
    size = int(sys.argv[3])
    if sys.argv[2] == "text":
        message, opcode = "é€𝄞 a" * (size // 11) + "." * (size % 11), 1
    else:
        message, opcode = bytes(i * 7 & 255 for i in range(size)), 2

    def receive(ws, echo, echoed):
        print(type(echo) is type(message), echo == message, echoed == opcode, len(message.encode()
            if opcode == 1 else message))
        ws.close()

    ws = client()
    ws.on("connection", lambda ws: ws.send(message, opcode))
    ws.on("receive", receive)
    ws.connect(url)
"""


def text(size):
    """A text of so many bytes, with characters of every length."""
    return "é€𝄞 a" * (size // 11) + "." * (size % 11)


def binary(size):
    """So many bytes, of every value."""
    return bytes(i * 7 & 255 for i in range(size))


@pytest.mark.parametrize("make", [text, binary])
def test_client_returns_every_size_unchanged(talk, target, kind, make):
    async def server(peer):
        for size in SIZES + target.fits(BIG_SIZES, []):
            message = make(size)
            await peer.send(message)
            echo = await peer.recv()
            assert type(echo) is type(message)
            assert echo == message, size
        await peer.close()

    assert talk(server, ECHO, kind=kind) == ["open", "closed -6"]


@pytest.mark.parametrize("size", [*SIZES, *map(too_big, BIG_SIZES)])
@pytest.mark.parametrize("type_name", ["text", "binary"])
def test_client_sends_every_size_and_gets_it_back(talk, kind, type_name, size):
    async def server(peer):
        message = await peer.recv()
        assert message == (text if type_name == "text" else binary)(size)
        await peer.send(message)
        assert await peer.recv() is None
        assert peer.close_code == 1000

    # The script holds three times a million bytes.
    lines = talk(server, ASK, type_name, size, kind=kind, heap="8M")
    assert lines == [f"True True True {size}", "closed 0"] or lines == [
        "open", f"True True True {size}", "closed 0"]


@pytest.mark.parametrize("type_name", ["text", "binary"])
def test_client_delivers_str_for_text_and_bytes_for_binary(talk, kind, type_name):
    async def server(peer):
        await peer.send("grüße" if type_name == "text" else b"gr\x00\xff")
        await peer.close()

    expected = "receive 1 grüße" if type_name == "text" else "receive 2 b'gr\\x00\\xff'"
    script = """
        ws = client()
        ws.connect(url)
    """
    assert talk(server, script, kind=kind) == ["open", expected, "closed -6"]


def test_client_sends_text_unless_told(talk, kind):
    async def server(peer):
        assert await peer.recv() == "plain"
        assert await peer.recv() == "bytes"
        assert await peer.recv() == b"str"
        await peer.close()

    script = """
        ws = client()
        def opened(ws):
            ws.send("plain")
            ws.send(b"bytes")
            ws.send("str", 2)
        ws.on("connection", opened)
        ws.connect(url)
    """
    assert talk(server, script, kind=kind) == ["closed -6"]


@pytest.mark.parametrize("size", [10, 1000, too_big(5000)])
def test_client_sends_200_back_to_back_in_order(talk, kind, size):
    async def server(peer):
        for i in range(200):
            assert await peer.recv() == f"{i}:" + "x" * size
        await peer.close()

    script = """
        ws = client()
        filling = "x" * int(sys.argv[2])
        i = 0
        def more(ws):
            # As many as are taken; the rest when those have gone.
            global i
            try:
                while i < 200:
                    ws.send(str(i) + ":" + filling)
                    i += 1
            except OSError as e:
                if e.errno != 105:
                    raise
            except MemoryError:
                if sys.platform != "lx106":
                    raise
        ws.on("connection", more)
        ws.on("sent", more)
        ws.connect(url)
    """
    assert talk(server, script, size, kind=kind) == ["closed -6"]


def test_client_receives_200_back_to_back_in_order(talk, kind):
    async def server(peer):
        for i in range(200):
            await peer.send(f"{i}" + "y" * (i * 13 % 3000))
        await peer.close()

    script = """
        ws = client()
        expected = 0
        def receive(ws, message):
            global expected
            assert message == str(expected) + "y" * (expected * 13 % 3000)
            expected += 1
        ws.on("receive", receive)
        ws.on("close", lambda _, status: print("closed", status, expected))
        ws.connect(url)
    """
    assert talk(server, script, kind=kind) == ["open", "closed -6 200"]
