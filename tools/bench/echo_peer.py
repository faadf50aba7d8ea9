"""One side of the echo benchmark in CPython: the server, or a client of PyPI.

    echo_peer.py server                                    prints its port
    echo_peer.py CLIENT URL LEN COUNT WINDOW               prints seconds and messages

CLIENT: websockets, aiohttp, picows or picows-uvloop. Binary messages (text if LEN is negative)
of LEN bytes, WINDOW of them in flight.
"""

import asyncio
import sys
import time

import aiohttp
import picows
import uvloop
from websockets.sync.client import connect

TEXT_OR_BINARY = (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY)


class Echo(picows.WSListener):
    """The server: sends back what came."""

    def on_ws_frame(self, transport, frame):
        """Echo a message, answer a close frame."""
        if frame.msg_type in TEXT_OR_BINARY:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()


async def serve():
    """Echo for ever."""
    server = await picows.ws_create_server(lambda request: Echo(), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def websockets(url, message, count, window):
    """The threaded client: the fastest that `websockets` has."""
    with connect(url, compression=None, max_size=None) as ws:
        began = time.perf_counter()
        for _ in range(window):
            ws.send(message)
        for i in range(count):
            echo = ws.recv()
            if i + window < count:
                ws.send(message)
        seconds = time.perf_counter() - began
    assert echo == message
    return seconds


async def aiohttp_(url, message, count, window):
    """aiohttp's client."""
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url, max_msg_size=0) as ws:
            send = ws.send_str if isinstance(message, str) else ws.send_bytes
            began = time.perf_counter()
            for _ in range(window):
                await send(message)
            for i in range(count):
                echo = (await ws.receive()).data
                if i + window < count:
                    await send(message)
            seconds = time.perf_counter() - began
    assert echo == message
    return seconds


class Client(picows.WSListener):
    """picows's client; each message is made a Python object, as the others do."""

    def __init__(self, message, count, window):
        self.is_text = isinstance(message, str)
        self.kind = TEXT_OR_BINARY[0 if self.is_text else 1]
        self.message = message.encode() if self.is_text else message
        self.to_send = count - window
        self.to_come = count
        self.window = window

    def on_ws_connected(self, transport):
        """Fill the window."""
        self.began = time.perf_counter()
        for _ in range(self.window):
            transport.send(self.kind, self.message)

    def on_ws_frame(self, transport, frame):
        """Take an echo, send the next."""
        if self.is_text:
            self.echo = frame.get_payload_as_utf8_text()
        else:
            self.echo = frame.get_payload_as_bytes()
        self.to_come -= 1
        if self.to_send > 0:
            self.to_send -= 1
            transport.send(self.kind, self.message)
        elif not self.to_come:
            self.seconds = time.perf_counter() - self.began
            transport.disconnect()


async def picows_(url, message, count, window):
    """picows's client on the running loop."""
    client = Client(message, count, window)
    transport, _ = await picows.ws_connect(lambda: client, url)
    await transport.wait_disconnected()
    return client.seconds


def main():
    """Run what the arguments say."""
    name = sys.argv[1]
    if name == "server":
        uvloop.run(serve())
        return
    url = sys.argv[2]
    length, count, window = (int(a) for a in sys.argv[3:6])
    message = "x" * -length if length < 0 else b"x" * length
    if name == "websockets":
        seconds = websockets(url, message, count, window)
    elif name == "aiohttp":
        seconds = asyncio.run(aiohttp_(url, message, count, window))
    elif name == "picows":
        seconds = asyncio.run(picows_(url, message, count, window))
    elif name == "picows-uvloop":
        seconds = uvloop.run(picows_(url, message, count, window))
    else:
        sys.exit(__doc__)
    print(seconds, count)


if __name__ == "__main__":
    main()
