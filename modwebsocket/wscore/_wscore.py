"""The core's interface in plain Python, for boards without the native one.

What each function does is written in modwscore.c. Other than there:
* a failed allocation in next() or serve() is the event -1 or -2, and sticky; flush() raises it;
* a message that does not fit the receive buffer takes twice its length while it is delivered;
* what a socket gives, TLS's too, is read by recv(), which allocates it; other streams have to have
  readinto() and write().
"""

import hashlib
from binascii import b2a_base64
from errno import EAGAIN, EIO, ENOBUFS

from micropython import const

native = False

_EBUSY = const(16)  # not in every port's errno
_FIN = const(0x80)
_TEXT = const(1)
_BINARY = const(2)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)
_SENDABLE = const(0x606)  # bit n: opcode n is one that a user may send

_NO_MEMORY_FRAME = const(-1)
_NO_MEMORY_FRAGMENTS = const(-2)
_END = const(-3)
_FLUSH = const(-4)
_MORE = const(-5)
_PAUSED = const(16)
_WAITS = const(-1)
_NOT_TAKEN = const(-2)
_PROTOCOL = const(-1002)
_NOT_UTF8 = const(-1007)
_TOO_BIG = const(-1009)

_LONG_READ = const(512)  # bytes, see serve()
_MAX_READS = const(8)
_MASK_LEN = const(256)  # bytes masked at once: each takes four of the heap meanwhile
_RECV_LEN = const(1024)  # bytes that recv() is asked for at most

# Where the payload of the frame in progress goes.
_WANT_HEADER = const(0)
_INTO_RX = const(1)
_INTO_MESSAGE = const(2)
_IN_PARTS = const(3)

# Bytes that UTF-8 never has; and a first byte with the least and greatest that may follow it,
# where that is not all (RFC 3629 §4). MicroPython's own decoder lets both pass.
_NEVER = b"\xc0\xc1\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff"
_LIMITED = b"\xe0\xa0\xbf\xed\x80\x9f\xf0\x90\xbf\xf4\x80\x8f"


def mask(buf, key, offset):
    """Mask a writable buffer in place."""
    view = memoryview(buf)
    if len(key) != 4:
        raise ValueError("key")
    offset &= 3
    key = (bytes(key) * 2)[offset : offset + 4]
    at = last = word = 0
    while at < len(view):
        n = min(len(view) - at, _MASK_LEN)
        if n != last:
            word = int.from_bytes((key * ((n + 3) // 4))[:n], "little")
            last = n
        end = at + n
        view[at:end] = (int.from_bytes(view[at:end], "little") ^ word).to_bytes(n, "little")
        at = end


def _utf8(data):
    # The length of the unfinished character at the end of data (bytes), -1 if it is not UTF-8.
    n = len(data)
    tail = 0
    if n and data[-1] >= 0x80:
        byte = 0x80
        while 0x80 <= byte < 0xC0 and tail < min(n, 3):
            tail += 1
            byte = data[n - tail]
        if byte < 0xC0 or tail >= (4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2):
            tail = 0
    try:
        # The bytes are not copied.
        if len(str(data[: n - tail] if tail else data, "utf-8")) == n:
            return 0
    except ValueError:
        return -1
    for byte in _NEVER:
        if byte in data:
            return -1
    for i in range(0, len(_LIMITED), 3):
        at = data.find(_LIMITED[i : i + 1])
        while 0 <= at < n - 1:
            if not _LIMITED[i + 1] <= data[at + 1] <= _LIMITED[i + 2]:
                return -1
            at = data.find(_LIMITED[i : i + 1], at + 1)
    return tail


def _frame(first, data):
    # The bytes of a frame to send, as a memoryview.
    opcode = first & ~_FIN
    view = memoryview(data)
    if not isinstance(data, (bytes, str, bytearray)):
        view = memoryview(bytes(data))  # an array counts its items, not bytes
    if opcode < 0 or opcode > _PONG or _BINARY < opcode < _CLOSE:
        raise ValueError("opcode")
    if opcode >= _CLOSE and len(view) > 125:
        raise ValueError("length")
    if first == _FIN | _TEXT and not (isinstance(data, str) and len(data) == len(view)):
        if _utf8(data.encode() if isinstance(data, str) else bytes(view)):
            raise ValueError("text is not UTF-8")
    return view


def check(first, data):
    """The payload length in bytes that send() would take; else ValueError."""
    return len(_frame(first, data))


def accept(key):
    """Sec-WebSocket-Accept of a Sec-WebSocket-Key, both bytes."""
    data = bytes(memoryview(key)) + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    if hasattr(hashlib, "sha1"):
        digest = hashlib.sha1(data).digest()
    else:
        from _sha1 import sha1

        digest = sha1(data)
    return b2a_base64(digest)[:-1]


def call(function, count, *args):
    """Call function with the first count of args."""
    if not 0 <= count <= len(args):
        raise ValueError("count")
    return function(*args[:count])


class Codec:
    """One end of one connection."""

    def __init__(self, role, rx_len, tx_len, max_message_len, seed, parts=False):
        if (not 0 <= role <= 1 or rx_len < 139 or tx_len < 142
                or not 0 <= max_message_len <= 0x7FFFFFFF or len(seed) != 20):
            raise ValueError("Codec")
        self._masked = role  # 1: the peer's frames have to be masked, and so ours must not
        self._rx = memoryview(bytearray(rx_len))  # unread: _rx[_at:_end]
        self._tx = memoryview(bytearray(tx_len))  # unwritten: _tx[_tx_at:_tx_end]
        self._at = self._end = self._tx_at = self._tx_end = 0
        self._limit = max_message_len
        self._seed = bytes(seed)
        self._keys = b""  # left of the last digest
        self._digests = 0
        self._parts = bool(parts)
        self._busy = self._calling = self._heard = self._buffered = self._more = False
        self._error = self._event = self._pong_error = 0
        self._function = self._owner = self._stream = None
        self._count = 0
        # The frame in progress, and the message it belongs to.
        self._place = _WANT_HEADER
        self._closed = False
        self._opcode = self._message_opcode = 0  # this one is 0 if no fragments are to come
        self._frame_len = self._left = self._total = 0
        self._fin = self._first = True
        self._key = self._message = None
        self._message_len = self._fresh = 0  # decoded in it; behind that by fill()
        self._rest = b""  # of a character that is not whole yet
        # The last event's.
        self._close_code = 1005
        self._payload = self._text = None
        # What is sent by reference: the payload, how much of it was taken, and its key.
        self._src = self._src_key = None
        self._src_at = 0
        self._offered = 0  # bytes that the stream did not take, and must be offered again

    def _free(self):
        # A stream that calls its codec is refused, and who interrupts send().
        if self._busy:
            raise OSError(_EBUSY)

    # ---- Receiving

    def fill(self, stream):
        self._free()
        direct = self._place == _INTO_MESSAGE and self._at == self._end
        if direct:
            start = self._message_len + self._fresh
            view = memoryview(self._message)[start : start + self._left - self._fresh]
        else:
            self._compact()
            view = self._rx[self._end :]
        if not len(view):
            raise OSError(ENOBUFS)
        self._busy = True
        try:
            n = _read(stream, view)
        finally:
            self._busy = False
        if n is None:
            return None
        if n < 0:
            raise OSError(-n)
        if n > len(view):
            raise OSError(EIO)
        if direct:
            self._fresh += n
        else:
            self._end += n
        return n

    def _compact(self):
        at = self._at
        if at:
            n = self._end - at
            if n:
                self._rx[:n] = self._rx[at : self._end]
            self._at = 0
            self._end = n

    def readline(self):
        self._free()
        line = bytes(self._rx[self._at : self._end])
        n = line.find(b"\n")
        if n < 0:
            if len(line) == len(self._rx):
                raise ValueError("line")
            return None
        self._at += n + 1
        return line[: n - 1 if n and line[n - 1] == 13 else n]

    def read(self):
        self._free()
        data = bytes(self._rx[self._at : self._end])
        self._at = self._end = 0
        return data

    def _header(self):
        # 1 if a frame begins, 0 if its header is incomplete, or the error.
        at = self._at
        have = self._end - at
        if self._closed or not have:
            self._at = self._end = 0
            return 0
        rx = self._rx
        first = rx[at]
        opcode = first & 0x7F
        if opcode > _BINARY:
            if not _FIN | _CLOSE <= first <= _FIN | _PONG:
                return _PROTOCOL
        elif (opcode != 0) == (self._message_opcode != 0):
            return _PROTOCOL
        if have < 2:
            return 0
        n = rx[at + 1]
        if n >> 7 != self._masked:
            return _PROTOCOL
        n &= 0x7F
        at += 2
        if n > 125:
            if opcode > _BINARY:
                return _PROTOCOL
            if n == 126:
                if have < 4:
                    return 0
                n = rx[at] << 8 | rx[at + 1]
                at += 2
                if n < 126:
                    return _PROTOCOL
            else:
                if have > 2 and rx[at] > 127:
                    return _PROTOCOL
                if have < 10:
                    return 0
                n = int.from_bytes(rx[at : at + 8], "big")
                at += 8
                if n < 0x10000:
                    return _PROTOCOL
        if opcode <= _BINARY and n > self._limit - (0 if opcode else self._total):
            return _TOO_BIG
        self._key = None
        if self._masked:
            if self._end < at + 4:
                return 0
            if n:
                self._key = bytes(rx[at : at + 4])
            at += 4
        self._at = at
        return self._begin(first, n)

    def _begin(self, first, n):
        # Decides where the payload of n bytes goes.
        opcode = first & 0x7F
        self._frame_len = self._left = n
        self._fin = first > 127
        self._first = opcode != 0
        if opcode <= _BINARY:
            if opcode:
                self._total = 0
            else:
                opcode = self._message_opcode
            self._total += n
            self._message_opcode = 0 if self._fin else opcode
        elif opcode == _CLOSE:
            if n == 1:
                return _PROTOCOL
            self._close_code = 0 if n else 1005
            self._rest = b""  # now of the reason: no text can follow
        self._opcode = opcode
        if self._parts and opcode < _CLOSE:
            self._place = _IN_PARTS
        elif n <= len(self._rx) and self._first and self._fin:
            self._place = _INTO_RX
        else:
            old = self._message
            if old is None or self._total > len(old):
                # Many small fragments shall not copy it each time.
                message = bytearray(self._total + (len(old) >> 3 if old else 0))
                if old:
                    message[: len(old)] = old
                self._message = message
            self._place = _INTO_MESSAGE
        return 1

    def _decode(self):
        # Decodes what has come of the payload: 1 at the end of the frame, 0 before, or the error.
        left = self._left
        at = self._at
        n = self._end - at
        if self._place == _INTO_RX:
            seen = self._frame_len - left
            n = min(n - seen, left)
            if n:
                at += seen
                piece = self._rx[at : at + n]
        elif self._place == _IN_PARTS:
            n = min(n, left)
            if n:
                self._payload = piece = self._rx[at : at + n]
                self._at = at + n
        else:
            n = self._fresh or min(n, left)
            if n:
                start = self._message_len
                piece = memoryview(self._message)[start : start + n]
                if not self._fresh:
                    piece[:] = self._rx[at : at + n]
                    self._at = at + n
                self._fresh = 0
                self._message_len = start + n
        if n:
            if self._key:
                mask(piece, self._key, self._frame_len - left)
            left -= n
            self._left = left
            if self._opcode == _TEXT:
                if not self._check_text(piece):
                    return _NOT_UTF8
            elif self._opcode == _CLOSE:
                result = self._check_close(piece, n)
                if result:
                    return result
        if left:
            return 0
        if self._rest and self._fin and (self._opcode == _TEXT or self._opcode == _CLOSE):
            return _NOT_UTF8
        return 1

    def _check_text(self, piece):
        data = bytes(piece)
        if self._rest:
            data = self._rest + data
        tail = _utf8(data)
        if tail < 0:
            return False
        self._rest = data[len(data) - tail :] if tail else b""
        if not tail and self._place == _INTO_RX and len(data) == self._frame_len:
            self._text = str(data, "utf-8")  # not copied
        return True

    def _check_close(self, piece, n):
        at = self._frame_len - self._left - n
        i = 0
        while at < 2 and i < n:
            code = self._close_code = self._close_code << 8 | piece[i]
            at += 1
            i += 1
            if at == 2 and not (1000 <= code <= 1003 or 1007 <= code <= 1014
                                or 3000 <= code <= 4999):
                return _PROTOCOL
        return 0 if i == n or self._check_text(piece[i:]) else _NOT_UTF8

    def _find_event(self):
        if not self._place and not self._message_opcode:
            self._message = None  # the last event's
            self._message_len = 0
        self._payload = self._text = None
        while True:
            if not self._place:
                result = self._header()
                if result <= 0:
                    return result
            result = self._decode()
            if result <= 0:
                return result or (self._opcode if self._payload is not None else 0)
            place = self._place
            self._place = _WANT_HEADER
            if place == _INTO_RX:
                if self._opcode == _CLOSE:
                    self._closed = True
                at = self._at
                self._at = at + self._frame_len
                self._payload = self._rx[at : self._at]
                return self._opcode
            if place == _IN_PARTS:
                if self._payload is not None or self._fin:
                    return self._opcode
            elif self._fin:
                self._payload = memoryview(self._message)[: self._message_len]
                return self._opcode

    def _next(self):
        event = self._error
        if not event:
            try:
                event = self._find_event()
            except MemoryError:
                event = _NO_MEMORY_FRAME if self._first and self._fin else _NO_MEMORY_FRAGMENTS
        if event < 0:
            self._error = event
            self._place = _WANT_HEADER
            self._message = self._payload = self._text = None
            self._at = self._end = self._message_len = self._fresh = 0
        self._event = max(event, 0)
        return event

    def next(self):
        self._free()
        return self._next()

    def part(self):
        self._free()
        n = len(self._payload) if self._payload is not None else 0
        return self._total - self._left - n, not self._left and self._fin

    def data(self):
        self._free()
        payload = self._payload
        if self._event == _CLOSE:
            return self._close_code, str(payload[2:], "utf-8")
        if self._event == _TEXT and not self._parts:
            return str(payload, "utf-8") if self._text is None else self._text
        return b"" if payload is None else bytes(payload)

    def readinto(self, buf):
        self._free()
        view = memoryview(buf)
        payload = self._payload
        if not payload:
            return 0
        n = len(payload)
        if n > len(view):
            raise ValueError("buffer")
        view[:n] = payload
        return n

    # ---- Sending

    def _begin_tx(self, first, view, keep):
        # Puts a frame into the transmit buffer, and what does not fit behind it by reference, if
        # it may `keep` that. first: opcode | FIN, or -1 for raw bytes.
        if self._src is not None:
            return False
        n = len(view)
        masked = first >= 0 and not self._masked
        size = 0
        if first >= 0:
            size = (2 if n < 126 else 4 if n < 0x10000 else 10) + (4 if masked else 0)
        tx = self._tx
        waiting = self._tx_end - self._tx_at
        if self._tx_at and (not waiting or size + n > len(tx) - self._tx_end):
            if waiting:
                tx[:waiting] = tx[self._tx_at : self._tx_end]
            self._tx_at = 0
            self._tx_end = waiting
        end = self._tx_end
        room = len(tx) - end - size
        if n > room and (not keep or room < 0):
            return False
        key = None
        if first >= 0:
            key = self._put_header(first, n, masked)
            end += size
        taken = min(n, room)
        if taken:
            piece = tx[end : end + taken]
            piece[:] = view[:taken]
            if key:
                mask(piece, key, 0)
        if taken < n:
            self._src = view
            self._src_at = taken
            self._src_key = key
        self._tx_end = end + taken
        return True

    def _put_header(self, first, n, masked):
        # Behind _tx_end; returns the key.
        tx = self._tx
        at = self._tx_end
        tx[at] = first
        bit = 0x80 if masked else 0
        if n < 126:
            tx[at + 1] = bit | n
            at += 2
        elif n < 0x10000:
            tx[at + 1] = bit | 126
            tx[at + 2] = n >> 8
            tx[at + 3] = n & 255
            at += 4
        else:
            tx[at + 1] = bit | 127
            tx[at + 2 : at + 10] = n.to_bytes(8, "big")
            at += 10
        if not masked:
            return None
        if not self._keys:
            # Secret seed, counter: the peer cannot predict the keys (RFC 6455 §10.3).
            digest = hashlib.sha256(self._seed)
            digest.update(self._digests.to_bytes(4, "big"))
            self._keys = digest.digest()
            self._digests += 1
        key = self._keys[:4]
        self._keys = self._keys[4:]
        tx[at : at + 4] = key
        return key

    def frame(self, first, data):
        view = _frame(first, data)
        self._free()
        keep = isinstance(data, (bytes, str)) and first < _FIN | _CLOSE
        return self._begin_tx(first, view, keep)

    def write(self, data):
        view = memoryview(data)
        self._free()
        return self._begin_tx(-1, view, isinstance(data, (bytes, str)))

    def pong(self):
        self._free()
        return self._begin_tx(_FIN | _PONG, self._payload or b"", False)

    def _refill(self):
        view = self._src
        at = self._src_at
        n = min(len(view) - at, len(self._tx))
        piece = self._tx[:n]
        piece[:] = view[at : at + n]
        if self._src_key:
            mask(piece, self._src_key, at)
        self._tx_at = 0
        self._tx_end = n
        self._src_at = at + n
        if at + n == len(view):
            self._src = None

    def _flush(self, stream):
        # Its caller sets _busy.
        while True:
            if self._tx_at == self._tx_end:
                if self._src is None:
                    return 0
                self._refill()
            n = self._tx_end - self._tx_at
            if self._offered:
                # TLS has encrypted these already, and would take what follows for sent.
                n = self._offered
                self._offered = 0
            written = _write(stream, self._tx[self._tx_at : self._tx_at + n])
            if not written:
                self._offered = n
                return _WAITS
            if written < 0:
                return -written
            if written > n:
                return EIO
            self._tx_at += written

    def flush(self, stream):
        self._free()
        result = self._pong_error
        self._pong_error = 0
        self._busy = True
        try:
            return result or self._flush(stream)
        finally:
            self._busy = False

    def pending(self):
        self._free()
        n = self._tx_end - self._tx_at
        return n if self._src is None else n + len(self._src) - self._src_at

    # ---- The short way

    def deliver(self, function, owner, count):
        self._free()
        if not 0 <= count <= 3:
            raise ValueError("count")
        self._function = function
        self._owner = owner
        self._count = count

    def buffered(self, flag):
        self._free()
        self._buffered = bool(flag)

    def attach(self, stream):
        self._free()
        self._stream = stream

    def _send(self, first, view, keep):
        # A frame on the attached stream.  On a chip the background interrupts Python at any point,
        # and has to come again later.
        self._busy = True
        try:
            if self._stream is None or not self._begin_tx(first, view, keep):
                return _NOT_TAKEN
            result = self._flush(self._stream)
            if result:
                self._stream = None
            return result
        finally:
            self._busy = False

    def send(self, data, opcode=_TEXT):
        self._free()
        if self._stream is None or not 0 <= opcode <= _PONG or not _SENDABLE >> opcode & 1:
            return _NOT_TAKEN
        first = opcode | _FIN
        return self._send(first, _frame(first, data),
                          opcode < _CLOSE and isinstance(data, (bytes, str)))

    def _see_to(self, event):
        # Returns 0, or what the caller has to see to.
        if event == _PING and self._stream is not None:
            result = self._send(_FIN | _PONG, self._payload or b"", False)
            # A stream may tell its error only once.
            self._pong_error = max(result, 0)
            return event if result == _NOT_TAKEN else _FLUSH if result else 0
        if not 0 < event <= _BINARY or self._function is None:
            return event
        data = self.data()
        self._calling = True
        if self._owner is None:
            self._function(event, data)
        else:
            self._function(*(self._owner, data, event)[: self._count])
        self._calling = False
        return 0

    def serve(self, stream):
        self._free()
        self._calling = False
        n = _LONG_READ
        reads = _MAX_READS
        while True:
            error = self._error
            while True:
                event = self._next()
                if event == error:
                    break
                event = self._see_to(event)
                if event:
                    return event
            if not reads or n < _LONG_READ or stream is None or error == _PAUSED:
                return _MORE if self._more and error != _PAUSED else 0
            reads -= 1
            n = self.fill(stream)
            if n == 0:
                self._more = False
                return _END
            self._more = self._buffered and n is not None
            if n is None:
                n = 0
            else:
                self._heard = True
            if self._more or self._end == len(self._rx):
                n = _LONG_READ  # all that there was room for

    def calling(self):
        calling = self._calling
        self._calling = False
        return calling

    def heard(self):
        heard = self._heard
        self._heard = False
        return heard

    def pause(self, on):
        if on:
            self._error = self._error or _PAUSED
        elif self._error == _PAUSED:
            self._error = 0


def _read(stream, view):
    # One read: the number of bytes, minus an errno, or None if nothing is there.
    recv = getattr(stream, "recv", None)
    if recv is None:
        readinto = getattr(stream, "readinto", None)
        if readinto is None:
            raise TypeError("stream")
        return readinto(view)
    try:
        data = recv(min(len(view), _RECV_LEN))
    except OSError as e:
        if e.errno == EAGAIN:
            return None
        raise
    if data is None:
        return None  # TLS's
    view[: len(data)] = data
    return len(data)


def _write(stream, view):
    # As _read().
    write = getattr(stream, "write", None)
    if write is None:
        raise TypeError("stream")
    try:
        return write(view)
    except OSError as e:
        # mbedTLS's errors are negative.
        return -abs(e.errno or EIO)
