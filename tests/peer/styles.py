"""The same visit to a server in each style, for tests of what all of them share.

`visit(where, say, ping, close, **options)` connects, pings, sends say, closes with a code, each if
it is given, prints every message until the end, and then one line: "ended" with code and cause,
"failed" with the exception, or "refused" with status, text and body. `answer` is a refusal's
headers, or those of the response that keep_response kept.
"""

CALLBACK = """
import sys
import modwebsocket

def visit(where, say=None, ping=False, close=None, **options):
    global answer
    ends = 0
    opened = False
    def handler(event, data):
        nonlocal ends, opened
        if event == 3:
            opened = True
            print("open")
            if ping:
                link.send(b"there?", 9)
            if say:
                link.send(say)
            if close:
                link.close(close)
        elif event < 3:
            print(data)
        elif event == 10:
            print("pong")
        elif event == 5:
            ends += 1
    link = modwebsocket.Link(where, handler, **options)
    modwebsocket.run()
    response = link.response
    answer = response and response.headers
    assert ends == 1, ends
    if opened:
        print("ended", link.code, link.cause)
    elif link.cause in ("http", "handshake"):
        print("refused", link.status, link.text, response.body if response else b"")
    else:
        print("failed", link.text or link.cause)
"""

BLOCKING = """
import sys
import modwebsocket
from modwebsocket.blocking import ConnectionClosed

def visit(where, say=None, ping=False, close=None, **options):
    global answer
    if "connect_timeout_ms" in options:
        options["timeout_ms"] = options.pop("connect_timeout_ms")
    try:
        ws = modwebsocket.connect(where, **options)
    except modwebsocket.HandshakeError as e:
        answer = e.headers
        return print("refused", e.status, e, e.body)
    except OSError as e:
        return print("failed", e.args[-1])
    print("open")
    response = ws.link.response
    answer = response and response.headers
    try:
        if ping and ws.ping() < 5000:
            print("pong")
        if say:
            ws.send(say)
        if close:
            ws.close(close)
        while True:
            print(ws.recv())
    except ConnectionClosed as e:
        print("ended", e.code, e.cause)
"""

AIO = """
import asyncio
import sys
from modwebsocket import HandshakeError, aio, pump

def visit(where, **options):
    asyncio.run(_visit(where, **options))
    assert not pump._links and not pump._by_sock

async def _visit(where, say=None, ping=False, close=None, **options):
    global answer
    try:
        ws = await aio.connect(where, **options)
    except HandshakeError as e:
        answer = e.headers
        return print("refused", e.status, e, e.body)
    except OSError as e:
        return print("failed", e.args[-1])
    print("open")
    answer = ws.response and ws.response.headers
    try:
        if ping and await ws.ping() < 5000:
            print("pong")
        if say:
            await ws.send(say)
        if close:
            await ws.close(close)
        while True:
            print(await ws.recv())
    except aio.ConnectionClosed as e:
        print("ended", e.code, e.cause)
"""

# It tells neither a pong nor a refusal's body, and closes with 1000 only.
NODEMCU = """
import sys
import websocket
from modwebsocket import run

CAUSES = {0: "closed", -6: "peer", -19: "health", -99: "eof", -109: "os"}

def visit(where, say=None, ping=False, close=None, cadata=None, **config):
    ends = 0
    def opened(ws):
        print("open")
        if ping:
            ws.send(b"there?", 9)
            print("pong")
        if say:
            ws.send(say)
        if close:
            ws.send(bytes((close >> 8, close & 255)), 8)
    def closed(ws, status):
        nonlocal ends
        ends += 1
        if ws.stage in ("open", "closing"):
            print("ended", ws.close_code, CAUSES.get(status, status))
        elif status in (-17, -7):
            print("refused", ws.http_status)
        else:
            print("failed", status)
    ws = websocket.createClient()
    ws.on("connection", opened)
    ws.on("receive", lambda ws, message: print(message))
    ws.on("close", closed)
    config["cacert"] = cadata
    ws.config(config)
    ws.connect(where)
    run()
    assert ends == 1, ends
"""

STYLES = {"callback": CALLBACK, "asyncio": AIO, "blocking": BLOCKING, "nodemcu": NODEMCU}
URL = """
url = sys.argv[1] if len(sys.argv) > 1 else None
"""

# For scripts that are written for asyncio and run in the blocking style, too: there they lose
# their `async` and `await`.

ASYNCIO = """
import asyncio
import sys
from modwebsocket import HandshakeError, aio, pump
from modwebsocket.aio import ConnectionClosed

def connect(where, inbox=16, **options):
    return aio.connect(where, max_inbox=inbox, max_inbox_len=inbox * 1000, **options)

def end_of(ws):
    return ws.code, ws.cause

async def rest(ms):
    await asyncio.sleep_ms(ms)

def go(main):
    asyncio.run(main())
"""

WAITING = """
import sys
import time
import modwebsocket
from modwebsocket import HandshakeError, pump
from modwebsocket.blocking import ConnectionClosed

def connect(where, inbox=16, connect_timeout_ms=10000, **options):
    return modwebsocket.connect(where, timeout_ms=connect_timeout_ms, max_unread_len=inbox * 32,
                                **options)

def end_of(ws):
    return ws.link.code, ws.link.cause

def rest(ms):
    end_at = time.ticks_add(time.ticks_ms(), ms)
    while time.ticks_diff(end_at, time.ticks_ms()) > 0:
        modwebsocket.step(1)
        time.sleep_ms(1)

def go(main):
    main()
"""

BOTH = {"asyncio": ASYNCIO, "blocking": WAITING}


def in_style(style, script):
    """A script written for asyncio, in that style, behind what it needs."""
    if style == "blocking":
        script = script.replace("async ", "").replace("await ", "")
    return BOTH[style] + URL + script
