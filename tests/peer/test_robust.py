"""What a review found: handlers that raise, busy scripts, full buffers, a reluctant server."""

import asyncio
from contextlib import suppress

import pytest
from peer.conftest import too_big
from peer.servers import BINARY, CLOSE, FIN, PING, TEXT, close_payload, frame

BYE = frame(FIN | CLOSE, close_payload(1000))
BIG = 8_000_000  # more than the buffers of the systems at both ends hold
BOARD_BIG = 6000  # more than the board's own takes at once
HEAP = "16m"  # for a script that has as much

# Serves until there is nothing to serve, by itself or as a task.
SERVE = """
        if sys.argv[-1] == "asyncio":
            import asyncio

            async def main():
                start()
                while left:
                    await asyncio.sleep_ms(5)
            asyncio.run(main())
        else:
            start()
"""

# Stands before a script.
BIG_BYTES = """
    big = bytes(int(sys.argv[2]))
"""

not_on_the_board = pytest.mark.not_on(
    "lx106", "the network around it takes megabytes: test_faults.py stalls it otherwise"
)


async def say_hello(wire):
    """A handler: sends a message and closes."""
    await wire.open()
    await wire.send(frame(FIN | TEXT, "hello") + BYE)
    await wire.rest()


async def data_len(wire):
    """Bytes of all data frames, which a close frame must follow; that is answered."""
    total = 0
    while True:
        opcode, payload = await wire.frame()
        if opcode == CLOSE:
            assert payload == close_payload(1000)
            await wire.send(BYE)
            assert await wire.rest() == []
            return total
        if opcode != PING:
            total += len(payload)


# ---- Handlers that raise


@pytest.mark.parametrize("within", ["", "asyncio"])
def test_raising_close_handler_behind_a_reset_is_reported(serve, run, within):
    dropped = asyncio.Event()

    async def first_handler(wire):
        await wire.open()
        assert await wire.frame() == (TEXT, b"both are open")
        await wire.drop()
        dropped.set()

    async def second_handler(wire):
        await wire.open()
        await dropped.wait()
        await asyncio.sleep(0.1)
        await wire.send(frame(FIN | TEXT, "go on"))
        assert await wire.frame() == (TEXT, b"go on")
        await wire.send(BYE)
        await wire.rest()

    first, second = serve(first_handler), serve(second_handler)
    lines = run("""
        left = 2
        one, two = client(), client()
        def closed(ws, status):
            global left
            left -= 1
            print("closed", status)
            if ws is one:
                raise ValueError("mine")
        one.on("close", closed)
        two.on("close", closed)
        two.on("receive", lambda ws, message: ws.send(message))
        one.on("connection", lambda: two.connect(sys.argv[2]))
        two.on("connection", lambda: one.send("both are open"))
        def start():
            one.connect(sys.argv[1])
    """ + SERVE, first.url, second.url, within, connects=2, errors=True)
    first.result()
    second.result()
    assert lines == ["closed -109", "closed -6"]
    assert run.result.errors.count("ValueError: mine") == 1
    assert run.result.errors.count("Traceback") == 1


@pytest.mark.parametrize("within", ["", "asyncio"])
def test_raising_close_handler_behind_a_failed_dial_is_reported(serve, run, within):
    server = serve(say_hello)
    lines = run("""
        import socket

        left = 2
        sockets = []
        one, two = client(), client(connect_timeout_ms=1000)
        def closed(ws, status):
            global left
            left -= 1
            print("closed", "one" if ws is one else status)
            if ws is one:
                while sockets:
                    sockets.pop().close()
                two.connect(sys.argv[1])
                raise ValueError("mine")
        one.on("close", closed)
        two.on("close", closed)
        def start():
            if sys.platform == "lx106":
                # It sends such a packet like any other, but all its sockets are in use.
                sockets.extend(socket.socket() for _ in range(5))
            one.connect("ws://255.255.255.255:1/")
    """ + SERVE, server.url, within, connects=2, errors=True)
    assert lines == ["closed one", "open", "receive 1 hello", "closed -6"]
    assert run.result.errors.count("ValueError: mine") == 1
    assert run.result.errors.count("Traceback") == 1


@pytest.mark.parametrize("flooded_first", [True, False])
def test_raising_handler_of_a_flooded_link_starves_no_other(serve, run, flooded_first):
    both_open = asyncio.Event()

    async def flooding(wire):
        await wire.open()
        await both_open.wait()
        with suppress(ConnectionError):
            while True:
                await wire.send(frame(FIN | TEXT, "hello") * 1000)

    async def modest(wire):
        await wire.open()
        assert await wire.frame() == (TEXT, b"both are open")
        both_open.set()
        await asyncio.sleep(0.05)
        for i in range(20):
            await wire.send(frame(FIN | TEXT, str(i)))
            assert await wire.frame() == (TEXT, str(i).encode())
        await wire.send(BYE)
        await wire.rest()

    flood, modesty = serve(flooding), serve(modest)
    lines = run(f"""
        flooded, modest = client(close_timeout_ms=100), client()
        def fail(ws):
            raise ValueError("mine")
        flooded.on("receive", fail)
        modest.on("receive", lambda ws, message: ws.send(message))
        def closed(ws, status):
            print("closed", status, "modest")
            flooded.close()
        modest.on("close", closed)
        if {flooded_first}:
            flooded.on("connection", lambda: modest.connect(sys.argv[2]))
            modest.on("connection", lambda ws: ws.send("both are open"))
            flooded.connect(sys.argv[1])
        else:
            modest.on("connection", lambda: flooded.connect(sys.argv[1]))
            flooded.on("connection", lambda: modest.send("both are open"))
            modest.connect(sys.argv[2])
    """, flood.url, modesty.url, connects=2, errors=True)
    modesty.result()
    flood.result()
    assert lines == ["closed -6 modest", "closed 0"]


def test_raising_handler_does_not_cut_the_closing(talk, target):
    size = target.fits(BIG, BOARD_BIG)

    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | TEXT, "go"))
        await asyncio.sleep(0.3)
        assert await data_len(wire) == size

    script = BIG_BYTES + """
    ws = client()
    def receive(ws):
        ws.send(big, 2)
        ws.close()
        raise ValueError("mine")
    ws.on("receive", receive)
    ws.connect(url)
    """
    assert talk(server, script, size, heap=HEAP, errors=True) == ["open", "closed 0"]
    assert talk.result.errors.count("ValueError: mine") == 1


@pytest.mark.parametrize("within", ["", "asyncio"])
@pytest.mark.parametrize("call", ["step(10)", "run()"])
def test_step_and_run_in_a_handler_are_refused(serve, run, call, within):
    async def server(wire):
        await wire.open()
        assert await wire.frame() == (TEXT, b"both are open")
        await wire.send(frame(FIN | TEXT, "go"))
        assert await wire.frame() == (TEXT, b"refused")
        await wire.send(BYE)
        await wire.rest()

    first, second = serve(server), serve(server)
    lines = run(f"""
        from modwebsocket import run, step

        left = 2
        one, two = client(), client()
        def closed(ws, status):
            global left
            left -= 1
            print("closed", status)
        def receive(ws):
            try:
                {call}
            except RuntimeError:
                ws.send("refused")
            raise OSError(107)
        for ws in one, two:
            ws.on("close", closed)
            ws.on("receive", receive)
        one.on("connection", lambda: two.connect(sys.argv[2]))
        def opened(ws):
            one.send("both are open")
            two.send("both are open")
        two.on("connection", opened)
        def start():
            one.connect(sys.argv[1])
    """ + SERVE, first.url, second.url, within, connects=2, errors=True)
    first.result()
    second.result()
    assert lines == ["closed -6", "closed -6"]
    assert run.result.errors.count("Traceback") == 2


# ---- Who serves


def test_reconnect_in_close_handler_while_asyncio_is_only_imported(talk):
    script = """
        import asyncio

        left = 3
        ws = client(connect_timeout_ms=5000)
        def closed(ws, status):
            global left
            print("closed", status)
            left -= 1
            if left:
                ws.connect(url)
        ws.on("close", closed)
        ws.connect(url)
    """
    assert talk(say_hello, script, connects=3) == ["open", "receive 1 hello", "closed -6"] * 3


def test_step_serves_while_asyncio_is_only_imported(talk):
    script = """
        import asyncio
        from modwebsocket import step

        ws = client(connect_timeout_ms=5000)
        ws.connect(url)
        while step(100):
            pass
        ws.connect(url)
        while step(100):
            pass
        print("last line")
    """
    lines = ["open", "receive 1 hello", "closed -6"]
    assert talk(say_hello, script, connects=2) == [*lines, *lines, "last line"]


def test_run_behind_an_asyncio_loop_leaks_no_task(talk, target):
    async def server(wire):
        await wire.open()
        await data_len(wire)

    script = """
        import asyncio
        import gc

        count = 0
        last = int(sys.argv[2])
        ws = client()
        def sent(ws):
            global count, before
            count += 1
            if count == 50:
                gc.collect()
                before = gc.mem_alloc()
            if count < last:
                ws.send("x")
            else:
                gc.collect()
                print("leaked" if gc.mem_alloc() - before > 16 * last else "the same")
                ws.close()
        ws.on("sent", sent)
        ws.on("connection", lambda ws: ws.send("x"))

        async def main():
            ws.connect(url)

        asyncio.run(main())
    """
    # On the board each takes a turn of the timer.
    assert talk(server, script, target.fits(600, 150)) == ["the same", "closed 0"]


# ---- Keep-alive


def test_busy_script_does_not_lose_the_connection(talk, kind):
    async def server(peer):
        assert await peer.recv() == "still open"
        await peer.close()

    script = """
        import time
        from modwebsocket import step

        ws = client(ping_interval_ms=200)
        opened = False
        def is_open(ws):
            global opened
            print("open")
            opened = True
        ws.on("connection", is_open)
        ws.connect(url)
        while not opened:
            step(100)
        time.sleep_ms(700)
        start = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), start) < 500:
            step(100)
        ws.send("still open")
    """
    assert talk(server, script, kind=kind) == ["open", "closed -6"]


@not_on_the_board
def test_ping_is_no_error_while_much_waits(talk):
    async def server(wire):
        await wire.open()
        # Longer than one interval, shorter than three.
        await asyncio.sleep(1.5)
        await wire.send(frame(FIN | TEXT, "hello"))
        await asyncio.sleep(0.5)
        lengths = []
        while len(lengths) < 2:
            opcode, payload = await wire.frame()
            if opcode == BINARY:
                lengths.append(len(payload))
        assert lengths == [BIG, 100_000]
        await wire.send(BYE)
        await wire.rest()

    script = BIG_BYTES + """
    ws = client(ping_interval_ms=1000)
    def opened(ws):
        ws.send(big, 2)
        ws.send(bytes(100_000), 2)
    ws.on("connection", opened)
    ws.connect(url)
    """
    assert talk(server, script, BIG, heap=HEAP) == ["receive 1 hello", "closed -6"]


# ---- Closing while something waits


@pytest.mark.parametrize("size", [5, BOARD_BIG, too_big(300_000)])
def test_sent_handler_does_not_cut_the_closing(talk, size):
    async def server(wire):
        await wire.open()
        assert await wire.frame() == (TEXT, b"x" * size)
        assert await wire.frame() == (CLOSE, close_payload(1000))
        # The client waits for the answer.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await wire.reader.read(1)
        await wire.send(BYE)
        assert await wire.rest() == []

    script = f"""
        ws = client()
        ws.on("sent", lambda: None)
        def opened(ws):
            ws.send("x" * {size})
            ws.close()
        ws.on("connection", opened)
        ws.connect(url)
    """
    assert talk(server, script) == ["closed 0"]


CLOSE_BEHIND_BIG = """
    ws = client(close_timeout_ms=1000)
    def opened(ws):
        ws.send(big, 2)
        ws.close()
    ws.on("connection", opened)
    ws.on("close", lambda ws, status: print("closed", status, ws.unsent_len > 0))
    ws.connect(url)
"""


@not_on_the_board
def test_close_timeout_does_not_cut_what_a_slow_server_reads(talk):
    async def server(wire):
        await wire.open()
        head = 2 + 8 + 4
        left = head + BIG + 2 + 4 + 2  # and the close frame
        while left:
            data = await wire.reader.read(65536)
            assert data, f"{left} bytes are missing"
            left -= len(data)
            await asyncio.sleep(0.01)
        await wire.send(BYE)
        assert await wire.ended() == b""

    assert talk(server, BIG_BYTES + CLOSE_BEHIND_BIG, BIG, heap=HEAP) == ["closed 0 False"]


@not_on_the_board
def test_close_timeout_ends_what_a_server_never_reads(talk):
    async def server(wire):
        await wire.open()
        await asyncio.sleep(3)

    lines = talk(server, BIG_BYTES + CLOSE_BEHIND_BIG, BIG, heap=HEAP)
    assert lines == ["closed 0 True"]


def test_sent_comes_for_what_was_sent_while_something_waited(talk, target):
    size = target.fits(BIG, BOARD_BIG)

    async def server(wire):
        await wire.open()
        await asyncio.sleep(0.2)
        assert len((await wire.frame())[1]) == size
        assert await wire.frame() == (TEXT, b"last")
        await asyncio.sleep(0.2)
        await wire.send(BYE)
        await wire.rest()

    script = BIG_BYTES + """
    ws = client()
    def opened(ws):
        ws.send(big, 2)
        ws.on("sent", lambda: print("sent"))
        ws.send("last")
    ws.on("connection", opened)
    ws.connect(url)
    """
    assert talk(server, script, size, heap=HEAP) == ["sent", "closed -6"]


def test_empty_messages_cannot_wait_without_end(talk, target):
    async def server(wire):
        await wire.open()
        await asyncio.sleep(0.5)

    script = BIG_BYTES + """
    from errno import ENOBUFS

    ws = client(close_timeout_ms=100)
    def opened(ws):
        ws.send(big, 2)
        try:
            for _ in range(10_000):
                ws.send("")
        except OSError as e:
            print("full" if e.errno == ENOBUFS else "ended")
        ws.close()
    ws.on("connection", opened)
    ws.connect(url)
    """
    size = target.fits(BIG, BOARD_BIG)
    assert talk(server, script, size, heap=HEAP) == target.fits(
        ["full", "closed 0"], ["ended", "closed -16"]  # its heap is smaller than the queue
    )


@pytest.mark.parametrize("attempt_first", [True, False])
def test_close_by_a_handler_wins_over_a_101_that_is_already_here(serve, run, attempt_first):
    answered = asyncio.Event()
    go = asyncio.Event()

    async def attempted(wire):
        await wire.request()
        await go.wait()
        await wire.send(wire.answer())
        answered.set()
        await wire.ended()

    async def closing(wire):
        await wire.open()
        assert await wire.frame() == (TEXT, b"go")
        go.set()
        await answered.wait()
        await wire.send(frame(FIN | TEXT, "close the other") + BYE)
        await wire.rest()

    attempt, closer = serve(attempted), serve(closing)
    lines = run(f"""
        import time
        from modwebsocket import Link, step

        link = None
        def attempt():
            global link
            link = Link(sys.argv[1], lambda event, data: None, close_timeout_ms=200)
            while link.stage != "http":
                step(10)

        def opened(ws):
            global is_open
            is_open = True
        is_open = False
        ws = client()
        ws.on("connection", opened)
        ws.on("receive", lambda: link.close())
        if {attempt_first}:
            attempt()
        ws.connect(sys.argv[2])
        while not is_open:
            step(10)
        if not {attempt_first}:
            attempt()
        ws.send("go")
        # Both have something to read before the next turn.
        time.sleep_ms(200)
        while step(100):
            pass
        print(link.cause)
    """, attempt.url, closer.url)
    closer.result()
    attempt.result()
    assert lines == ["closed -6", "closed"]


def test_send_behind_the_end_is_refused(talk):
    async def server(wire):
        await wire.open()
        await wire.close()

    script = """
        from errno import ENOTCONN
        from modwebsocket import Link, step

        def send():
            try:
                link.send("late")
            except OSError as e:
                print("refused" if e.errno == ENOTCONN else e)

        def handler(event, data):
            if event == 5:
                print("closed", link.cause)
                send()

        link = Link(url, handler)
        while step(100):
            pass
        send()
    """
    assert talk(server, script) == ["closed eof", "refused", "refused"]


# ---- Response headers


def test_long_header_of_the_response_is_taken(talk):
    async def server(wire):
        await wire.request()
        await wire.send(wire.answer(Set_Cookie="x" * 3000, X_Last="1"))
        await wire.send(BYE)
        await wire.rest()

    assert talk(server, "client().connect(url)") == ["open", "closed -6"]


@pytest.mark.parametrize("headers", [
    {"Set_Cookie": "x" * 8192},
    {f"X_{i}": "x" * 900 for i in range(10)},
])
def test_too_long_headers_of_the_response_are_minus_7(talk, headers):
    async def server(wire):
        await wire.request()
        with suppress(ConnectionError):
            await wire.send(wire.answer(**headers))
        assert await wire.ended() == b""

    assert talk(server, "client().connect(url)") == ["closed -7"]
