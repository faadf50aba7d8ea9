"""A TCP proxy between a client and a server: a network with faults."""

import asyncio
from contextlib import suppress

from peer.servers import reset

FOREVER = 1 << 60


class Proxy:
    """Passes on what comes, late, or not all of it.

    host, port, url: where clients find it. count: connections that came. delay_s: how late,
    each way. cuts: for the connections in turn, how many bytes of the server's reach the client
    before `end` happens to it: 0 before the server is asked, None never; the last one holds for
    all that follow. end: "reset", "eof", or "stall" (nothing more passes, either way).
    pause_s: how long before it. piece_len: bytes that pass at a time.
    """

    def __init__(self, server, *, delay_s=0, cuts=(None,), end="reset", pause_s=0,
                 piece_len=4096):
        self._server = server
        self._delay_s = delay_s
        self._cuts = cuts
        self._end = end
        self._pause_s = pause_s
        self._piece_len = piece_len
        self._open = {}  # the client's writer -> the tasks that serve it
        self.count = 0
        self.host = "127.0.0.1"

    @property
    def url(self):
        """The address, with a path."""
        return f"ws://{self.host}:{self.port}/"

    async def start(self):
        """Listens."""
        self._listener = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self):
        """Ends what is left."""
        self._listener.close()
        for writer, task in list(self._open.items()):
            task.cancel()
            writer.close()

    async def _serve(self, reader, writer):
        cut = self._cuts[min(self.count, len(self._cuts) - 1)]
        self.count += 1
        self._open[writer] = asyncio.current_task()
        others = up = None
        try:
            if cut != 0:
                theirs, others = await asyncio.open_connection(
                    self._server.host, self._server.port
                )
                up = asyncio.create_task(self._carry(reader, others, FOREVER))
                if await self._carry(theirs, writer, FOREVER if cut is None else cut):
                    await up
                    return
                up.cancel()
                with suppress(asyncio.CancelledError):
                    await up
            await asyncio.sleep(self._pause_s)
            if self._end == "reset":
                reset(writer)
                return
            if self._end == "eof":
                writer.write_eof()
            # A socket closed with something unread would be reset.
            while await reader.read(4096):
                pass
        except ConnectionError:
            pass
        finally:
            for w in writer, others:
                if w:
                    w.close()
            del self._open[writer]

    async def _carry(self, reader, writer, left):
        # Carries at most `left` bytes; returns how many of them never came.
        late = asyncio.Queue()
        writing = asyncio.create_task(self._write(late, writer))
        loop = asyncio.get_running_loop()
        try:
            with suppress(ConnectionError):
                while left and (data := await reader.read(min(left, self._piece_len))):
                    left -= len(data)
                    late.put_nowait((loop.time() + self._delay_s, data))
            late.put_nowait((loop.time() + self._delay_s, None))
            await writing
        finally:
            writing.cancel()
        if left:
            with suppress(OSError):
                writer.write_eof()
        return left

    async def _write(self, late, writer):
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while True:
                at, data = await late.get()
                await asyncio.sleep(at - loop.time())
                if not data:
                    return
                writer.write(data)
                await writer.drain()
