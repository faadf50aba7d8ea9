"""One side of the echo benchmark in CPython: the server, or a client of PyPI.

    echo_peer.py server CERTIFICATE KEY      prints its ports, for ws:// and wss://
    echo_peer.py CLIENT CA URL...            CLIENT: websockets, aiohttp, picows, picows-uvloop

The server sends messages and gets them back: /KIND/LEN/WINDOW/MS/COUNT says text or binary, of
how many bytes, how many in flight, and when to stop, after so many milliseconds or messages. For
who asks for / a line of its input says so, which it acknowledges. It prints what a connection did:
seconds and messages, without the first few.
"""

import asyncio
import ssl
import sys
import time


def listener(picows):
    """The server's class."""

    class Exchange(picows.WSListener):
        """Sends a message for each that comes back."""

        def __init__(self, path):
            kind, length, window, ms, count = path.strip("/").split("/")
            self.kind = picows.WSMsgType.TEXT if kind == "text" else picows.WSMsgType.BINARY
            self.message = b"x" * int(length)
            self.window = int(window)
            self.seconds = int(ms) / 1000
            self.count = int(count)
            self.uncounted = min(self.count // 10, 10 * self.window)
            self.sent = self.came = 0
            self.began = 0.0
            self.ends = False

        def send(self, transport):
            """Send one more."""
            self.sent += 1
            transport.send(self.kind, self.message)

        def on_ws_connected(self, transport):
            """Fill the window."""
            self.began = time.perf_counter()
            for _ in range(self.window):
                self.send(transport)

        def on_ws_frame(self, transport, frame):
            """Take an echo, send the next."""
            if frame.msg_type == picows.WSMsgType.CLOSE:
                transport.send_close(1000)
                transport.disconnect()
                return
            if frame.msg_type != self.kind or frame.get_payload_as_bytes() != self.message:
                transport.disconnect()
                return
            self.came += 1
            if self.came == self.uncounted:
                self.began = time.perf_counter()
            elif not self.ends and (self.came >= self.count or not self.came & 3):
                seconds = time.perf_counter() - self.began
                if self.came >= self.count or seconds > self.seconds:
                    print(seconds, self.came - self.uncounted, flush=True)
                    self.ends = True
            if not self.ends and self.sent < self.count:
                self.send(transport)
            elif self.ends and self.came == self.sent:
                transport.send_close(1000)

        def on_ws_disconnected(self, transport):
            """Tell of one that did not do it all."""
            if not self.ends:
                print("failed", flush=True)

    return Exchange


async def serve(certificate, key):
    """Exchange messages for ever."""
    import picows

    exchange = listener(picows)
    root = ""

    def listen():
        nonlocal root
        root = sys.stdin.readline()
        print("told", flush=True)

    asyncio.get_running_loop().add_reader(sys.stdin, listen)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    servers = [
        await picows.ws_create_server(
            lambda request: exchange(request.path.decode().strip("/") or root), "127.0.0.1", 0,
            ssl=context, max_frame_size=1 << 24)
        for context in (None, tls)
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


def websockets(urls, trust):
    """The threaded client: the fastest that `websockets` has."""
    from websockets.sync.client import connect

    for url in urls:
        with connect(url, compression=None, max_size=None, ssl=trust(url)) as ws:
            for message in ws:
                ws.send(message)


async def aiohttp(urls, trust):
    """aiohttp's client."""
    import aiohttp

    async with aiohttp.ClientSession() as session:
        for url in urls:
            async with session.ws_connect(url, max_msg_size=0, ssl=trust(url) or True) as ws:
                async for message in ws:
                    if message.type == aiohttp.WSMsgType.TEXT:
                        await ws.send_str(message.data)
                    else:
                        await ws.send_bytes(message.data)


async def picows(urls, trust):
    """picows's client on the running loop; a text is made a str, as the others do."""
    import picows

    class Client(picows.WSListener):
        def on_ws_frame(self, transport, frame):
            kind = frame.msg_type
            if kind == picows.WSMsgType.TEXT:
                transport.send(kind, frame.get_payload_as_utf8_text().encode())
            elif kind == picows.WSMsgType.BINARY:
                transport.send(kind, frame.get_payload_as_bytes())
            elif kind == picows.WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code())
                transport.disconnect()

    for url in urls:
        transport, _ = await picows.ws_connect(Client, url, ssl_context=trust(url),
                                               max_frame_size=1 << 24)
        await transport.wait_disconnected()


def main():
    """Run what the arguments say."""
    name, *arguments = sys.argv[1:]
    if name == "server":
        import uvloop

        uvloop.run(serve(*arguments))
        return
    ca, *urls = arguments

    def trust(url):
        return ssl.create_default_context(cafile=ca) if url.startswith("wss:") else None

    if name == "websockets":
        websockets(urls, trust)
    elif name == "aiohttp":
        asyncio.run(aiohttp(urls, trust))
    elif name == "picows":
        asyncio.run(picows(urls, trust))
    elif name == "picows-uvloop":
        import uvloop

        uvloop.run(picows(urls, trust))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
