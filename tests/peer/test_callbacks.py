"""Handlers: what they are called with, what they may call, what their errors do."""

import asyncio

import pytest
from peer.servers import BINARY, CLOSE, FIN, TEXT, close_payload, frame

BYE = frame(FIN | CLOSE, close_payload(1000))


async def say_hello(wire):
    """A handler: sends a message and closes."""
    await wire.open()
    await wire.send(frame(FIN | TEXT, "hello") + BYE)
    await wire.rest()


async def echo_and_close(wire):
    """A handler: sends one message back and closes."""
    await wire.open()
    opcode, payload = await wire.frame()
    await wire.send(frame(FIN | opcode, payload) + BYE)
    await wire.rest()


# ---- Arguments


@pytest.mark.parametrize(("event", "arguments"), [
    ("connection", ""), ("connection", "ws"),
    ("receive", ""), ("receive", "ws"), ("receive", "ws, m"), ("receive", "ws, m, opcode"),
    ("close", ""), ("close", "ws"), ("close", "ws, status"),
    ("connection", "*args"), ("receive", "*args"), ("close", "*args"),
    ("connection", "ws=None"), ("receive", "ws=0, m=0, opcode=0, more=0"), ("close", "_, s=7"),
])
def test_handler_may_take_fewer_arguments(talk, event, arguments):
    script = f"""
        ws = websocket.createClient()
        ws.on("close", lambda _, status: print("closed", status))
        if "{event}" == "close":
            ws.on("close", lambda {arguments}: print("closed", "handler"))
        else:
            ws.on("{event}", lambda {arguments}: print("handler"))
        ws.connect(url)
    """
    expected = ["closed handler"] if event == "close" else ["handler", "closed -6"]
    assert talk(say_hello, script) == expected


def test_handler_gets_the_client_first(talk):
    script = """
        ws = websocket.createClient()
        def check(this, *args):
            print(this is ws, *args)
        ws.on("connection", check)
        ws.on("receive", check)
        ws.on("sent", check)
        ws.on("close", lambda this, *args: print("closed", this is ws, *args))
        ws.connect(url)
    """
    assert talk(say_hello, script) == ["True", "True hello 1", "closed True -6"]


def test_sent_handler_may_take_no_arguments(talk):
    script = """
        ws = client()
        ws.on("connection", lambda: ws.send("x"))
        ws.on("sent", lambda: print("sent"))
        ws.connect(url)
    """
    assert talk(echo_and_close, script) == ["sent", "receive 1 x", "closed -6"]


def test_methods_and_built_ins_are_handlers(talk):
    script = """
        class Device:
            def opened(self, ws):
                print("opened", self.__class__.__name__)
            def receive(self, ws, message):
                print("receive", message)
        device = Device()
        ws = client()
        ws.on("connection", device.opened)
        ws.on("receive", device.receive)
        ws.on("sent", print)
        ws.connect(url)
    """
    assert talk(say_hello, script) == ["opened Device", "receive hello", "closed -6"]


def test_handler_keeps_its_argument_count(talk):
    async def server(wire):
        await wire.open()
        for _ in range(5):
            await wire.send(frame(FIN | TEXT, "x"))
        await wire.send(BYE)
        await wire.rest()

    script = """
        count = 0
        def receive(ws, m):
            global count
            count += 1
        ws = client()
        ws.on("receive", receive)
        ws.on("close", lambda ws, status: print("closed", status, count))
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "closed -6 5"]


@pytest.mark.parametrize("arguments", ["", "ws", "ws, m", "ws, m, opcode"])
@pytest.mark.parametrize("body", ["1 + ''", "int()()", "fewer(1, 2)", "raise TypeError('mine')"])
def test_type_error_within_handler_is_not_a_wrong_count(talk, arguments, body):
    script = f"""
        def fewer(one):
            pass
        def receive({arguments}):
            print("receive")
            {body}
        ws = client()
        ws.on("receive", receive)
        ws.connect(url)
    """
    assert talk(say_hello, script, errors=True) == ["open", "receive", "closed -6"]
    assert talk.result.errors.count("TypeError") == 1


def test_handler_that_takes_more_arguments_is_an_error(talk):
    script = """
        ws = client()
        ws.on("receive", lambda a, b, c, d: print("never"))
        ws.connect(url)
    """
    assert talk(say_hello, script, errors=True) == ["open", "closed -6"]
    assert "TypeError" in talk.result.errors


# ---- Errors


@pytest.mark.parametrize("event", ["connection", "receive", "sent", "close"])
@pytest.mark.parametrize("error", ["ValueError('mine')", "OSError(104)", "MemoryError()",
                                   "StopIteration()", "ZeroDivisionError()"])
def test_error_of_handler_is_printed_and_the_connection_goes_on(talk, event, error):
    script = f"""
        ws = client()
        ws.on("connection", lambda: ws.send("x"))
        def fail(*args):
            print("closed" if "{event}" == "close" else "{event}", *args[1:])
            if "{event}" == "connection":
                ws.send("x")
            raise {error}
        ws.on("{event}", fail)
        ws.connect(url)
    """
    lines = talk(echo_and_close, script, errors=True)
    assert talk.result.errors.count(error.split("(")[0]) == 1
    expected = {
        "connection": ["connection", "receive 1 x", "closed -6"],
        "receive": ["receive x 1", "closed -6"],
        "sent": ["sent", "receive 1 x", "closed -6"],
        "close": ["receive 1 x", "closed -6"],
    }
    assert lines == expected[event]


# ---- on()


@pytest.mark.parametrize("event", ["connection", "receive", "close", "sent"])
def test_handler_is_unregistered_by_none(talk, event):
    script = f"""
        ws = client()
        ws.on("{event}", lambda *args: print("never"))
        ws.on("{event}", None)
        ws.on("{event}", None)
        ws.connect(url)
    """
    lines = talk(say_hello, script, connects=0 if event == "close" else 1)
    full = {"connection": "open", "receive": "receive 1 hello", "close": "closed -6"}
    assert lines == [line for e, line in full.items() if e != event]


def test_no_handler_at_all(talk):
    script = """
        websocket.createClient().connect(url)
    """
    assert talk(say_hello, script, connects=0) == []


def test_last_handler_counts(talk):
    script = """
        ws = client()
        ws.on("receive", lambda: print("first"))
        ws.on("receive", lambda: print("second"))
        ws.connect(url)
    """
    assert talk(say_hello, script) == ["open", "second", "closed -6"]


def test_handlers_may_be_changed_in_handlers(talk):
    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | TEXT, "1") + frame(FIN | TEXT, "2") + frame(FIN | TEXT, "3")
                        + frame(FIN | TEXT, "4") + BYE)
        await wire.rest()

    script = """
        ws = client()
        def first(ws, m):
            print("first", m)
            ws.on("receive", second)
        def second(ws, m):
            print("second", m)
            ws.on("receive", None)
            ws.on("close", lambda ws, status: print("closed", status, "changed"))
        def opened(ws):
            print("open")
            ws.on("receive", first)
        ws.on("connection", opened)
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "first 1", "second 2", "closed -6 changed"]


@pytest.mark.parametrize(("call", "error"), [
    ("ws.on('message', print)", "ValueError"),
    ("ws.on('', print)", "ValueError"),
    ("ws.on('Receive', print)", "ValueError"),
    ("ws.on('receive', 1)", "TypeError"),
    ("ws.on('receive', 'print')", "TypeError"),
])
def test_on_refuses(run, call, error):
    lines = run(f"""
        ws = client()
        try:
            {call}
        except {error} as e:
            print(e)
        ws.connect("")
    """)
    assert len(lines) == 2
    if error == "ValueError":
        assert "invalid option" in lines[0]
    else:
        assert "function or nil" in lines[0]


# ---- Calls in handlers


@pytest.mark.parametrize("end", ["close", "drop", "refuse"])
def test_connect_in_close_handler(talk, end):
    async def server(wire):
        if end == "refuse":
            await wire.request()
            await wire.send(b"HTTP/1.1 503 Busy\r\n\r\n")
            await wire.ended()
        else:
            await wire.open()
            if end == "close":
                await wire.send(BYE)
                await wire.rest()

    script = """
        ws = client()
        left = 3
        def closed(ws, status):
            global left
            print("closed", status)
            if left:
                left -= 1
                ws.connect(url)
        ws.on("close", closed)
        ws.connect(url)
    """
    status = {"close": -6, "drop": -99, "refuse": -17}[end]
    opened = [] if end == "refuse" else ["open"]
    assert talk(server, script, connects=4) == [*opened, f"closed {status}"] * 4
    assert talk.server.count == 4


def test_connect_in_close_handler_after_own_close(talk, kind):
    async def server(peer):
        await peer.recv()
        assert peer.close_code == 1000

    script = """
        ws = client()
        left = 3
        def closed(ws, status):
            global left
            print("closed", status)
            if left:
                left -= 1
                ws.connect(url)
        ws.on("connection", lambda ws: ws.close())
        ws.on("close", closed)
        ws.connect(url)
    """
    assert talk(server, script, kind=kind, connects=4) == ["closed 0"] * 4


def test_connect_in_close_handler_of_malformed_url(talk):
    script = """
        ws = client()
        def closed(ws, status):
            print("closed", status)
            if status == -1:
                ws.connect(url)
                print("connecting")
        ws.on("close", closed)
        ws.connect("malformed")
        print("returned")
    """
    assert talk(say_hello, script, connects=2) == [
        "closed -1", "connecting", "returned", "open", "receive 1 hello", "closed -6"
    ]


def test_dropped_reference_lives_on(talk):
    async def server(wire):
        await wire.open()
        await asyncio.sleep(0.1)
        await wire.send(frame(FIN | TEXT, "hello") + BYE)
        await wire.rest()

    script = """
        import gc
        ws = client()
        def opened(this):
            global ws
            print("open")
            ws = None
            gc.collect()
        ws.on("connection", opened)
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "receive 1 hello", "closed -6"]


def test_send_in_receive_handler_keeps_the_order(talk):
    async def server(wire):
        await wire.open()
        for i in range(20):
            await wire.send(frame(FIN | TEXT, str(i)))
        for i in range(20):
            assert await wire.frame() == (TEXT, b"a%d" % i)
            assert await wire.frame() == (BINARY, b"b%d" % i * 500)
        await wire.send(BYE)
        await wire.rest()

    script = """
        ws = client()
        def receive(ws, m):
            ws.send("a" + m)
            ws.send(("b" + m) * 500, 2)
        ws.on("receive", receive)
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "closed -6"]


# ---- Wrong state, wrong argument


@pytest.mark.parametrize("when", ["idle", "connecting", "closing", "closed"])
def test_send_raises_unless_open(talk, when):
    script = f"""
        def attempt():
            try:
                ws.send("x")
            except OSError as e:
                print(e.errno, e.args[1])
        ws = client()
        if "{when}" == "idle":
            attempt()
        def opened(ws):
            if "{when}" == "closing":
                ws.close()
                attempt()
        ws.on("connection", opened)
        ws.connect(url)
        if "{when}" == "connecting":
            attempt()
        def closed(ws, status):
            if "{when}" == "closed":
                attempt()
            print("closed", status)
        ws.on("close", closed)
    """

    async def server(wire):
        await wire.open()
        if when != "closing":
            await wire.send(BYE)
        frames = await wire.rest() if when != "closing" else [await wire.frame()]
        assert frames == [(CLOSE, close_payload(1000))]

    status = 0 if when == "closing" else -6
    assert talk(server, script) == ["107 Websocket isn't connected.", f"closed {status}"]


@pytest.mark.parametrize("when", ["connecting", "open", "closing"])
def test_connect_raises_until_closed(talk, when):
    script = f"""
        def attempt():
            try:
                ws.connect(url)
            except OSError as e:
                print(e.errno, e.args[1])
        ws = client()
        def opened(ws):
            if "{when}" == "open":
                attempt()
            elif "{when}" == "closing":
                ws.close()
                attempt()
        ws.on("connection", opened)
        ws.connect(url)
        if "{when}" == "connecting":
            attempt()
    """

    async def server(wire):
        await wire.open()
        if when != "closing":
            await wire.send(BYE)
        await wire.frame()

    status = 0 if when == "closing" else -6
    assert talk(server, script) == [
        "106 Websocket already connecting or connected.", f"closed {status}"
    ]
    assert talk.server.count == 1


@pytest.mark.parametrize(("call", "error"), [
    ("ws.send(b'\\xff')", "ValueError"),
    ("ws.send(b'\\xed\\xa0\\x80')", "ValueError"),
    ("ws.send('x', 0)", "ValueError"),
    ("ws.send('x', 3)", "ValueError"),
    ("ws.send('x', 11)", "ValueError"),
    ("ws.send('x', 16)", "ValueError"),
    ("ws.send('x', 129)", "ValueError"),
    ("ws.send('x', -1)", "ValueError"),
    ("ws.send('x', 1 << 29)", "ValueError"),
    ("ws.send('x', 1 << 40)", "(ValueError, OverflowError)"),
    ("ws.send('x', 1 << 70)", "(ValueError, OverflowError)"),
    ("ws.send('x', None)", "TypeError"),
    ("ws.send('x', '1')", "TypeError"),
    ("ws.send('x', 1.0)", "TypeError"),
    ("ws.send(None)", "TypeError"),
    ("ws.send(1)", "TypeError"),
    ("ws.send(['x'])", "TypeError"),
    ("ws.send()", "TypeError"),
    ("ws.send('x' * 126, 9)", "ValueError"),
    ("ws.send('x' * 126, 10)", "ValueError"),
    ("ws.send(b'\\x03', 8)", "ValueError"),
    ("ws.send(b'\\x03\\xed', 8)", "ValueError"),
    ("ws.send(b'\\x03\\xe8\\xff', 8)", "ValueError"),
    ("ws.send(b'\\x03\\xe8' + b'x' * 124, 8)", "ValueError"),
    ("ws.send(None, 8)", "TypeError"),
])
def test_send_refuses_and_sends_nothing(talk, call, error):
    async def server(wire):
        await wire.open()
        assert await wire.frame() == (TEXT, b"good")
        await wire.send(BYE)
        assert await wire.rest() == [(CLOSE, close_payload(1000))]

    script = f"""
        ws = client()
        def opened(ws):
            try:
                {call}
                print("taken")
            except {error}:
                print("refused")
            ws.send("good")
        ws.on("connection", opened)
        ws.connect(url)
    """
    assert talk(server, script) == ["refused", "closed -6"]
