"""The device's side of the echo benchmark: runs in MicroPython.

    micropython echo_device.py STYLE CA URL...
    micropython echo_device.py FOLDER/NAME COUNT URL

Sends back what comes from each URL, until that closes. STYLE: callback (a new object for each
message), buffer (a Connection of the engine on a socket of the script's, into one buffer),
asyncio, blocking; raw, for binary messages of 64 KiB: no WebSocket. FOLDER/NAME: echo() of a
client bench_NAME.py, see board.py.
"""

import sys

style, ca = sys.argv[1:3]
urls = sys.argv[3:]


def options(url):
    return {"cadata": ca} if url.startswith("wss:") else {}


BUFFERS = {"rx_len": 65552, "tx_len": 65552}  # a big message fits


def callback(url):
    import modwebsocket

    def handler(event, data):
        if event <= 2:
            link.send(data, event)

    link = modwebsocket.Link(url, handler, **options(url), **BUFFERS)
    modwebsocket.run()
    assert link.cause == "peer", link.cause


def connect(url):
    """A stream, and a Connection that is open."""
    import binascii
    import os
    import socket

    from modwebsocket import handshake
    from modwebsocket.connection import Connection
    from modwebsocket.url import parse

    secure, name, port, path, _ = parse(url)
    stream = socket.socket()
    stream.connect(socket.getaddrinfo(name, port)[0][-1])
    stream.setsockopt(6, 1, 1)
    if secure:
        import tls

        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        with open(ca, "rb") as file:
            context.load_verify_locations(file.read())
        stream = context.wrap_socket(stream, server_hostname=name)
    key = binascii.b2a_base64(os.urandom(16))[:-1]
    conn = Connection(os.urandom(20), **BUFFERS)
    conn.start(handshake.request("%s:%d" % (name, port), path, key), handshake.Response(key))
    conn.flush(stream)
    while not conn.next_event():
        conn.fill(stream)
    conn.codec.attach(stream)
    return stream, conn


def buffer(url):
    from modwebsocket.events import BINARY, CLOSE, FAILED, NONE

    stream, conn = connect(url)
    receive = conn.receive
    readinto = conn.codec.readinto
    send = conn.send_now
    part = buf = memoryview(bytearray(1 << 16))
    event = NONE
    while event != CLOSE and event != FAILED:
        event = receive(stream)
        if NONE < event <= BINARY:
            n = readinto(buf)
            if n != len(part):
                part = buf[:n]
            if send(part, event):
                conn.send(part, event)
                conn.flush(stream)
                conn.codec.attach(stream)
        else:
            event = conn.see_to(event)
    conn.flush(stream)
    assert conn.close_code == 1000
    stream.close()


def raw(url):
    # What MicroPython could reach at best: looks at nothing, and sends the same frame each time.
    import _wscore

    stream, conn = connect(url)
    length, count = int(url.split("/")[4]), int(url.split("/")[7])
    head = length.to_bytes(8, "big")
    key = b"\x12\x34\x56\x78"
    frame = b"\x82\xff" + head + key
    payload = bytearray(b"x" * length)
    _wscore.mask(payload, key, 0)
    frame += payload
    message = bytearray(10 + length)
    into = memoryview(message)[len(conn.codec.read()):]
    for _ in range(count):
        stream.readinto(into)
        stream.write(frame)
        into = message
    stream.readinto(bytearray(4))
    stream.write(b"\x88\x82\0\0\0\0\x03\xe8")
    stream.close()


def tasks(url):
    import asyncio

    from modwebsocket import aio

    async def main():
        async with aio.connect(url, max_inbox=40, max_inbox_len=1 << 18, **options(url),
                               **BUFFERS) as ws:
            opcode = 1 if "/text/" in url else 2
            async for message in ws:
                await ws.send(message, opcode)

    asyncio.run(main())


def blocking(url):
    import modwebsocket

    with modwebsocket.connect(url, max_unread_len=1 << 18, **options(url), **BUFFERS) as ws:
        for message in ws:
            ws.send(message, ws.opcode)


STYLES = {"callback": callback, "buffer": buffer, "raw": raw, "asyncio": tasks,
          "blocking": blocking}
if style in STYLES:
    for url in urls:
        STYLES[style](url)
else:
    folder, name = style.rsplit("/", 1)
    sys.path.insert(0, folder)
    __import__("bench_" + name).echo(urls[0], int(ca))
