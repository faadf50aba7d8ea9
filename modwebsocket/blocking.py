"""A WebSocket for scripts that wait: every call returns when its work is done.

Where something serves links in the background (a chip's timer), that goes on between the calls;
elsewhere the connection rests between them.
"""

import os
import sys
from errno import ENOTCONN, ETIMEDOUT
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from _wscore import check

from . import flow, pump
from .closed import ConnectionClosed, failure
from .link import Link

# See events.py.
_TEXT = const(1)
_BINARY = const(2)
_OPENED = const(3)
_ENDED = const(5)
_PING = const(9)
_PONG = const(10)

_CLOSING = const(2)  # Connection.state

_ENTRY_LEN = const(32)  # what a waiting message counts at least, bytes: it costs that, too

_ASK_AGAIN_MS = const(20)  # of a source that has nothing now

_LOOK_MS = const(10)
_BYTES = const(0x82)  # a frame for which check() only counts

_modules = sys.modules
_steps = None  # what _step() resumes
_open = []  # what the end of the script is to close
_exit = False  # what sys.atexit() held before us; False: it holds that still


def _check_here():
    # Nothing would come in while somebody waits where nothing is served.
    if pump._turning or ("asyncio.core" in _modules and _modules["asyncio.core"].cur_task):
        raise RuntimeError("a blocking call in a handler or asyncio task")


def _step(wait_ms):
    # pump.step(), for those who have made sure that no link is being served.
    global _steps
    if _steps is None:
        steps = _take_steps()
        steps.send(None)
        _steps = steps
    _steps.send(wait_ms)


def _take_steps():
    # A function's frame with so many `try`s would be allocated every time, a generator's is once.
    global _steps
    try:
        while True:
            wait_ms = yield
            pump._exposed = False
            pump._turning = True
            try:
                pump._take_over()
                if pump._links:
                    pump._turn(wait_ms)
            except Exception as e:
                pump._rescue(e)
            pump._finish()
    except BaseException:
        pump._cut_short()
        raise
    finally:
        _steps = None
        pump._finish()


def _length(data):
    # What a waiting message counts.
    n = check(_BYTES, data)
    return n if n > _ENTRY_LEN else _ENTRY_LEN


def _at_exit():
    # Whom the script left open would keep the process.
    for ws in _open:
        ws.link.close(1001)
    if callable(_exit):
        _exit()


def _close_at_exit():
    global _exit
    if _exit is False and hasattr(sys, "atexit"):
        _exit = sys.atexit(_at_exit)  # behind pump's, to be called before that


def _put_raw(link, data, closing):
    conn = link._conn
    if conn is None or link.cause:
        return False
    conn.codec.write(data)
    if closing:
        conn._leave(_CLOSING)
        link.cause = "closed"
        link._linger()
    else:
        link._flush()
    return True


def _put(fragments, _, __):
    return fragments.put()


class WebSocket:
    """One WebSocket of the blocking style.  Iterating over it gives messages until it is closed.

    link: its Link, whose attributes say what has happened.
    opcode: of the last message that recv() returned, TEXT or BINARY.
    offset, final: with parts, of what recv() returned last: where it stands in its message, and
    whether it is the last of it.
    """

    def __init__(self, url, timeout_ms=10000, max_unread_len=4096, **options):
        """Connect.

        timeout_ms: for connecting, and for each wait of send(), send_stream() and ping().
        max_unread_len: once so many bytes (32 at least for each message) wait for recv(), no more
        is read, until recv() has returned them. options: of Link and Connection; with parts=True,
        recv() returns parts of messages, as they come.
        Raises URLError, HandshakeError (the server refused: its status, headers and body), OSError
        (DNS, network, TLS, time), MemoryError; RuntimeError in a handler or an asyncio task.
        """
        _check_here()
        self._prepare(timeout_ms, max_unread_len, bool(options.get("parts")))
        try:
            self.link = Link(url, self._on_event, connect_timeout_ms=timeout_ms, **options)
            self._hear()
            _close_at_exit()
            self._wait(self._has_begun, -1)
        except BaseException:
            if self.link is None:
                _open.remove(self)
            else:
                self.link.abort("closed")
            raise
        if not self._is_open:
            raise failure(self.link)

    def _prepare(self, timeout_ms, max_unread_len, parts):
        self._timeout_ms = timeout_ms
        self._max_unread_len = max_unread_len
        self._unread = []  # messages; with parts, each with its opcode, offset and whether final
        self._unread_len = 0
        self._rest = b""  # of a part, what recv_into() had no room for
        self._pong = None
        self._looked_at = 0  # ticks (ms) when the link was last served
        self._is_open = self._ended = False
        self._parts = parts
        self.opcode = self.offset = 0
        self.final = True
        self.link = None
        _open.append(self)

    def _hear(self):
        if self._parts:
            self.link.on_message(WebSocket._part_arrived, self, 3)
        else:
            self.link.on_message(WebSocket._arrived, self, 2)

    # ---- Events

    def _arrived(self, data):
        # A message. Called by the codec.
        self._unread_len += _length(data)
        try:
            self._unread.append(data)
        except MemoryError:
            # Never without a word.
            self.link.abort("memory")
        if self._unread_len >= self._max_unread_len:
            flow.pause(self.link)

    def _part_arrived(self, data, opcode):
        self._unread_len += _length(data)
        try:
            self._unread.append((data, opcode) + self.link.part())
        except MemoryError:
            self.link.abort("memory")
        if self._unread_len >= self._max_unread_len:
            flow.pause(self.link)

    def _on_event(self, event, data):
        if event == _OPENED:
            self._is_open = True
        elif event == _PONG:
            self._pong = data
        elif event == _ENDED:
            self._ended = True
            _open.remove(self)

    # ---- Waiting

    def _wait(self, done, timeout_ms):
        # Serves all links until done() is true or this one has ended.
        self._done = done
        self._end_at = -1 if timeout_ms < 0 else ticks_add(ticks_ms(), timeout_ms)
        try:
            while self._waits():
                pass
        finally:
            pump._exposed = pump._timer is not None

    def _waits(self):
        # What is done in the background must not be done between the look and the wait.
        pump._exposed = False
        if self._done() or self._ended:
            return False
        left = -1
        if self._end_at >= 0:
            left = ticks_diff(self._end_at, ticks_ms())
            if left < 0:
                raise OSError(ETIMEDOUT)
        _step(left)
        self._looked_at = ticks_ms()
        return True

    def _look(self):
        # A script that only sends has to answer pings all the same, and to learn of the end.
        if pump._timer is None and ticks_diff(ticks_ms(), self._looked_at) >= _LOOK_MS:
            _step(0)
            self._looked_at = ticks_ms()

    def _has_begun(self):
        return self._is_open

    def _has_unread(self):
        return self._unread

    def _has_sent(self):
        return not self.link._blocked

    def _has_pong(self):
        return self._pong is not None

    def _never(self):
        return False

    def _raise_closed(self):
        raise ConnectionClosed(self.link, self.link.code, self.link.reason)

    # ---- The user's side

    def recv(self, timeout_ms=-1):
        """The next message, str or bytes.

        timeout_ms: how long to wait at most, -1: until it comes.
        Raises OSError(ETIMEDOUT), after which the connection is as it was, ConnectionClosed once
        it has ended and all messages are read, RuntimeError in a handler or an asyncio task.
        """
        _check_here()
        unread = self._unread
        if not unread:
            self._wait(self._has_unread, timeout_ms)
            if not unread:
                self._raise_closed()
        data = unread.pop(0)
        if self._parts:
            data, self.opcode, self.offset, self.final = data
        else:
            self.opcode = _TEXT if isinstance(data, str) else _BINARY
        if pump._exposed:
            # The background may be adding to it.
            pump._alone(self, WebSocket._took, data, None)
        else:
            self._unread_len -= _length(data)
        if not unread and self.link._paused:
            flow.resume(self.link)
        return data

    def _took(self, data, _):
        self._unread_len -= _length(data)

    def recv_into(self, buf, timeout_ms=-1):
        """The next bytes of a message into buf: how many.

        `offset` and `final` say where in the message they stand. Without parts=True, a message
        is in memory before its bytes are copied. Raises what recv() raises.
        """
        rest = self._rest
        if not rest:
            data = self.recv(timeout_ms)
            if not self._parts:
                self.offset = 0
                self.final = True
            rest = memoryview(data)
            self._rest_final = self.final
        else:
            self.offset += self._copied
        n = self._copied = min(len(rest), len(buf))
        buf[:n] = rest[:n]
        self._rest = rest[n:]
        self.final = self._rest_final and n == len(rest)
        return n

    def send(self, data, opcode=_TEXT):
        """Send a message (or ping or pong), and wait until the network has taken it.

        data, opcode: see Connection.send(), whose errors are raised.
        Raises OSError(ETIMEDOUT) if that takes too long: the rest of it still waits to go, and
        what is sent next goes behind it. ConnectionClosed if there is no connection any more.
        """
        _check_here()
        self._look()
        result = self.link.send_now(data, opcode)
        if result:
            self._send_slowly(result, data, opcode)

    def _send_slowly(self, result, data, opcode):
        try:
            self.link.sent(result, data, opcode)
        except OSError as e:
            if e.errno != ENOTCONN:
                raise
            self._wait(self._never, self._timeout_ms)
        self._wait(self._has_sent, self._timeout_ms)
        if self._ended:
            self._raise_closed()

    def send_raw(self, data, closing=False):
        """Send bytes as they are, behind all that waits: a frame that the caller has made.

        data: bytes, a whole frame; nothing of it is checked. closing: True if it is a close frame.
        Waits until the network has taken it. Raises OSError(ETIMEDOUT): if something else had to
        go before, nothing of it is taken, else its rest still waits to go; ConnectionClosed.
        """
        _check_here()
        self._look()
        self._wait(self._has_sent, self._timeout_ms)
        if pump._alone(self.link, _put_raw, data, closing):
            self._wait(self._has_sent, self._timeout_ms)
            if not self._ended or closing:
                return
        self._wait(self._never, self._timeout_ms)
        self._raise_closed()

    def send_stream(self, source, opcode=_BINARY, chunk_len=512):
        """Send one message from a file, a stream or an iterable; see streams.send_stream().

        Waits until the network has taken all of it, each fragment with the timeout of send().
        If that, the source or its text fails, the connection is closed with 1011.
        """
        from .streams import Fragments

        _check_here()
        link = self.link
        if link._conn is None or link.cause:
            self._wait(self._never, self._timeout_ms)
            self._raise_closed()
        fragments = Fragments(source, opcode, link, chunk_len)
        self._wait(self._has_sent, self._timeout_ms)
        try:
            fragments.begin()
            sent = True
            asked_at = ticks_ms()
            while sent is not None and not link.cause:
                self._look()
                sent = pump._alone(fragments, _put, None, None)
                if not fragments.waits:
                    self._wait(self._has_sent, self._timeout_ms)
                    asked_at = ticks_ms()
                elif ticks_diff(ticks_ms(), asked_at) > self._timeout_ms:
                    raise OSError(ETIMEDOUT)
                else:
                    _step(_ASK_AGAIN_MS)
        except BaseException:
            # Half a message cannot be taken back.
            fragments.end()
            link.close(1011)
            raise
        if sent is not None:
            self._wait(self._never, self._timeout_ms)
            self._raise_closed()

    def ping(self, data=b""):
        """Ask whether the peer is there: milliseconds until its answer came.

        data: at most 125 bytes, b"": some that no other ping has.
        Raises OSError(ETIMEDOUT): also if so much waits for recv() that the answer is not read.
        """
        data = data or os.urandom(4)
        sent_at = ticks_ms()
        self._pong = None
        self.send(data, _PING)
        while self._pong != data:
            self._pong = None
            left = self._timeout_ms - ticks_diff(ticks_ms(), sent_at)
            self._wait(self._has_pong, max(left, 0))
            if self._ended:
                self._raise_closed()
        return ticks_diff(ticks_ms(), sent_at)

    def close(self, code=1000, reason=""):
        """Close, and wait for the end; a second call does nothing.

        code, reason: see Connection.close(). The peer has Link's close_timeout_ms to answer.
        Messages that have come can still be read.
        """
        _check_here()
        self.link.close(code, reason)
        self._wait(self._never, -1)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close(1000 if kind is None else 1011)

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self.recv()
        except ConnectionClosed:
            if 1000 <= self.link.code <= 1001:
                raise StopIteration
            raise
