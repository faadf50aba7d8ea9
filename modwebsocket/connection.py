"""The WebSocket protocol of one connection (RFC 6455): no socket, no clock, no randomness.

A driver moves the bytes: it calls `fill(stream)` when there is something to read, then pulls
`next_event()` until it returns NONE, and calls `flush(stream)` until that returns 0.
Everything else is here: the four states, messages, pings, closing, and what waits to be sent.
"""

from errno import ENOBUFS, ENOTCONN

from micropython import const

import _wscore

from .handshake import HandshakeError, Response

# Roles.
CLIENT = const(0)
SERVER = const(1)

# States (RFC 6455 §4.1, §7.1).
CONNECTING = const(0)
OPEN = const(1)
CLOSING = const(2)
CLOSED = const(3)

# Opcodes; also the events that next_event() returns for them.
TEXT = const(1)
BINARY = const(2)
CLOSE = const(8)
PING = const(9)
PONG = const(10)

# Further events.
NONE = const(0)  # feed more
OPENED = const(3)  # the handshake succeeded
FAILED = const(-1)  # `error` says why; the close frame is on its way

NOT_TAKEN = const(-2)  # see send_now()

_FIN = const(0x80)
_ENTRY_LEN = const(32)  # what a waiting message counts at least, bytes: it costs that, too
_SENDABLE = const(0x606)  # bit n: opcode n is one that a user may send


class WebSocketError(Exception):
    """What the peer did, or what we could not take from it.  args: (code, text).

    code: the close code that says so (RFC 6455 §7.4.1). text: "protocol", "text" (not UTF-8),
    "too big", "memory" or "reassembly" (no memory for a message of one frame, of several).
    """


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
    if _wscore.check(_FIN | TEXT, reason) > 123:
        raise ValueError("close reason %r" % reason)
    return bytes((code >> 8, code & 255)) + bytes(memoryview(reason))


class Connection:
    """One end of one WebSocket.

    Read-only for the user of this class:
    state: CONNECTING, OPEN, CLOSING or CLOSED.
    close_code, close_reason: of the peer's close frame; 1005 if it gave none, 1006 (and "")
    while there is none. error: the HandshakeError or WebSocketError after FAILED, else None.
    response: the handshake's Response, None once the driver dropped it. protocol: the
    sub-protocol agreed on or None. queued_len: bytes waiting behind the transmit buffer, at least
    32 for each message.
    """

    def __init__(self, seed, *, role=CLIENT, rx_len=1024, tx_len=536, max_message_len=1 << 20,
                 max_queue_len=65536):
        """Allocate the buffers.

        seed: 20 bytes of os.urandom(), for the masking keys. role: CLIENT or SERVER.
        rx_len: receive buffer, bytes, at least 139. tx_len: transmit buffer, bytes, at least
        142. max_message_len: bytes, a longer message ends in close code 1009.
        max_queue_len: bytes that may wait to be sent (one message always may).
        Raises ValueError if a length is out of range, MemoryError.
        """
        codec = _wscore.Codec(role, rx_len, tx_len, max_message_len, seed)
        self._codec = codec
        # Bound once: these are called for every message, without a Python frame between.
        self.fill = codec.fill
        self.data = codec.data
        self.readinto = codec.readinto
        self._next = codec.next
        self._send = codec.send
        self.state = CONNECTING
        self.close_code = 1006
        self.close_reason = ""
        self.error = None
        self.response = None
        self.protocol = None
        self.queued_len = 0
        self._dropped_len = 0  # of messages that the peer's close or an error overtook
        self._max_queue_len = max_queue_len
        self._expect = None  # of the handshake's response, until it is in
        self._pong = None  # the answer to a ping, while it waits
        self._queue = []  # (opcode | FIN, immutable data, what it counts), in order

    def start(self, request, key, protocols=()):
        """Begin a client's handshake: queue the request.

        request: bytes of handshake.request(). key: its Sec-WebSocket-Key, bytes.
        protocols: the sub-protocols that it offers.
        """
        self._expect = (key, protocols)
        self.response = Response()
        self._codec.write(request)

    def next_event(self):
        """The next thing that the received bytes say.

        Returns NONE, OPENED, TEXT, BINARY, PING (answered already), PONG, CLOSE (of the peer;
        answered already) or FAILED. Of TEXT, BINARY, PING and PONG, `data()` gives the payload
        as str or bytes and `readinto(buf)` copies it, until the next call.
        """
        if self._expect is not None:
            return self._next_line()
        while True:
            event = self._next()
            if event == NONE:
                return NONE
            if NONE < event <= BINARY:
                if self.state == OPEN:
                    return event
            elif event == PING:
                if self.state == OPEN and not self._codec.pong():
                    self._pong_later()
                return PING
            elif event == PONG:
                return PONG
            elif event == CLOSE:
                return self._closed_by_peer()
            elif self.error:
                return NONE
            else:
                return self._fail(event)

    def _closed_by_peer(self):
        self.close_code, self.close_reason = self._codec.data()
        if self.state == OPEN:
            # What waits would never be read: it goes, the answer is next in line.
            self._clear()
            code = self.close_code
            self._send_close(b"" if code == 1005 else check_close(code, ""))
        self.state = CLOSED
        return CLOSE

    def _next_line(self):
        while self.state == CONNECTING:
            try:
                try:
                    line = self._codec.readline()
                    cut = False
                except ValueError:
                    # Longer than the receive buffer.
                    line = self._codec.read()
                    cut = True
                if line is None:
                    return NONE
                if self.response.feed(line, cut):
                    self.protocol = self.response.check(*self._expect)
                    self._expect = None
                    self.state = OPEN
                    return OPENED
            except HandshakeError as e:
                self.error = e
                self.state = CLOSED
                return FAILED
        return NONE

    def _fail(self, event):
        for error in _ERRORS:
            if error[0] == event:
                self.fail(error[1], error[2])
        return FAILED

    def fail(self, code, text):
        """Fail the connection: send a close frame and take nothing more (RFC 6455 §7.1.7).

        code, text: of the WebSocketError that `error` becomes.
        """
        self.error = WebSocketError(code, text)
        if self.state == OPEN:
            self._clear()
            self._send_close(bytes((code >> 8, code & 255)))
        self.state = CLOSING

    def unsent_len(self):
        """Bytes, with frame headers, that send() took and no stream has taken yet."""
        return self._dropped_len + self.queued_len + self._codec.pending()

    def _clear(self):
        self._dropped_len += self.queued_len
        self._queue.clear()
        self.queued_len = 0

    def _pong_later(self):
        # Before all that waits, and only for the newest ping (RFC 6455 §5.5.3).
        data = self._codec.data()
        queue = self._queue
        if queue and queue[0] is self._pong:
            self.queued_len -= queue.pop(0)[2]
        self._pong = (_FIN | PONG, data, len(data))
        queue.insert(0, self._pong)
        self.queued_len += len(data)

    def _send_close(self, payload):
        first = _FIN | CLOSE
        if self._queue or self._send(first, payload) == NOT_TAKEN:
            self._queue.append((first, payload, 0))

    def send(self, data, opcode=TEXT):
        """Send a message, or a ping or pong.

        data: str, bytes or another buffer; for TEXT it must be UTF-8. opcode: TEXT, BINARY,
        PING or PONG (these two at most 125 bytes).
        Raises OSError(ENOTCONN) unless OPEN, OSError(ENOBUFS) if too much is waiting (nothing
        is taken then), ValueError for a bad opcode, text or length, TypeError, MemoryError.
        """
        if self.send_now(data, opcode) == NOT_TAKEN:
            self.send_later(data, opcode)

    def send_now(self, data, opcode=TEXT, stream=None):
        """As send(), if nothing waits and the data need not be copied; allocates nothing.

        What the transmit buffer does not take of bytes or str waits by reference.
        stream: where to write to at once, or None.
        Returns NOT_TAKEN (send_later() will), else what flush() returns; -1 without a stream.
        """
        if self.state != OPEN:
            raise OSError(ENOTCONN)
        if not _SENDABLE >> opcode & 1:
            raise ValueError("opcode %r" % opcode)
        if self._queue:
            return NOT_TAKEN
        return self._send(opcode | _FIN, data, stream)

    def send_later(self, data, opcode=TEXT):
        """As send(), behind all that waits: bytes and str by reference, others as a copy."""
        first = opcode | _FIN
        data_len = _wscore.check(first, data)
        queue = self._queue
        counts_len = max(data_len, _ENTRY_LEN)
        if queue and self.queued_len + counts_len > self._max_queue_len:
            raise OSError(ENOBUFS)
        if not isinstance(data, (bytes, str)):
            data = bytes(memoryview(data))
        if queue or self._send(first, data) == NOT_TAKEN:
            queue.append((first, data, counts_len))
            self.queued_len += counts_len

    def close(self, code=1000, reason=""):
        """Start the closing handshake, behind what waits to be sent; a second call does nothing.

        code: 1000-1003, 1007-1014 or 3000-4999. reason: UTF-8, at most 123 bytes.
        Raises ValueError if either is out of range.
        Source: RFC 6455 §5.5.1, §7.4.
        """
        # The usual one is a constant: closing must work when no memory is left.
        usual = code == 1000 and not len(reason)
        payload = b"\x03\xe8" if usual else check_close(code, reason)
        if self.state == OPEN:
            self._send_close(payload)
            self.state = CLOSING
        elif self.state == CONNECTING:
            self.state = CLOSED

    def flush(self, stream):
        """Write what the stream takes.

        Returns 0 when nothing is left to write, -1 if the rest must wait until the stream can
        be written again, else the errno of the stream's error.
        """
        while True:
            result = self._codec.flush(stream)
            if result or not self._queue:
                return result
            first, data, data_len = self._queue.pop(0)
            self.queued_len -= data_len
            self._send(first, data)
