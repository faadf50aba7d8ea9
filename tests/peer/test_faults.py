"""A bad network: late, lossy, reset at any byte, silent, unplugged.  One close event each.

Where a proxy makes the fault it is the same for all targets; on the board Ethernet frames are
lost and its cable is pulled, too.
"""

import asyncio
from contextlib import suppress

import pytest
from peer.servers import BINARY, CLOSE, FIN, PING, TEXT, Ended, close_payload, frame

BYE = frame(FIN | CLOSE, close_payload(1000))
ON_BOARD = pytest.mark.parametrize("target", ["lx106"], indirect=True)

# Connects as often as argv[2] says, again in the close handler. What the first three ends left on
# the heap and of files is compared with what all of them leave: from several depths, as what a
# stack still has of old may keep a connection that is gone.
ROUNDS = """
    import gc
    import os
    import modwebsocket
    from modwebsocket import pump

    left = int(sys.argv[2])
    until = 0
    opened = False
    ws = client(connect_timeout_ms=700, ping_interval_ms=100, close_timeout_ms=300)

    nested = []
    for _ in range(100 if sys.platform == "linux" else 15):
        nested = [nested]

    def leftovers(depth=0):
        str(nested)  # overwrites the stack
        gc.collect()
        files = os.listdir("/proc/self/fd") if sys.platform == "linux" else ()
        found = len(pump._links), len(pump._by_sock), len(files), gc.mem_alloc()
        return min(found, leftovers(depth + 1)) if depth < 6 else found

    def closed(ws, status):
        global left, opened
        print("closed", status, "open" if opened else "-")
        opened = False
        left -= 1
        if left > until:
            ws.connect(url)

    def is_open(ws):
        global opened
        opened = True

    def go():
        global until
        found = []
        for until in (left - 3, 0):
            ws.connect(url)
            modwebsocket.run()
            found.append(leftovers())
        first, last = found
        if last[:3] != first[:3] or last[3] > first[3] + 1000:
            print("leaked", first, last)

    ws.on("connection", is_open)
    ws.on("receive", None)
    ws.on("close", closed)
"""


HEAD_LEN = 129  # of Wire.answer()

# ---- Cut at any byte

FRAMES = (frame(TEXT, "frag") + frame(FIN | PING, b"?") + frame(FIN, "ment")
          + frame(FIN | BINARY, bytes(130)))


async def say_it_all(wire):
    """A handler: opens, sends FRAMES and closes."""
    with suppress(ConnectionError, EOFError):
        await wire.open(FRAMES + BYE)
        await wire.ended()


async def answer_close(wire):
    """A handler: answers the client's close frame."""
    with suppress(ConnectionError, EOFError, Ended):
        await wire.open()
        while (await wire.frame())[0] != CLOSE:
            pass
        await wire.send(BYE)
        await wire.ended()


@pytest.fixture
def rounds(serve, through, run, target):
    """rounds(handler, script, cuts, end) connects once per cut; returns the lines.

    See ROUNDS and Proxy.
    """

    def rounds(handler, script, cuts, end):
        # For a reset lwIP forgets what has just come, and QEMU makes an ordinary end of it.
        pause_s = target.fits(0, 0.1 if end == "reset" else 0.05)
        proxy = through(serve(handler), cuts=cuts, end=end, pause_s=pause_s)
        return run(ROUNDS + script + """
    go()
    """, proxy.url, len(cuts), connects=len(cuts), timeout_s=40)

    return rounds


@pytest.mark.parametrize(("end", "unopened", "opened"), [
    ("reset", -109, -109), ("eof", -99, -99), ("stall", -18, -19),
])
def test_cut_at_any_byte_ends_with_one_event(rounds, target, end, unopened, opened):
    step = 40 if end == "stall" else target.fits(1, 7)
    cuts = [0, *range(1, HEAD_LEN + len(FRAMES) + len(BYE), step), None]
    lines = rounds(say_it_all, "", cuts, end)
    right = [f"closed {opened} open" if cut >= HEAD_LEN else f"closed {unopened} -"
             for cut in cuts[:-1]] + ["closed -6 open"]
    assert [(cut, got) for cut, got, r in zip(cuts, lines, right, strict=True) if got != r] == []


@pytest.mark.parametrize("end", ["reset", "eof", "stall"])
def test_cut_while_closing_is_0(rounds, end):
    cuts = [*range(HEAD_LEN, HEAD_LEN + len(BYE) + 1), None]
    lines = rounds(answer_close, """
    def is_open(ws):
        global opened
        opened = True
        ws.close()
    ws.on("connection", is_open)
    """, cuts, end)
    assert lines == ["closed 0 open"] * len(cuts)


@pytest.mark.parametrize(("end", "status"), [("reset", -109), ("stall", -19)])
def test_cut_while_the_client_sends(rounds, end, status):
    cuts = [HEAD_LEN] * 6 + [None]
    lines = rounds(answer_close, """
    data = bytes(6000)
    def is_open(ws):
        global opened
        opened = True
        ws.send(data, 2)
        ws.send(data, 2)
        if left == 1:
            ws.close()
    ws.on("connection", is_open)
    """, cuts, end)
    assert lines == [f"closed {status} open"] * 6 + ["closed 0 open"]


# ---- Late

ECHO = """
    ws = client(ping_interval_ms=200)
    ws.on("receive", lambda ws, message: ws.send(message))
    ws.connect(url)
"""


async def echo_in_order(peer):
    """A handler of real servers: has five messages echoed at once, then one by one."""
    for i in range(5):
        await peer.send(f"{i}" * 300)
    for i in range(5):
        assert await peer.recv() == f"{i}" * 300
    for i in range(3):
        await peer.send(f"{i}")
        assert await peer.recv() == f"{i}"
    await peer.close()


def test_latency_longer_than_the_ping_interval(serve, through, run, kind):
    server = serve(echo_in_order, kind)
    proxy = through(server, delay_s=0.15)
    assert run(ECHO, proxy.url) == ["open", "closed -6"]
    server.result()


def test_latency_longer_than_the_deadline_is_minus_18(serve, through, run):
    proxy = through(serve(say_it_all), delay_s=0.6)
    lines = run("""
        ws = client(connect_timeout_ms=1000)
        ws.on("close", lambda ws, status: print("closed", status, ws.stage))
        ws.connect(url)
    """, proxy.url)
    assert lines == ["closed -18 http"]


@pytest.fixture
def slow(target):
    """Frames wait up to a tenth of a second, both ways."""
    target.options += ["-object", "filter-buffer,id=slow,netdev=net,interval=100000"]


@ON_BOARD
def test_latency_of_frames(slow, talk, kind):
    assert talk(echo_in_order, ECHO, kind=kind) == ["open", "closed -6"]


@ON_BOARD
def test_close_timeout_does_not_cut_what_a_slow_network_takes(slow, talk):
    async def server(wire):
        await wire.open()
        assert await wire.frame() == (BINARY, bytes(12_000))
        assert await wire.frame() == (CLOSE, close_payload(1000))
        await wire.send(BYE)
        assert await wire.ended() == b""

    script = """
        ws = client(close_timeout_ms=300)
        def opened(ws):
            ws.send(bytes(12_000), 2)
            ws.close()
        ws.on("connection", opened)
        ws.on("close", lambda ws, status: print("closed", status, ws.unsent_len))
        ws.connect(url)
    """
    assert talk(server, script) == ["closed 0 0"]


# ---- Lossy


@ON_BOARD
@pytest.mark.parametrize("every", [7, 12])
def test_lossy_network_loses_and_repeats_no_message(talk, kind, every):
    script = f"""
        import lx106

        lx106.lose({every})
        ws = client(ping_interval_ms=10000)
        ws.on("receive", lambda ws, message: ws.send(message))
        ws.connect(url)
    """
    assert talk(echo_in_order, script, kind=kind, timeout_s=30) == ["open", "closed -6"]


# ---- Unplugged


@ON_BOARD
def test_pulled_cable_ends_the_connection_and_all_attempts(talk, target):
    async def server(wire):
        await wire.open()
        if talk.server.count == 1:
            await asyncio.to_thread(target.plug, False)
            await asyncio.sleep(2)
            await asyncio.to_thread(target.plug, True)
        else:
            await wire.send(BYE)
            await wire.rest()

    # More attempts than there are sockets; the last one lives to see the cable again.
    script = """
        attempts = 8
        ws = client(ping_interval_ms=100)
        def closed(ws, status):
            global attempts
            print("closed", status, ws.stage)
            attempts -= 1
            ws.config({"connect_timeout_ms": 8000 if attempts == 1 else 200})
            if attempts:
                ws.connect(url)
        ws.on("close", closed)
        ws.connect(url)
    """
    assert talk(server, script, connects=8, timeout_s=15) == [
        "open", "closed -19 open", *["closed -18 tcp"] * 6, "open", "closed -6 closing"
    ]


@ON_BOARD
def test_pulled_cable_again_and_again_leaks_no_socket(talk, target):
    async def server(wire):
        await wire.open()
        if talk.server.count < 7:
            await asyncio.to_thread(target.plug, False)
            await asyncio.sleep(0.6)
            await asyncio.to_thread(target.plug, True)
            await asyncio.sleep(1)  # it gives up first, also on a busy machine
        else:
            await wire.send(BYE)
            await wire.rest()

    script = """
        import asyncio

        async def main():
            ended = asyncio.Event()
            ws = client(ping_interval_ms=100, connect_timeout_ms=5000)
            def closed(ws, status):
                print("closed", status)
                ended.set()
            ws.on("close", closed)
            for i in range(7):
                ended.clear()
                ws.connect(url)
                await ended.wait()
                await asyncio.sleep_ms(600)

        asyncio.run(main())
    """
    assert talk(server, script, connects=7, timeout_s=25) == [
        *["open", "closed -19"] * 6, "open", "closed -6"
    ]


@ON_BOARD
def test_cable_plugged_in_again_in_time_loses_nothing(talk, target):
    async def server(wire):
        await wire.open()
        await asyncio.to_thread(target.plug, False)
        await wire.send(frame(FIN | TEXT, "sent while it was out"))
        await asyncio.sleep(0.6)
        await asyncio.to_thread(target.plug, True)
        assert await wire.frame() == (TEXT, b"so was this")
        await wire.send(BYE)
        await wire.rest()

    script = """
        from time import sleep_ms

        ws = client(ping_interval_ms=5000)
        opened = []
        ws.on("connection", opened.append)
        ws.connect(url)
        while not opened:
            sleep_ms(10)
        print("open")
        sleep_ms(400)
        ws.send("so was this")
    """
    assert talk(server, script, timeout_s=20) == [
        "open", "receive 1 sent while it was out", "closed -6"
    ]


@ON_BOARD
def test_close_timeout_ends_what_no_network_takes(talk):
    async def server(wire):
        await wire.open()

    script = """
        import lx106

        ws = client(close_timeout_ms=300)
        def opened(ws):
            lx106.lose(1)
            ws.send(bytes(6000), 2)
            ws.close()
        ws.on("connection", opened)
        ws.on("close", lambda ws, status: print("closed", status, ws.unsent_len > 0))
        ws.connect(url)
    """
    assert talk(server, script, timeout_s=3) == ["closed 0 True"]


@ON_BOARD
def test_ping_is_no_error_while_much_waits(talk):
    async def server(wire):
        await wire.open()
        lengths = []
        while len(lengths) < 2:
            opcode, payload = await wire.frame()
            if opcode == BINARY:
                lengths.append(len(payload))
        assert lengths == [6000, 100]
        await wire.send(BYE)
        await wire.rest()

    script = """
        import lx106
        from time import sleep_ms

        ws = client(ping_interval_ms=2000)
        def opened(ws):
            lx106.lose(1)
            ws.send(bytes(6000), 2)
            ws.send(bytes(100), 2)
        ws.on("connection", opened)
        ws.connect(url)
        sleep_ms(2500)
        lx106.lose(0)
    """
    assert talk(server, script, timeout_s=15) == ["closed -6"]


@ON_BOARD
def test_many_messages_wait_for_the_network(talk):
    async def server(wire):
        await wire.open()
        for i in range(20):
            opcode = None
            while opcode != TEXT:
                opcode, payload = await wire.frame()
            assert payload == b"%d" % i
        await wire.send(BYE)
        await wire.rest()

    # lwIP's write waits once the network has not taken eight short segments; the timer of the
    # background, and a ping that is due, go on meanwhile.
    script = """
        import lx106
        from machine import Timer
        from time import sleep_ms

        opened = False
        def is_open(ws):
            global opened
            print("open")
            opened = True
        ws = client(ping_interval_ms=1000)
        ws.on("connection", is_open)
        ws.connect(url)
        while not opened:
            sleep_ms(10)
        lx106.lose(1)
        Timer(-1).init(mode=Timer.ONE_SHOT, period=1500, callback=lambda _: lx106.lose(0))
        for i in range(20):
            ws.send(str(i))
    """
    assert talk(server, script, timeout_s=15) == ["open", "closed -6"]
