"""Sends one message from a file, a stream or a generator, whose length nobody knows before.

It goes as fragments (RFC 6455 §5.4), each when the one before has gone, in constant memory.
Loaded by those who need it.
"""

from errno import ENOTCONN
from time import ticks_ms

from micropython import const

import _wscore

from . import pump

_OPEN = const(1)  # Connection.state
_TEXT = const(1)
_BINARY = const(2)
_FIN = const(0x80)
_EBUSY = const(16)
_HEADER_LEN = const(14)
_TURNS = const(8)  # fragments in a row: others want to be served, too
_ASK_AGAIN_MS = const(20)  # of a source that has nothing now


def send_stream(link, source, opcode=_BINARY, chunk_len=512):
    """Begin to send a message; the rest happens later, behind what waits.

    source: an object with readinto() (a file; a non-blocking stream is asked again after 20 ms),
    or an iterable of str or bytes-like chunks. opcode: TEXT (the whole must be UTF-8) or BINARY.
    chunk_len: how much readinto() is asked for; each such part is a fragment, of which some peers
    take only so many per message. What the transmit buffer cannot hold at once is copied.
    Until it is done (DRAINED, if notify_drained is set), send() of another message raises
    OSError(EBUSY); pings, pongs and close() go between the fragments.
    A source that raises, and text that is not UTF-8, are printed and end the link with 1011 and
    the cause "error": half a message cannot be taken back.
    Raises OSError(ENOTCONN) unless open, OSError(EBUSY) during another one, ValueError, TypeError.
    """
    pump._alone(link, _begin, Fragments(source, opcode, link, chunk_len), None)


def _begin(link, fragments, _):
    fragments.begin()
    link._tell_drained = fragments.pull
    link._drained = True
    if not link._blocked:
        pump._arm(link, 0)


def _whole_len(data, n):
    # How many of data's first n bytes end with a whole character, if they are UTF-8.
    i = n
    while i and n - i < 3 and data[i - 1] & 0xC0 == 0x80:
        i -= 1
    if i and data[i - 1] >= 0xC0:
        lead = data[i - 1]
        if n - i + 1 < (2 if lead < 0xE0 else 3 if lead < 0xF0 else 4):
            return i - 1
    return n


class Fragments:
    """The fragments of one message on its way.

    waits: the source had nothing when it was last asked.
    """

    def __init__(self, source, opcode, link, chunk_len=512):
        """source, opcode, chunk_len: see send_stream()."""
        if opcode != _TEXT and opcode != _BINARY:
            raise ValueError("opcode %r" % opcode)
        self._link = link
        self._conn = link._conn
        self._first = opcode  # of the next fragment
        self._text = opcode == _TEXT
        self._tail = b""  # the bytes so far of a character
        self._chunk = None  # that is to be sent next
        self._source = source
        if hasattr(source, "readinto"):
            self._buf = memoryview(bytearray(chunk_len))
        else:
            self._source = iter(source)
            self._buf = None
        self.waits = False

    def begin(self):
        """Have no other message go until this one has."""
        conn = self._conn
        if conn is None or conn.state != _OPEN:
            raise OSError(ENOTCONN)
        if conn.streaming:
            raise OSError(_EBUSY)
        conn.streaming = True
        conn.codec.attach(None)  # what goes the short way does not ask

    def end(self):
        """Other messages may go."""
        self._conn.streaming = False

    def put(self):
        """Send the next fragment; what was sent before must have gone.

        Returns True if it was sent, False if it is to be tried again, because something goes still
        or the source waits; None if it was the last.
        """
        data = self._chunk
        if data is None:
            self._chunk = data = self._next()
            self.waits = data is None
            if data is None:
                return False
        conn = self._conn
        if conn.state != _OPEN:
            return False
        last = not len(data)
        first = self._first | (_FIN if last else 0)
        if conn._queue or not conn.codec.frame(first, data):
            if not conn.codec.pending():
                # Longer than the transmit buffer, and its owner may change it.
                self._chunk = bytes(data)
            self._link._flush()
            return False
        self._first = 0
        self._chunk = None
        if last:
            self.end()
        self._link._flush()
        return None if last else True

    def _next(self):
        # The next chunk: None if there is none now, b"" at the end.
        data = self._read()
        while self._text and data is not None and not isinstance(data, str):
            ended = not len(data)
            if self._tail:
                data = self._tail + bytes(data)
            n = len(data) if ended else _whole_len(data, len(data))
            _wscore.check(_FIN | _TEXT, data[:n])
            self._tail = bytes(data[n:])
            if n or ended:
                return data[:n]
            data = self._read()
        return data

    def _read(self):
        if self._buf is not None:
            n = self._source.readinto(self._buf)
            return n if n is None else self._buf[:n]
        for data in self._source:
            if len(data):
                return data if isinstance(data, (str, bytes)) else bytes(memoryview(data))
        return b""

    def pull(self):
        """Send what can go now; in the place of Link._tell_drained()."""
        link = self._link
        turns = _TURNS
        sent = True
        try:
            while turns and sent is not None and link._drained and not link._blocked:
                turns -= 1
                sent = self.put()
                # The network takes what it gets: nobody has to ask whether the peer lives.
                link._silent_at = ticks_ms()
                if self.waits:
                    return pump._arm(link, _ASK_AGAIN_MS)
        except Exception as e:
            pump._report(e)
            self.end()
            del link._tell_drained
            link._drained = False
            link.cause = "error"
            self._conn.close(1011)
            return link._linger()
        if sent is None:
            del link._tell_drained
            link._drained = link.notify_drained
            link._flush()
