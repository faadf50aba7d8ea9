"""What serves in the background on a chip, on this machine: a timer and socket events of ours.

The emulated board has both for real; here a test chooses which of them come, and when.
"""

import asyncio
import textwrap

import pytest
from peer.servers import BINARY, CLOSE, FIN, TEXT, close_payload, frame

BYE = frame(FIN | CLOSE, close_payload(1000))

# A chip's `machine.Timer`, and sockets with the option 20, whose callbacks MicroPython's scheduler
# runs wherever the script's code jumps.
CHIP = """
import io
import select
import socket as real
import sys
from micropython import schedule
from time import sleep_ms, ticks_add, ticks_diff, ticks_ms

url, events, ids = sys.argv[1], sys.argv[2], eval(sys.argv[3])
begins_slowly = False
running = []  # timers
sockets = []

class Timer:
    PERIODIC = 7

    def __init__(self, id):
        if id not in ids:
            raise ValueError("invalid Timer number")
        self.id = id

    def init(self, mode, period, callback):
        assert mode == self.PERIODIC and 0 < period < 100 and self not in running
        self.period = period
        self.callback = callback
        self.at = ticks_add(ticks_ms(), period)
        running.append(self)
        if len(running) == 1:
            schedule(interrupt, None)

    def deinit(self):
        running.remove(self)

class Socket(io.IOBase):
    def __init__(self, *args):
        self.sock = real.socket(*args)
        self.poller = select.poll()
        self.poller.register(self.sock)
        self.callback = None
        sockets.append(self)

    def setsockopt(self, level, option, value):
        if option == 20:
            self.callback = value
        else:
            self.sock.setsockopt(level, option, value)

    def setblocking(self, flag):
        self.sock.setblocking(flag)

    def connect(self, address):
        self.sock.connect(address)

    def close(self):
        sockets.remove(self)
        self.sock.close()

    def readinto(self, buf):
        try:
            return self.sock.readinto(buf)
        except OSError as e:
            return -e.errno

    def write(self, data):
        try:
            return self.sock.write(data)
        except OSError as e:
            return -e.errno

    def ioctl(self, request, wanted):
        if request != 3:
            return -22
        self.poller.modify(self.sock, wanted)
        for _, ready in self.poller.ipoll(0):
            return ready
        return 0

def interrupt(_):
    if running:
        schedule(interrupt, None)
    if begins_slowly and pump._links and pump._links[-1].stage == "dns":
        sleep_ms(3)  # another one's handler
    for timer in list(running):
        if events == "all" or ticks_diff(timer.at, ticks_ms()) <= 0:
            timer.at = ticks_add(ticks_ms(), timer.period)
            timer.callback(timer)
    for sock in list(sockets):
        # lwIP tells of what came, not of a connection that stands or room to write.
        if sock.callback and (events == "all" or events == "some" and sock.ioctl(3, 1)):
            sock.callback(sock)

class Module:
    pass

machine = sys.modules["machine"] = Module()
machine.Timer = Timer
socket = sys.modules["socket"] = Module()
socket.socket = Socket
for name in dir(real):
    if name != "socket":
        setattr(socket, name, getattr(real, name))

import modwebsocket
import websocket
from modwebsocket import Link, pump

def until(done, ms=8000):
    # A script that does something else.
    end = ticks_add(ticks_ms(), ms)
    while not done():
        assert ticks_diff(end, ticks_ms()) > 0, "nothing came"

def client():
    ws = websocket.createClient()
    ws.on("connection", lambda ws: print("open"))
    ws.on("receive", lambda ws, m: print("receive", m))
    ws.on("close", lambda ws, status: print("closed", status))
    return ws

def over():
    return not pump._links
"""

# Which events of sockets come: none, those that lwIP tells of, all the time for any.
EVENTS = ["none", "some", "all"]


@pytest.fixture
def talk(serve, unix):
    """talk(handler, script) runs a script on a "chip" against a server; returns its lines.

    events: see EVENTS. ids: the timers that there are. errors: whether it prints tracebacks.
    """

    def talk(handler, script, *args, events="some", ids=(-1,), errors=False):
        server = serve(handler)
        text = CHIP + textwrap.dedent(script)
        talk.result = unix.run(text, server.url, events, repr(ids), *args, timeout_s=30)
        for i in range(server.count):
            server.result(i)
        assert talk.result.status == 0 and bool(talk.result.errors) == errors, talk.result
        return talk.result.lines

    return talk


async def say_hello(wire):
    """A handler: sends a message and closes."""
    await wire.open()
    await wire.send(frame(FIN | TEXT, "hello") + BYE)
    await wire.rest()


@pytest.mark.parametrize("events", EVENTS)
def test_conversation_with_events_lost_or_in_excess(talk, events):
    # More than the network takes at once, so that the socket has to become writable again.
    size = 300_000

    async def server(wire):
        await wire.open()
        for i in range(50):
            await wire.send(frame(FIN | TEXT, str(i)))
            assert await wire.frame() == (TEXT, b"%d" % i)
        await asyncio.sleep(0.1)
        await wire.send(frame(FIN | TEXT, "big"))
        assert await wire.frame() == (BINARY, bytes(size))
        await wire.send(BYE)
        await wire.rest()

    assert talk(server, """
        big = bytes(int(sys.argv[4]))
        ws = client()
        ws.on("receive", lambda ws, m: ws.send(big, 2) if m == "big" else ws.send(m))
        ws.connect(url)
        until(over)
        print(len(running), len(sockets))
    """, size, events=events) == ["open", "closed -6", "0 0"]


@pytest.mark.parametrize("events", EVENTS)
def test_handler_that_raises_is_reported_and_the_rest_goes_on(talk, events):
    async def server(wire):
        await wire.open()
        await wire.send(b"".join(frame(FIN | TEXT, str(i)) for i in range(6)))
        assert await wire.frame() == (TEXT, b"last")
        await wire.send(BYE)
        await wire.rest()

    assert talk(server, """
        def receive(ws, message):
            print(message)
            if message == "5":
                ws.send("last")
            raise (ValueError, KeyboardInterrupt, SystemExit)[int(message) % 3]("mine")
        def closed(ws, status):
            print("closed", status)
            raise ValueError("mine")
        ws = client()
        ws.on("receive", receive)
        ws.on("close", closed)
        ws.connect(url)
        until(over)
        print(len(running))
    """, events=events, errors=True) == ["open", *"012345", "closed -6", "0"]
    for error, count in ("ValueError", 3), ("KeyboardInterrupt", 2), ("SystemExit", 2):
        assert talk.result.errors.count(f"{error}: mine") == count, talk.result


def test_timer_is_taken_while_there_is_a_connection(talk):
    lines = talk(say_hello, """
        print(running)
        for _ in range(2):
            one, two = client(), client()
            one.connect(url)
            first = running[0]
            two.connect(url)
            assert running == [first]
            until(over)
            print(running)
    """)
    assert [line for line in lines if line == "[]"] == ["[]"] * 3
    assert lines.count("closed -6") == 4


@pytest.mark.parametrize("events", EVENTS)
def test_connect_again_in_the_close_handler(talk, events):
    assert talk(say_hello, """
        left = 3
        def closed(ws, status):
            global left
            print("closed", status)
            left -= 1
            if left:
                ws.connect(url)
        ws = client()
        ws.on("close", closed)
        ws.connect(url)
        until(over)
        print(running)
    """, events=events) == ["open", "receive hello", "closed -6"] * 3 + ["[]"]


@pytest.mark.parametrize("events", EVENTS)
def test_connections_made_before_asyncio_runs(talk, events):
    lines = talk(say_hello, """
        import asyncio
        async def main():
            while pump._links:
                await asyncio.sleep_ms(5)
        for _ in range(2):
            for _ in range(2):
                client().connect(url)
            asyncio.run(main())
        print(running)
    """, events=events)
    assert sorted(lines) == ["[]", *["closed -6"] * 4, *["open"] * 4, *["receive hello"] * 4]


def test_timer_goes_on_for_a_connection_that_is_made_as_the_last_one_ends(talk):
    assert talk(say_hello, """
        def now():
            # It ends here, where the timer is no longer looked for.
            if pump._adopting and pump._exposed:
                pump.ticks_ms = ticks_ms
                running[0].callback(running[0])
                assert not pump._links
            return ticks_ms()
        ws = client()
        ws.connect(url)
        ws.close()
        pump.ticks_ms = now
        client().connect(url)
        until(over)
        print(pump.ticks_ms is ticks_ms, running)
    """, events="none") == ["closed 0", "open", "receive hello", "closed -6", "True []"]


def test_hardware_timer_is_the_one_that_was_chosen(talk):
    # An ESP32 has no virtual ones.
    assert talk(say_hello, """
        client().connect(url)
        print(running)
        modwebsocket.run()
        pump.timer_id = 2
        client().connect(url)
        print([timer.id for timer in running])
        until(over)
        pump.timer_id = None
        client().connect(url)
        print(running)
        modwebsocket.run()
    """, ids=(0, 1, 2, 3)) == [
        "[]", "open", "receive hello", "closed -6",
        "[2]", "open", "receive hello", "closed -6",
        "[]", "open", "receive hello", "closed -6"]




@pytest.mark.parametrize("style", ["link", "client"])
def test_handler_is_called_when_whoever_connects_has_the_connection(talk, style):
    async def greet(wire):
        await wire.open(frame(FIN | TEXT, "hello") + BYE)
        await wire.rest()

    lines = talk(greet, f"""
        begins_slowly = True

        def connect(url):
            global it, got
            got = []
            if {style == "link"}:
                def happened(event, data):
                    got.append(data if event == 1 else event)
                    if event == 5:
                        got.append(it.cause)
                it = Link(url, happened)
            else:
                it = websocket.createClient()
                it.on("connection", lambda: got.append(3))
                it.on("receive", lambda ws, m: got.append(m))
                it.on("close", lambda ws, status: got.append(status))
                it.connect(url)
            until(over)
            print(got)
            it = None

        for _ in range(3):
            connect("ws://127.0.0.1:1/")
            connect(url)
    """, events="all")
    one = (["[5, 'os']", "[3, 'hello', 5, 'peer']"] if style == "link"
           else ["[-109]", "[3, 'hello', -6]"])
    assert lines == one * 3
