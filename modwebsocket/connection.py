"""The WebSocket protocol of one connection (RFC 6455): no socket, no clock, no randomness.

A driver moves the bytes: it calls `fill(stream)` when there is something to read, then pulls
`next_event()` until it returns NONE, and calls `flush(stream)` until that returns 0. On the short
way a message costs no Python here: `codec.deliver()` sets who gets it, `receive(stream)` reads it,
`codec.attach()` says where `send_now()` writes at once; see modwscore.c.
Everything else is here: the four states, messages, pings, closing, and what waits to be sent.
"""

from errno import ENOBUFS, ENOTCONN

from micropython import const

import _wscore

from .errors import HandshakeError, WebSocketError

# See events.py.
_CLIENT = const(0)
_CONNECTING = const(0)
_OPEN = const(1)
_CLOSING = const(2)
_CLOSED = const(3)
_TEXT = const(1)
_BINARY = const(2)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)
_NONE = const(0)
_OPENED = const(3)
_FAILED = const(-1)
_MORE = const(-5)
_NOT_TAKEN = const(-2)

_EBUSY = const(16)  # not in every port's errno
_FIN = const(0x80)
_ENTRY_LEN = const(32)  # what a waiting message counts at least, bytes: it costs that, too
_SENDABLE = const(0x606)  # bit n: opcode n is one that a user may send


# What _wscore.Codec.next() says, each with the args of the WebSocketError that it becomes.
_ERRORS = (
    (-1, 1009, "memory"),
    (-2, 1009, "reassembly"),
    (-1002, 1002, "protocol"),
    (-1007, 1007, "text"),
    (-1009, 1009, "too big"),
)


def check_close(code, reason):
    """The payload of a close frame, bytes.

    code: 1000-1003, 1007-1014 or 3000-4999. reason: str or bytes of UTF-8, at most 123 bytes.
    Raises ValueError if either is out of range. Source: RFC 6455 §5.5.1, §7.4.
    """
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise ValueError("close code %r" % code)
    if _wscore.check(_FIN | _TEXT, reason) > 123:
        raise ValueError("close reason %r" % reason)
    return bytes((code >> 8, code & 255)) + bytes(memoryview(reason))


class Connection:
    """One end of one WebSocket.

    codec: its _wscore.Codec. receive(stream), send_now(data[, opcode]), data(): the codec's
    serve(), send() and data(). What receive() returns, if not NONE, is for see_to(), and then it
    is to be called again. A stream may be attached while OPEN, when flush() has just returned 0.
    Read-only for the user of this class:
    state: CONNECTING, OPEN, CLOSING or CLOSED.
    close_code, close_reason: of the peer's close frame; 1005 if it gave none, 1006 (and "")
    while there is none. error: the HandshakeError or WebSocketError after FAILED, else None.
    response: the handshake's Response, None once the driver dropped it. protocol: the
    sub-protocol agreed on or None. queued_len: bytes waiting behind the transmit buffer, at least
    32 for each message.
    streaming: a message is on its way in fragments, see streams.py; its user may set this.
    """

    streaming = False

    def __init__(self, seed, role=_CLIENT, rx_len=1024, tx_len=536, max_message_len=1 << 20,
                 max_queue_len=65536, parts=False):
        """Allocate the buffers.

        seed: 20 bytes of os.urandom(), for the masking keys. role: CLIENT or SERVER.
        rx_len: receive buffer, bytes, at least 139. tx_len: transmit buffer, bytes, at least
        142. max_message_len: bytes, a longer message ends in close code 1009.
        max_queue_len: bytes that may wait to be sent (one message always may). parts: True: TEXT
        and BINARY are what has come of a message, and `codec.part()` says what that is.
        Raises ValueError if a length is out of range, MemoryError.
        """
        codec = _wscore.Codec(role, rx_len, tx_len, max_message_len, seed, parts)
        self.codec = codec
        # Bound once: these are called for every message, without a Python frame between.
        self.data = codec.data
        self.receive = codec.serve
        self.send_now = codec.send
        self.state = _CONNECTING
        self.close_code = 1006
        self.close_reason = ""
        self.error = None
        self.response = None
        self.protocol = None
        self.queued_len = 0
        self._dropped_len = 0  # of messages that the peer's close or an error overtook
        self._max_queue_len = max_queue_len
        self._opening = False  # the handshake's response is not in, or is not good
        self._pong = None  # the answer to a ping, while it waits
        self._queue = []  # (opcode | FIN, immutable data, what it counts), in order

    def start(self, request, response):
        """Begin a client's handshake: queue the request.

        request: bytes of handshake.request(). response: the handshake.Response that is to be.
        """
        self._opening = True
        self.response = response
        self.codec.write(request)

    def next_event(self):
        """The next thing that the received bytes say.

        Returns NONE, OPENED, TEXT, BINARY, PING (answered already), PONG, CLOSE (of the peer;
        answered already) or FAILED. Of TEXT, BINARY, PING and PONG, `data()` gives the payload
        as str or bytes and `readinto(buf)` copies it, until the next call.
        """
        if self._opening:
            return self._next_line()
        while True:
            event = self.codec.next()
            if event == _NONE or (event < _NONE and self.error):
                return _NONE
            event = self.see_to(event)
            if event:
                return event

    def see_to(self, event):
        """What an event that receive() returned is for the user.

        Returns what next_event() does, END, FLUSH or MORE.
        """
        if _NONE < event <= _BINARY:
            return event if self.state == _OPEN else _NONE
        if event == _PING:
            if self.state == _OPEN and not self.codec.pong():
                self._pong_later()
        elif event == _CLOSE:
            self._closed_by_peer()
        elif event < _MORE or _NOT_TAKEN <= event < _NONE:
            self._fail(event)
            return _FAILED
        return event

    def _closed_by_peer(self):
        self.close_code, self.close_reason = self.codec.data()
        if self.state == _OPEN:
            # What waits would never be read: it goes, the answer is next in line.
            self._clear()
            code = self.close_code
            self._send_close(b"" if code == 1005 else check_close(code, ""))
        self._leave(_CLOSED)

    def _leave(self, state):
        # From OPEN: no message goes the short way any more.
        self.state = state
        self.codec.attach(None)
        self.codec.deliver(None, None, 0)

    def _next_line(self):
        response = self.response
        while self.state == _CONNECTING:
            try:
                if response.body_left:
                    line = self.codec.read()
                    if not line:
                        return _NONE
                    whole = response.feed_body(line)
                else:
                    try:
                        line = self.codec.readline()
                        cut = False
                    except ValueError:
                        # Longer than the receive buffer.
                        line = self.codec.read()
                        cut = True
                    if line is None:
                        return _NONE
                    whole = response.feed(line, cut) and not response.body_left
                if whole:
                    self.protocol = response.check()
                    self._opening = False
                    self.state = _OPEN
                    return _OPENED
            except HandshakeError as e:
                self.error = e
                self.state = _CLOSED
                return _FAILED
        return _NONE

    def _fail(self, event):
        for error in _ERRORS:
            if error[0] == event:
                self.fail(error[1], error[2])

    def fail(self, code, text):
        """Fail the connection: send a close frame and take nothing more (RFC 6455 §7.1.7).

        code, text: of the WebSocketError that `error` becomes.
        """
        self.error = WebSocketError(code, text)
        if self.state == _OPEN:
            self._clear()
            self._send_close(bytes((code >> 8, code & 255)))
        self._leave(_CLOSING)

    def unsent_len(self):
        """Bytes, with frame headers, that send() took and no stream has taken yet."""
        return self._dropped_len + self.queued_len + self.codec.pending()

    def _clear(self):
        self._dropped_len += self.queued_len
        self._queue.clear()
        self.queued_len = 0

    def _pong_later(self):
        # Before all that waits, and only for the newest ping (RFC 6455 §5.5.3).
        data = self.codec.data()
        queue = self._queue
        if queue and queue[0] is self._pong:
            self.queued_len -= queue.pop(0)[2]
        self._pong = (_FIN | _PONG, data, len(data))
        queue.insert(0, self._pong)
        self.queued_len += len(data)

    def _send_close(self, payload):
        first = _FIN | _CLOSE
        if self._queue or not self.codec.frame(first, payload):
            self._queue.append((first, payload, 0))

    def send(self, data, opcode=_TEXT):
        """Send a message, or a ping or pong, behind all that waits; flush() writes it.

        data: str, bytes or another buffer; for TEXT it must be UTF-8. What does not fit the
        transmit buffer waits, bytes and str by reference, others as a copy. opcode: TEXT, BINARY,
        PING or PONG (these two at most 125 bytes).
        Raises OSError(ENOTCONN) unless OPEN, OSError(ENOBUFS) if too much is waiting (nothing
        is taken then), OSError(EBUSY) for a message while `streaming`, ValueError for a bad
        opcode, text or length, TypeError, MemoryError.
        """
        if self.state != _OPEN:
            raise OSError(ENOTCONN)
        if not _SENDABLE >> opcode & 1:
            raise ValueError("opcode %r" % opcode)
        if self.streaming and opcode <= _BINARY:
            raise OSError(_EBUSY)
        first = opcode | _FIN
        queue = self._queue
        if not queue and self.codec.frame(first, data):
            return
        data_len = _wscore.check(first, data)
        counts_len = max(data_len, _ENTRY_LEN)
        if queue and self.queued_len + counts_len > self._max_queue_len:
            raise OSError(ENOBUFS)
        if not isinstance(data, (bytes, str)):
            data = bytes(memoryview(data))
        if queue or not self.codec.frame(first, data):
            self.codec.attach(None)  # the short way would overtake it
            queue.append((first, data, counts_len))
            self.queued_len += counts_len

    def fill(self, stream):
        """Read once: the number of bytes, 0 at the stream's end, None if nothing is there."""
        return self.codec.fill(stream)

    def readinto(self, buf):
        """As data(), but into buf: its length in bytes. Raises ValueError if buf is too short."""
        return self.codec.readinto(buf)

    def close(self, code=1000, reason=""):
        """Start the closing handshake, behind what waits to be sent; a second call does nothing.

        code: 1000-1003, 1007-1014 or 3000-4999. reason: UTF-8, at most 123 bytes.
        Raises ValueError if either is out of range.
        Source: RFC 6455 §5.5.1, §7.4.
        """
        # The usual one is a constant: closing must work when no memory is left.
        usual = code == 1000 and not len(reason)
        payload = b"\x03\xe8" if usual else check_close(code, reason)
        if self.state == _OPEN:
            self._send_close(payload)
            self._leave(_CLOSING)
        elif self.state == _CONNECTING:
            self.state = _CLOSED

    def flush(self, stream):
        """Write what the stream takes.

        Returns 0 when nothing is left to write, -1 if the rest must wait until the stream can
        be written again, else the errno of the stream's error.
        """
        while True:
            result = self.codec.flush(stream)
            if result or not self._queue:
                return result
            first, data, data_len = self._queue.pop(0)
            self.queued_len -= data_len
            self.codec.frame(first, data)
