"""Every close code that docs/nodemcu.md names is provoked by a real peer, on every target."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from peer.servers import BINARY, CLOSE, FIN, TEXT, Ended, close_payload, frame

ROOT = Path(__file__).resolve().parent.parent.parent

# What a client connects to, a path of the server below or another address; its config; what its
# connection handler does.
CODES = {
    0: ("/close", {}, "ws.close()"),
    -1: ("http://127.0.0.1/", {}, ""),
    -2: ("ws://" + "h" * 256 + "/", {}, ""),
    -3: ("ws://h:65536/", {}, ""),
    -4: ("ws://:80/", {}, ""),
    -5: ("ws://nosuchhost.invalid/", {}, ""),
    -6: ("/bye", {}, ""),
    -7: ("/accept", {}, ""),
    -12: ("/fragments", {}, ""),
    -13: ("/long", {}, ""),
    -15: ("/breach", {}, ""),
    -16: ("/close", {}, "ws.send(big, 2)"),
    -17: ("/status", {}, ""),
    -18: ("/silence", {"connect_timeout_ms": 200}, ""),
    -19: ("/stall", {"ping_interval_ms": 50}, ""),
    -99: ("/eof", {}, ""),
    -109: ("/reset", {}, ""),
}

# Errors of the network behind the other -100 - n, which are documented for completeness.
UNPROVOKED = {
    -101: "out of memory: sockets of the board, in test_no_socket_left_is_minus_101",
    -103: "a timeout of TCP: minutes, and connect_timeout_ms or the pings come first",
    -104: "no route: this machine and the board have one to everywhere",
    -105: "in progress: connect() of a socket that is connecting, which no socket of ours is",
    -108: "aborted: TCP's retries ended: minutes, as above",
    -110: "closed: a write behind the end of TCP, which is read first and is -99",
    -111: "not connected: a socket that never was",
    -112: "bad argument: addresses are checked before",
    -115: "already connected, as in progress",
}

# Of wss://, which test_tls.py provokes.
OF_TLS = (-128, -161)

OF_THE_SERVER = [code for code, (where, _, _) in CODES.items() if where.startswith("/")]

HUGE = 900_000  # bytes: more than the heap has


async def server(wire):
    """A handler: does as the path says."""
    await wire.request()
    path = wire.head.split()[1].decode()
    if path == "/silence":
        await wire.ended()
    elif path == "/status":
        await wire.send(b"HTTP/1.1 404 Not Found\r\n\r\n")
    elif path == "/accept":
        await wire.send(wire.answer(Sec_WebSocket_Accept="no"))
    else:
        await wire.send(wire.answer())
    if path == "/bye":
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))
    elif path == "/fragments":
        await wire.send(frame(BINARY, b"x") + frame(FIN, b"", length=HUGE))
    elif path == "/long":
        await wire.send(frame(FIN | BINARY, b"", length=HUGE))
    elif path == "/breach":
        await wire.send(frame(FIN | 3))
    elif path == "/reset":
        # Later than the answer: lwIP forgets what came with a reset.
        await wire.send(frame(FIN | TEXT, "now"))
        assert await wire.frame() == (TEXT, b"now")
        await wire.drop()
    elif path == "/stall":
        await wire.rest()
    if path in ("/close", "/bye", "/fragments", "/long", "/breach"):
        with suppress(Ended):
            assert (await wire.frame())[0] == CLOSE
            await wire.send(frame(FIN | CLOSE, close_payload(1000)))
    await wire.close()


def documented():
    """The codes of the table in docs/nodemcu.md."""
    text = (ROOT / "docs" / "nodemcu.md").read_text().replace("\u2212", "-")
    table = text.split("## Close codes")[1].split("\n\n")[2]
    rows = re.findall(r"^\| (-?\d+|-100 - n) \| (.*) \|$", table, re.M)
    codes = []
    for code, meaning in rows:
        codes += [int(code)] if code != "-100 - n" else map(int, re.findall(r"-1\d\d", meaning))
    return codes


def test_list_is_complete():
    assert sorted([*CODES, *UNPROVOKED, *OF_TLS]) == sorted(documented())


@pytest.mark.parametrize("code", CODES)
def test_code(serve, run, target, code):
    where, config, opened = CODES[code]
    peer = serve(server)
    if where.startswith("/"):
        where = f"ws://{target.host}:{peer.port}" + where
    assert run(f"""
        big = bytearray({target.fits(200_000, 15_000)})
        ws = client(**{config})
        def is_open(ws):
            {opened or "pass"}
        ws.on("connection", is_open)
        ws.on("receive", lambda ws, message: ws.send(message))
        ws.connect({where!r})
    """, heap="400k") == [f"closed {code}"]
    assert peer.count == (code in OF_THE_SERVER)
    if peer.count:
        peer.result()


@pytest.mark.parametrize("target", ["lx106"], indirect=True)
def test_no_socket_left_is_minus_101(talk):
    script = """
        import socket

        sockets = [socket.socket() for _ in range(5)]
        ws = client()
        def closed(ws, status):
            print("closed", status, ws.errno)
            if sockets:
                while sockets:
                    sockets.pop().close()
                ws.connect(url + "bye")
        ws.on("close", closed)
        ws.connect(url + "bye")
    """
    assert talk(server, script, connects=2) == ["closed -101 12", "open", "closed -6 0"]
