"""WebSockets for asyncio: `connect()`, `serve()`, `await ws.recv()`, `async for`.

Each is a `link.Link`, whose bytes the loop moves: pings are answered, and messages taken
in, while nobody waits for one. Only who imports this has it in memory.
"""

from asyncio import core
from time import ticks_diff, ticks_ms

from micropython import const

from _wscore import check

from . import pump
from .closed import ConnectionClosed, failure
from .link import Link

# See events.py.
_OPEN = const(1)  # Connection.state
_BINARY = const(2)
_OPENED = const(3)
_ENDED = const(5)
_PING = const(9)
_PONG = const(10)
_NOT_TAKEN = const(-2)
_MORE = const(-5)
_READ_ON = const(2)  # see link.py

_FOREVER_MS = const(1 << 28)  # see pump.py
_BYTES = const(0x82)  # a frame for which check() only counts
# Mask: one of so many messages sent in a row lets the other tasks run. More would starve them,
# and lwIP: what is not read fills its buffers, then acknowledgements do not fit any more.
_FAIR = const(3)
# With 1005 a browser's close() without arguments ends, which is as orderly.
_ORDERLY = (1000, 1001, 1005)


def _nothing():
    return
    yield


# What has nothing to wait for: one that is exhausted can be awaited as often as one likes.
_done = _nothing()
for _ in _done:
    pass


class WebSocket(Link):
    """An open connection; connect() and serve() make it.

    Read-only: protocol: the sub-protocol agreed on or None. request: of a server's, its
    upgrade.Request (path, headers), else None. The attributes of Link: stage, cause, code,
    reason, status, errno.
    """

    def __init__(self, max_inbox=16, max_inbox_len=16384):
        """Not connected yet.

        max_inbox: messages that may wait for recv(). max_inbox_len: their bytes, behind which one
        more message may come. Then nothing is read from the network, until half are taken.
        """
        self._conn = None
        self._inbox = []
        self._inbox_len = 0
        self._max_inbox = max_inbox - 1  # one more comes out of the receive buffer
        self._max_inbox_len = max_inbox_len
        self._readers = core.TaskQueue()  # tasks in recv()
        self._waiting = core.TaskQueue()  # tasks in anything else
        self._pinged = []  # [payload, ticks (ms) when sent, round-trip time or None]
        self._ping_count = 0
        self._sent_count = 0  # since a task waited in recv()
        self._opened = False
        self._ended = False
        self.protocol = None
        self.request = None

    # ---- The user's side.  Generators: as MicroPython's own asyncio has them, in which a task
    # waits by a bare `yield`, in a queue that is its `data`, for cancel() to take it out.

    # async
    def send(self, data, opcode=1):
        """Send a message: str, bytes or another buffer.  opcode: TEXT or BINARY.

        Returns when the network has taken it. A cancelled one is sent wholly or not at all: what
        can go at once goes with the call, before anybody awaits it.
        Raises ConnectionClosed, ValueError for text that is not UTF-8, TypeError, MemoryError.
        """
        result = self.send_now(data, opcode)
        self._sent_count = count = self._sent_count + 1
        if result or not count & _FAIR:
            return self._send_slowly(result, data, opcode)
        return _done

    def recv(self):
        """Return the next message: str for text, bytes for binary.

        A cancelled one takes no message. Raises ConnectionClosed when all have been taken.
        """
        return self._recv(False)

    # async
    def ping(self):
        """Ask the peer for an answer; returns the round-trip time, ms.

        Raises ConnectionClosed. While as many messages wait as may, the answer is not read.
        """
        self._ping_count += 1
        mine = [b"%d" % self._ping_count, ticks_ms(), None]
        self._pinged.append(mine)
        try:
            yield from self.send(mine[0], _PING)
            while mine[2] is None:
                if self._ended:
                    raise self._closed()
                yield self._wait(self._waiting)
        finally:
            if mine in self._pinged:
                self._pinged.remove(mine)
        return mine[2]

    # async
    def close(self, code=1000, reason=""):
        """Close, and wait for the peer's answer; a second call only waits.

        What waits for recv() stays there. Bounded by close_timeout_ms; cancelled, the closing
        goes on without the caller. Raises ValueError, see Connection.close().
        """
        Link.close(self, code, reason)
        if self._full:
            self._go_on()
        while not self._ended:
            yield self._wait(self._waiting)

    def __aiter__(self):
        """Iterate over messages until an orderly close: codes 1000, 1001, and none (1005)."""
        return self

    def __anext__(self):
        return self._recv(True)

    # async
    def _recv(self, iterating):
        inbox = self._inbox
        while not inbox:
            if self._ended:
                if iterating and self.code in _ORDERLY:
                    raise StopAsyncIteration
                raise self._closed()
            self._sent_count = 0
            task = core.cur_task
            queue = self._readers
            queue.push(task)
            task.data = queue
            try:
                yield
            except core.CancelledError:
                # It may have been woken for a message that another one can have.
                if inbox:
                    self._wake_reader()
                raise
        data = inbox.pop(0)
        if self._full:
            self._take_in(data)
        elif inbox:
            self._inbox_len -= check(_BYTES, data)
        else:
            self._inbox_len = 0
        return data

    async def __aenter__(self):
        return self

    async def __aexit__(self, _type, _error, _traceback):
        await self.close()

    # ---- Waiting

    def _wait(self, queue):
        # What follows is a `yield`.
        task = core.cur_task
        queue.push(task)
        task.data = queue

    def _wake(self):
        queue = self._waiting
        while queue.peek():
            core._task_queue.push(queue.pop())

    def _wake_reader(self):
        queue = self._readers
        if queue.peek():
            core._task_queue.push(queue.pop())

    def _take_in(self, data):
        # Reads on, if there is room again.
        self._inbox_len -= check(_BYTES, data)
        if (len(self._inbox) <= self._max_inbox >> 1
                and self._inbox_len <= self._max_inbox_len >> 1):
            self._go_on()

    def _send_slowly(self, result, data, opcode):
        if not result:
            # The others' turn.
            core._task_queue.push(core.cur_task)
            yield
            return
        if result != _NOT_TAKEN:
            self.sent(result, data, opcode)
        else:
            # Behind another one's, or too long for one go.
            while self._blocked and self.stage == "open" and not self.cause:
                yield self._wait(self._waiting)
            if self.stage != "open" or self.cause:
                raise self._closed()
            Link.send(self, data, opcode)
        while self._blocked and not self._ended:
            yield self._wait(self._waiting)
        if self._ended and self.unsent_len:
            raise self._closed()

    def _closed(self):
        conn = self._conn or self
        code = self.code if self._conn is None else conn.close_code
        reason = self.reason if self._conn is None else conn.close_reason
        return ConnectionClosed(self, code, reason)

    # async
    def _connect(self, url, options):
        Link.__init__(self, url, self._happened, **options)
        self.on_message(WebSocket._arrived, self, 2)
        try:
            while not (self._opened or self._ended):
                yield self._wait(self._waiting)
        except BaseException:
            # Cancelled, or the loop is no more.
            self._give_up()
            raise
        if not self._opened:
            raise failure(self)
        return self

    def _give_up(self):
        if self._conn is not None:
            self._end("cancelled")

    def _accepted(self, sock, conn, request, ping_interval_ms, close_timeout_ms):
        # The other way to begin: the handshake is done.
        self._start(conn, self._happened, ping_interval_ms, close_timeout_ms)
        self.protocol = conn.protocol
        self.request = request
        self.status = 101
        self.stage = "open"
        self._opened = True
        self._blocked = False
        self._sock = self._stream = sock
        self._at = self._silent_at = ticks_ms()
        pump._adopt(self)
        pump._watch(self)
        conn.codec.deliver(WebSocket._arrived, self, 2)
        conn.codec.attach(sock)
        pump._arm(self, ping_interval_ms or _FOREVER_MS)
        # What came behind the request.
        pump._loop._guard(pump._serve, sock)

    # ---- The driver's side

    def _arrived(self, data):
        # A message. Called by the codec.
        inbox = self._inbox
        inbox.append(data)
        self._inbox_len = inbox_len = self._inbox_len + check(_BYTES, data)
        queue = self._readers
        if queue.peek():
            core._task_queue.push(queue.pop())
            if inbox_len < self._max_inbox_len:
                return  # that one takes it
        if len(inbox) >= self._max_inbox or inbox_len >= self._max_inbox_len:
            # serve() returns the next one instead of delivering it.
            self._full = True
            self._resume = 0
            self._conn.codec.deliver(None, None, 0)
            pump._watch(self)

    def _go_on(self):
        # There is room again.
        self._full = False
        if self._conn is not None:
            if self._conn.state == _OPEN:
                self.on_message(WebSocket._arrived, self, 2)
            pump._loop._guard(pump._serve, self._sock)
            if self._sock and not self._full:
                pump._watch(self)

    def _happened(self, event, data):
        if event == _PONG:
            now = ticks_ms()
            for i, pinged in enumerate(self._pinged):
                if pinged[0] == data:
                    # Earlier ones may have gone without an answer (RFC 6455 §5.5.3).
                    for earlier in self._pinged[: i + 1]:
                        earlier[2] = ticks_diff(now, earlier[1])
                    del self._pinged[: i + 1]
                    break
        elif event == _OPENED:
            self._opened = True
            self.protocol = self._conn.protocol
        elif event == _ENDED:
            self._ended = True
            while self._readers.peek():
                self._wake_reader()
        self._wake()

    def _receive(self):
        conn = self._conn
        if conn.response:
            Link._receive(self)
        elif not self._full:
            event = conn.receive(self._stream)
            if event:
                self._see_to(event)

    def _see_to(self, event):
        conn = self._conn
        while event:
            if 0 < event <= _BINARY:
                if conn.state == _OPEN:
                    self._arrived(conn.data())
            elif event == _MORE:
                if not self._full:
                    self._resume = _READ_ON
                    pump._arm(self, 0)
                return
            else:
                self._on_event(conn, conn.see_to(event))
                if self._conn is not conn:
                    return
            if self._full:
                return
            event = conn.receive(None)

    def _flushed(self, result):
        done = Link._flushed(self, result)
        if done:
            self._wake()
        return done

    def _keep_alive(self):
        if self._full:
            # What the peer says is not heard.
            self._silent_at = ticks_ms()
            self._pings = 0
        Link._keep_alive(self)

    def _left_handler(self):
        # No handler is a user's: what fails in one is ours, and a message lost ends the link.
        self._calling = False
        return False


class _Connecting:
    # What connect() returns: to be awaited, or entered.

    def __init__(self, url, inbox, options):
        self._url = url
        self._inbox = inbox
        self._options = options
        self._ws = None

    def __iter__(self):  # what `await` asks for
        return WebSocket(*self._inbox)._connect(self._url, self._options)

    def __aenter__(self):
        self._ws = WebSocket(*self._inbox)
        return self._ws._connect(self._url, self._options)

    def __aexit__(self, _type, _error, _traceback):
        return self._ws.close()


def connect(url, max_inbox=16, max_inbox_len=16384, **options):
    """Connect: `ws = await connect(url)`, or `async with connect(url) as ws`, which closes it.

    max_inbox, max_inbox_len: see WebSocket. options: those of Link.
    Raises URLError, ValueError, TypeError at once or when awaited; then OSError (ETIMEDOUT after
    connect_timeout_ms), HandshakeError (with the answer's status, headers and body) and
    MemoryError.
    """
    return _Connecting(url, (max_inbox, max_inbox_len), options)


def broadcast(clients, data, opcode=1, drop=False):
    """Send a message to many at once, waiting for none.

    clients: WebSockets. A client for which something waits already does not get it; with drop
    its connection ends instead (cause "slow").
    Returns the number of those that get it.
    """
    if not isinstance(data, (bytes, str)):
        data = bytes(data)
    count = 0
    for ws in tuple(clients):
        result = ws.send_now(data, opcode)
        if result == _NOT_TAKEN:
            if drop:
                ws.abort("slow")
        else:
            count += 1
            if result:
                ws.sent(result, data, opcode)
    return count


async def serve(handler, host=None, port=80, **options):
    """Serve WebSockets: see server.Server, which it returns, listening."""
    from .server import Server

    return Server(handler, host, port, **options)
