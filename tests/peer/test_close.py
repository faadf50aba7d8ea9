"""The end of a connection: who ends it, how, and the status that tells."""

import asyncio
import socket

import pytest
from peer.servers import CLOSE, FIN, PING, TEXT, close_payload, frame

VALID = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 4999]

LISTEN = """
    ws = client()
    ws.on("close", lambda ws, status: print(
        "closed", status, ws.close_code, '[%s]' % ws.close_reason, ws.stage))
    ws.connect(url)
"""

# Closes as soon as it is open; a second call does nothing.
CLOSE_AT_ONCE = """
    ws = client(close_timeout_ms=300)
    def opened(ws):
        ws.close()
        ws.close()
    ws.on("connection", opened)
    ws.connect(url)
"""


# ---- The server closes


@pytest.mark.parametrize("code", VALID)
def test_server_close_gives_code_and_reason(talk, kind, code):
    async def server(peer):
        await peer.close(code, "weil … ")
        assert peer.close_code == code

    assert talk(server, LISTEN, kind=kind) == ["open", f"closed -6 {code} [weil … ] closing"]


def test_server_close_without_code_is_1005(talk):
    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | CLOSE))
        assert await wire.rest() == [(CLOSE, b"")]

    assert talk(server, LISTEN) == ["open", "closed -6 1005 [] closing"]


def test_client_waits_a_bounded_time_for_tcp_to_end(talk):
    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | CLOSE, close_payload(1001)))
        # The client may end TCP by itself; a server that does not do so must not hold it.
        assert await wire.rest() == [(CLOSE, close_payload(1001))]

    script = """
        ws = client(close_timeout_ms=200)
        ws.connect(url)
    """
    assert talk(server, script, timeout_s=5) == ["open", "closed -6"]


def test_close_frame_behind_message_is_heard(talk):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, "last") + frame(FIN | CLOSE, close_payload(1001)))
        await wire.close()

    assert talk(server, LISTEN) == ["open", "receive 1 last", "closed -6 1001 [] closing"]


def test_nothing_is_delivered_behind_close_frame(talk):
    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | CLOSE, close_payload(1000)) + frame(FIN | TEXT, "late"))
        assert await wire.rest() == [(CLOSE, close_payload(1000))]

    assert talk(server, LISTEN) == ["open", "closed -6 1000 [] closing"]


# ---- The client closes: status 0 on every path


def test_close_is_0_when_server_answers(talk, kind):
    async def server(peer):
        assert await peer.recv() is None
        assert peer.close_code == 1000

    assert talk(server, CLOSE_AT_ONCE, kind=kind) == ["closed 0"]


@pytest.mark.not_on("lx106", "100 kB do not fit")
def test_close_sends_one_close_frame_behind_what_was_sent(talk):
    async def server(wire):
        await wire.open()
        assert await wire.frame() == (TEXT, b"x" * 100_000)
        assert await wire.frame() == (TEXT, b"last")
        assert await wire.frame() == (CLOSE, close_payload(1000))
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))
        assert await wire.rest() == []

    script = """
        ws = client()
        def opened(ws):
            ws.send("x" * 100_000)
            ws.send("last")
            ws.close()
            ws.close()
        ws.on("connection", opened)
        ws.connect(url)
    """
    assert talk(server, script) == ["closed 0"]


def test_close_is_0_when_server_never_answers(talk):
    async def server(wire):
        await wire.open()
        assert await wire.rest() == [(CLOSE, close_payload(1000))]

    assert talk(server, CLOSE_AT_ONCE, timeout_s=5) == ["closed 0"]


def test_close_timeout_is_as_long_as_it_says(talk):
    async def server(wire):
        await wire.open()
        assert await wire.frame() == (CLOSE, close_payload(1000))
        loop = asyncio.get_running_loop()
        start = loop.time()
        assert await wire.rest() == []
        assert 0.9 < loop.time() - start < 1.5

    script = """
        ws = client(close_timeout_ms=1000)
        ws.on("connection", lambda ws: ws.close())
        ws.connect(url)
    """
    assert talk(server, script, timeout_s=5) == ["closed 0"]


def test_close_timeout_is_not_stretched_by_data(talk):
    async def server(wire):
        await wire.open()
        await wire.frame()
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            for i in range(100):
                await wire.send(frame(FIN | (PING if i & 1 else TEXT), b"more"))
                await asyncio.sleep(0.03)
        except ConnectionError:
            pass
        assert loop.time() - start < 2

    lines = talk(server, CLOSE_AT_ONCE, timeout_s=8)
    assert lines == ["closed 0"]


@pytest.mark.parametrize("how", ["close", "drop"])
def test_close_is_0_when_server_ends_tcp_instead(talk, how):
    async def server(wire):
        await wire.open()
        await wire.frame()
        await getattr(wire, how)()

    assert talk(server, CLOSE_AT_ONCE) == ["closed 0"]


def test_close_is_0_when_server_closed_at_the_same_time(talk):
    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | TEXT, "go") + frame(FIN | CLOSE, close_payload(1001)))
        assert await wire.rest() == [(CLOSE, close_payload(1000))]

    script = """
        ws = client(close_timeout_ms=300)
        ws.on("receive", lambda ws: ws.close())
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "closed 0"]


def test_close_is_0_in_receive_handler(talk, kind):
    async def server(peer):
        await peer.send("hello")
        assert await peer.recv() is None
        assert peer.close_code == 1000

    script = """
        ws = client()
        ws.on("receive", lambda ws: ws.close())
        ws.connect(url)
    """
    assert talk(server, script, kind=kind) == ["open", "closed 0"]


def test_close_in_receive_handler_drops_later_messages(talk):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, "1") + frame(FIN | TEXT, "2") + frame(FIN | TEXT, "3"))
        assert await wire.frame() == (CLOSE, close_payload(1000))
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))
        assert await wire.rest() == []

    script = """
        ws = client()
        def receive(ws, message):
            print("receive", message)
            ws.close()
        ws.on("receive", receive)
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "receive 1", "closed 0"]


def test_close_is_0_before_dns(talk):
    async def server(wire):
        raise AssertionError("the client connected")

    script = """
        ws = client()
        ws.connect(url)
        ws.close()
        print("back")
        ws.close()
    """
    assert talk(server, script) == ["back", "closed 0"]
    assert talk.server.count == 0


def test_close_is_0_before_dns_of_name(run):
    lines = run("""
        ws = client()
        ws.connect("ws://nosuchhost.invalid/")
        ws.close()
    """)
    assert lines == ["closed 0"]


# Closes after the time in argv[2], from another client's timer.
CLOSE_LATER = """
    import asyncio

    async def main():
        ws = client()
        ws.connect(url)
        while ws._link.stage != sys.argv[2]:
            await asyncio.sleep_ms(10)
        await asyncio.sleep_ms(100)
        print("close")
        ws.close()
        await asyncio.sleep_ms(100)

    asyncio.run(main())
"""


def test_close_is_0_during_tcp_connect(run, black_hole):
    lines = run(CLOSE_LATER, black_hole, "tcp", timeout_s=5)
    assert lines == ["close", "closed 0"]


def test_close_is_0_during_upgrade(talk):
    async def server(wire):
        await wire.request()
        # No answer, and no frame comes: there is no WebSocket yet.
        assert await wire.ended() == b""

    assert talk(server, CLOSE_LATER, "http", timeout_s=5) == ["close", "closed 0"]


def test_close_of_idle_client_does_nothing(run):
    lines = run("""
        ws = client()
        print(ws.close())
    """, connects=0)
    assert lines == ["None"]


def test_close_after_close_event_does_nothing(talk, kind):
    async def server(peer):
        await peer.close()

    script = """
        ws = client()
        def closed(ws, status):
            print("closed", status)
            ws.close()
            ws.close()
        ws.on("close", closed)
        ws.connect(url)
    """
    assert talk(server, script, kind=kind) == ["open", "closed -6"]


# ---- The connection drops


def test_end_of_tcp_without_close_frame_is_minus_99(talk):
    async def server(wire):
        await wire.open()
        await wire.close()

    assert talk(server, LISTEN) == ["open", "closed -99 1006 [] open"]


def test_end_of_tcp_within_frame_is_minus_99(talk):
    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | TEXT, "whole") + frame(FIN | TEXT, "part", length=100))
        await wire.close()

    assert talk(server, LISTEN) == ["open", "receive 1 whole", "closed -99 1006 [] open"]


def test_drop_of_real_server_ends(talk, kind):
    async def server(peer):
        await peer.drop()

    lines = talk(server, LISTEN, kind=kind)
    assert lines in (["open", "closed -99 1006 [] open"], ["open", "closed -109 1006 [] open"])


def test_reset_is_minus_109(talk):
    async def server(wire):
        await wire.open()
        await asyncio.sleep(0.1)
        await wire.drop()

    script = """
        ws = client()
        ws.on("close", lambda ws, status: print("closed", status, ws.errno, ws.stage))
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "closed -109 104 open"]


@pytest.mark.not_on("lx106", "QEMU's network makes an ordinary end of some resets")
def test_reset_that_the_answer_to_a_ping_hears_is_minus_109(talk):
    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | TEXT, "wait") + frame(FIN | PING))
        assert await wire.frame() == (TEXT, b"waiting")
        await wire.drop()

    script = """
        from time import sleep_ms

        ws = client()
        def receive(ws):
            ws.send("waiting")
            sleep_ms(200)
        ws.on("receive", receive)
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "closed -109"]


@pytest.mark.not_on("lx106", "lwIP reports a refused port as errno 104")
def test_refused_port_is_minus_109(run):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        lines = run("""
            ws = client()
            ws.on("close", lambda ws, status: print("closed", status, ws.errno, ws.stage))
            ws.connect(url)
            print("later")
        """, f"ws://127.0.0.1:{bound.getsockname()[1]}/")
    assert lines == ["later", "closed -109 111 tcp"]


def test_unknown_host_is_minus_5(run):
    lines = run("""
        ws = client()
        ws.on("close", lambda ws, status: print("closed", status, ws.stage))
        ws.connect("ws://nosuchhost.invalid/")
        print("later")
    """)
    assert lines == ["later", "closed -5 dns"]


# ---- Silence


def test_silence_in_tcp_connect_is_minus_18(run, black_hole):
    lines = run("""
        ws = client(connect_timeout_ms=200)
        ws.on("close", lambda ws, status: print("closed", status, ws.stage))
        ws.connect(url)
    """, black_hole, timeout_s=5)
    assert lines == ["closed -18 tcp"]


@pytest.mark.parametrize("part", ["", "HTTP/1.1 101 Swi", "HTTP/1.1 101 OK\r\nUpgrade: web"])
def test_silence_in_upgrade_is_minus_18(talk, part):
    async def server(wire):
        await wire.request()
        await wire.send(part.encode())
        assert await wire.ended() == b""

    script = """
        ws = client(connect_timeout_ms=1000)
        ws.on("close", lambda ws, status: print("closed", status, ws.stage))
        ws.connect(url)
    """
    assert talk(server, script, timeout_s=5) == ["closed -18 http"]


def test_dripping_upgrade_does_not_stretch_the_deadline(talk):
    async def server(wire):
        await wire.request()
        try:
            for byte in b"HTTP/1.1 101 OK\r\n" + b"X: y\r\n" * 100:
                await wire.send(bytes((byte,)))
                await asyncio.sleep(0.02)
        except ConnectionError:
            return
        raise AssertionError("the client did not give up")

    script = """
        ws = client(connect_timeout_ms=1000)
        ws.connect(url)
    """
    assert talk(server, script, timeout_s=8) == ["closed -18"]


def test_stall_is_minus_19_after_two_pings(talk):
    async def server(wire):
        await wire.open()
        loop = asyncio.get_running_loop()
        start = loop.time()
        frames = await wire.rest()
        assert [opcode for opcode, _ in frames] == [PING, PING]
        assert 0.25 < loop.time() - start < 2

    script = """
        ws = client(ping_interval_ms=100)
        ws.connect(url)
    """
    assert talk(server, script, timeout_s=5) == ["open", "closed -19"]


@pytest.mark.parametrize("count", [0, 1, 4])
def test_as_many_pings_may_stay_unanswered_as_was_said(talk, count):
    async def server(wire):
        await wire.open()
        assert [opcode for opcode, _ in await wire.rest()] == [PING] * count

    script = """
        from modwebsocket import Link, run
        link = Link(url, lambda event, data: None, ping_interval_ms=100)
        link.max_unanswered_pings = int(sys.argv[2])
        run()
        print("closed", link.cause)
    """
    assert talk(server, script, count, timeout_s=5) == ["closed health"]


def test_any_byte_puts_the_pings_off(talk):
    async def server(wire):
        await wire.open()
        # Bytes of one frame count as much as whole frames do.
        for byte in frame(FIN | TEXT, b"twelve bytes"):
            await wire.send(bytes((byte,)))
            await asyncio.sleep(0.05)
        pings = await wire.rest()
        assert [opcode for opcode, _ in pings] == [PING, PING]

    script = """
        ws = client(ping_interval_ms=200)
        ws.connect(url)
    """
    assert talk(server, script, timeout_s=8) == ["open", "receive 1 twelve bytes", "closed -19"]


def test_answered_pings_keep_the_connection(talk, kind):
    async def server(peer):
        waiting = asyncio.ensure_future(peer.recv())
        await asyncio.sleep(0.6)
        assert not waiting.done()
        await peer.send("still here")
        assert await waiting == "still here"
        await peer.close()

    script = """
        ws = client(ping_interval_ms=50)
        ws.on("receive", lambda ws, m: ws.send(m))
        ws.connect(url)
    """
    assert talk(server, script, kind=kind) == ["open", "closed -6"]


def test_interval_0_sends_no_pings(talk):
    async def server(wire):
        await wire.open()
        await asyncio.sleep(0.3)
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))
        assert await wire.rest() == [(CLOSE, close_payload(1000))]

    script = """
        ws = client(ping_interval_ms=0)
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "closed -6"]
