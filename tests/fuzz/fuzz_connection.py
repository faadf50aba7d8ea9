"""A Connection whose peer and whose user do anything, in any order, in small buffers.

What it tells is what the plain decoder tells of the bytes that it read. What it writes, the plain
decoder takes: all that send() took, once and in order, and the close frame last.

An input: flags (1: server, 2: in parts, 4: a limit of 300), the buffers' lengths beyond the least,
the longest queue, then steps: a byte each, see Run.step(), and what they need.
"""

from errno import EIO, ENOBUFS, ENOTCONN

import fuzz

from modwebsocket.connection import Connection
from modwebsocket.events import (
    BINARY,
    CLOSE,
    CLOSED,
    CLOSING,
    FAILED,
    FLUSH,
    MORE,
    NOT_TAKEN,
    OPEN,
    PAUSED,
    PING,
    PONG,
    TEXT,
)

SEED = bytes(20)
KEY = b"\x01\x82\x03\x84"
HEAD_LEN = 4
NO_LIMIT = 0x7FFFFFFF
BLOCK_MAX = 1 << 17  # see main.c


def frame(first, payload, masked):
    n = len(payload)
    head = bytes((first, (0x80 if masked else 0) | min(n, 126)))
    if n >= 126:
        head += bytes((n >> 8, n & 255))
    if masked:
        head += KEY
        payload = bytes(b ^ KEY[i & 3] for i, b in enumerate(payload))
    return head + payload


class Run:
    def __init__(self, data):
        self.data = data
        self.at = HEAD_LEN
        self.server = data[0] & 1
        self.parts = bool(data[0] & 2)
        self.max_queue_len = data[3] * 2
        self.limit = 300 if data[0] & 4 else NO_LIMIT
        self.stream = fuzz.Stream(b"", b"", False)
        self.wire = bytearray()  # what it is given
        self.conn = Connection(
            SEED, self.server, 139 + (data[1] & 63), 142 + (data[2] & 63), self.limit,
            self.max_queue_len, self.parts,
        )
        self.conn.state = OPEN
        self.sent = []  # messages and pings that were taken, as decode() gives them
        self.pongs = []  # of the user
        self.close_frame = None  # that has to be the last
        self.got = []  # events, as decode() gives them
        self.open_len = None  # of got, when the state was left in which messages are delivered
        self.cleared = False  # what waited was dropped, as it should
        self.message = b""  # of the parts so far
        self.paused = self.broken = self.handled = self.attached = self.no_memory = False
        self.fails = 0  # which allocation of the next call
        self.number = 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def take(self, n):
        self.at += n
        return self.data[self.at - n : self.at]

    def call(self, function, *args):
        """Call it, with an allocation that fails if a step said so."""
        fails = self.fails
        self.fails = 0
        fuzz.fail(fails)
        try:
            return function(*args)
        finally:
            fuzz.fail(0)

    # --- What comes

    def put(self, data):
        self.wire += data
        self.stream.put(data)

    def event(self, event):
        """An event for the user."""
        conn = self.conn
        if event in (TEXT, BINARY):
            self.deliver(event, conn.data())
        elif event in (PING, PONG):
            self.got.append((event, 0, conn.data()))
        elif event == CLOSE:
            assert conn.state == CLOSED
            self.got.append((CLOSE, conn.close_code, conn.close_reason.encode()))
            self.left(conn.close_code, cleared=True)
        elif event == FAILED:
            assert conn.state == CLOSING
            code, text = conn.error.args
            if text in ("memory", "reassembly"):
                assert code == 1009 and (self.no_memory or self.limit > BLOCK_MAX)
                self.no_memory = True
            else:
                self.got.append((0, code, b""))
            self.left(code, cleared=True)
        else:
            assert event == PAUSED, event

    def left(self, code, reason=b"", cleared=False):
        """It is not OPEN any more, and perhaps was not before."""
        if self.open_len is None:
            self.cleared = cleared
            assert not cleared or self.conn.queued_len == 0
            self.open_len = len(self.got)
            self.close_frame = (CLOSE, code, reason)
            self.attached = self.handled = False

    def deliver(self, opcode, data):
        if self.parts:
            offset, final = self.conn.codec.part()
            assert offset == len(self.message)
            self.message += data
            if not final:
                return
            data = self.message
            self.message = b""
        elif opcode == TEXT:
            data = data.encode()
        self.got.append((opcode, 0, data))

    def handle(self, opcode, data):
        """The handler of the short way: it may do anything but receive."""
        self.deliver(opcode, data)
        self.step(True)

    def pull(self):
        """As docs/engine.md does."""
        conn = self.conn
        if self.paused or self.call(conn.fill, self.stream) is None:
            return
        event = conn.next_event()
        while event:
            self.event(event)
            event = conn.next_event()

    def receive(self):
        """As Link does."""
        conn = self.conn
        stream = self.stream
        event = conn.receive(stream) if self.handled else self.call(conn.receive, stream)
        while event:
            if event == FLUSH:
                self.attached = False
            elif event != MORE:
                event = conn.see_to(event)
                if event:
                    self.event(event)
            event = conn.receive(stream if event == MORE else None)

    # --- What goes

    def payload(self, opcode):
        self.number += 1
        n = self.byte()
        if opcode > BINARY:
            n = min(n, 125)
        elif n & 0x80:
            n = (n & 0x7F) * 5
        text = "%d " % self.number
        return (text * (n // len(text) + 1))[:n].encode()

    def send(self, opcode, short):
        conn = self.conn
        data = self.payload(opcode)
        given = bytearray(data) if len(data) & 1 else data.decode() if len(data) & 2 else data
        before = conn.unsent_len()
        taken = True
        try:
            if short:
                result = self.call(conn.send_now, given, opcode)
                taken = result != NOT_TAKEN
                assert self.attached or not taken
                self.attached = self.attached and (not taken or result == 0)
                if taken and result > 0:
                    raise OSError(result)
            else:
                self.call(conn.send, given, opcode)
            assert not taken or conn.state == OPEN
        except OSError as e:
            if self.broken and e.errno == EIO:
                raise
            # Without memory MicroPython leaves out the number.
            assert e.errno == (ENOBUFS if conn.state == OPEN else ENOTCONN) or (
                self.no_memory and not e.args
            ), (e, conn.state)
            taken = False
        except MemoryError:
            assert self.no_memory
            taken = False
        if isinstance(given, bytearray):
            given[:] = b"\xff" * len(given)
        if not taken:
            assert conn.unsent_len() == before
            return
        # One message always may wait, and one pong.
        assert conn.queued_len <= max(self.max_queue_len, len(data), 32) + 125, conn.queued_len
        if opcode == PONG:
            self.pongs.append(data)
        else:
            self.sent.append((opcode, 0, data))

    def close(self):
        conn = self.conn
        code = self.byte() << 8 | self.byte()
        reason = "because" * (self.byte() & 31)
        was_open = conn.state == OPEN
        try:
            self.call(conn.close, code, reason)
        except ValueError:
            return
        except MemoryError:
            assert self.no_memory and conn.state == (OPEN if was_open else conn.state)
            return
        if was_open:
            assert conn.state == CLOSING
            self.left(code, reason.encode())

    def flush(self):
        conn = self.conn
        result = self.call(conn.flush, self.stream)
        if result > 0:
            raise OSError(result)
        if result == 0:
            assert conn.codec.pending() == 0 and conn.queued_len == 0
            if conn.state == OPEN:
                conn.codec.attach(self.stream)
                self.attached = True
        return result

    # --- The steps

    def step(self, in_handler=False):
        step = self.byte() & 15
        stream = self.stream
        codec = self.conn.codec
        if step == 0:
            self.put(self.take(self.byte()))
        elif step == 1:
            first = self.byte()
            self.put(frame(first, self.take(self.byte()), self.server))
        elif step == 2:
            stream.chunks(self.take(self.byte() & 3))
        elif step == 3:
            stream.room(self.byte() * 4)
        elif step == 4:
            if not in_handler:
                self.pull()
        elif step == 5:
            if not in_handler:
                self.receive()
        elif step < 10:
            self.send((TEXT, BINARY, PING, PONG)[step - 6], False)
        elif step == 10:
            self.send((TEXT, BINARY, PING, PONG)[self.byte() & 3], True)
        elif step == 11:
            self.close()
        elif step == 12:
            self.flush()
        elif step == 13:
            if self.conn.state == OPEN:
                self.handled = not self.handled
                codec.deliver(self.handle if self.handled else None, None, 2)
        elif step == 15:
            self.fails = self.byte()
            self.no_memory = self.no_memory or self.fails > 0
        else:
            n = self.byte()
            if n > 250:
                stream.broken(EIO)
                self.broken = True
            elif n & 2:
                codec.buffered(n & 1)
            elif not self.conn.error:
                self.paused = not self.paused
                codec.pause(self.paused)

    def run(self):
        """Returns whether it came to its end."""
        try:
            while self.at < len(self.data):
                self.step()
            # Now there is time, room and memory for everything.
            self.fails = 0
            stream = self.stream
            stream.room(1 << 30)
            stream.chunks(b"")
            before = -1
            while before != stream.given() or self.flush():
                before = stream.given()
                self.paused = False
                self.conn.codec.pause(False)
                self.receive()
            return True
        except OSError as e:
            assert self.broken and e.errno == EIO
        except MemoryError:
            assert self.no_memory
        return False

    # --- What must have come of it

    def check(self):
        ended = self.run()
        events, _, _ = fuzz.decode(self.server, self.limit, self.wire[: self.stream.given()])
        at = 0
        for i, event in enumerate(self.got):
            closing = self.open_len is not None and i >= self.open_len
            assert not closing or event[0] not in (TEXT, BINARY), (self.got, events)
            while events[at] != event:
                assert self.may_be_dropped(events[at], closing), (self.got, events)
                at += 1
            at += 1
        if ended and not self.no_memory:
            closing = self.open_len is not None
            for event in events[at:]:
                assert self.may_be_dropped(event, closing), (self.got, events)

        wire = self.stream.taken()
        out, error_at, whole = fuzz.decode(not self.server, NO_LIMIT, wire)
        assert not error_at, out
        assert not ended or whole == len(wire), (out, whole)
        sent = [event for event in out if event[0] in (TEXT, BINARY, PING)]
        assert sent == self.sent[: len(sent)], (sent, self.sent)
        pings = [event[2] for event in events if event[0] == PING]
        for event in out:
            if event[0] == PONG:
                assert event[2] in pings or event[2] in self.pongs, (out, pings, self.pongs)
            elif event[0] == CLOSE:
                assert event == self.close_frame and event is out[-1], (out, self.close_frame)
        if ended:
            assert self.cleared or len(sent) == len(self.sent), (sent, self.sent)
            assert not self.close_frame or out[-1] == self.close_frame, (out, self.close_frame)
            if not self.cleared:
                assert self.conn.unsent_len() == 0

    def may_be_dropped(self, event, closing):
        # A ping that was answered the short way; a message after close().
        return event[0] == PING or (closing and event[0] in (TEXT, BINARY))


def run(data):
    if len(data) >= HEAD_LEN:
        Run(data).check()
