"""One WebSocket of the callback style, from connect to its one ENDED event: DNS, TCP, deadlines.

It moves the bytes of a `connection.Connection` when `pump` says that there is something to do.
"""

import errno
import os
import socket
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from . import pump
from .connection import Connection

# See events.py.
_OPENED = const(3)
_DRAINED = const(4)
_TEXT = const(1)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)
_END = const(-3)
_FLUSH = const(-4)
_MORE = const(-5)
_OPEN = const(1)  # Connection.state
_CLOSED = const(3)
_NOT_TAKEN = const(-2)
_EBUSY = const(16)  # not in every port's errno, as
_EPIPE = const(32)
_NO_NAME = const(-2)  # what getaddrinfo() says elsewhere
_TLS_EOF = const(0x7280)  # mbedTLS: TCP ended, and TLS had not
_BODY_MS = const(1000)  # for what a server says besides no

# Link._resume.
_GO_ON = const(1)  # with what was read
_READ_ON = const(2)  # and read on

_FOREVER_MS = const(1 << 28)  # about three days, and within what ticks_diff() can tell


def _not_taken(data, opcode=_TEXT):
    return _NOT_TAKEN


class Link:
    """One WebSocket of the callback style.

    Read-only; final once ENDED was delivered:
    stage: how far it is or got: "dns", "tcp", "tls", "http", "open" or "closing".
    cause: why it ends or ended, else None: "closed" (by close(), whatever the peer then did),
    "peer" (its close frame), "eof" (TCP ended without one), "dns", "deadline" (no connection
    in time), "tls" (its handshake failed), "record" (TLS failed later), "http" (status not 101),
    "handshake" (a wrong 101), "protocol", "text", "too big", "memory", "reassembly" (see
    WebSocketError), "health" (pings unanswered), "os", "error" (of ours: it was printed), or what
    abort() was told.
    errno: of the OSError behind "os", "dns", "tls" and "record" (mbedTLS's are negative), else 0.
    status: HTTP status, 0 if none came. response: the handshake.Response with this status,
    headers and body, if the handshake failed or keep_response is set, else None.
    code, reason: of the peer's close frame, 1006 and "" if none came. text: what was wrong.
    unsent_len: bytes, with their frames' headers, that send() took and the network did not.
    To be set at any time: max_unanswered_pings: how many in a row, before it ends.
    """

    max_unanswered_pings = 2

    # What few links have is set here, not in _start(): with it the table of a link's names, of 29,
    # would be full, and each look-up of a method go through all of it.
    _full = False  # True: nothing is to be read, see aio.py
    _paused = False  # see flow.py
    _tls = None  # else until its handshake is done
    response = None
    no_memory = None  # see send()

    def __init__(self, url, handler, headers=(), defaults=(), protocols=(), name_port=False,
                 connect_timeout_ms=10000, ping_interval_ms=30000, close_timeout_ms=5000,
                 **options):
        """Begin to connect; everything after the arguments' check happens later.

        url: str, ws:// or wss://. handler: called as handler(event, data) for the events OPENED,
        TEXT, BINARY, PONG (data: the payload), DRAINED and ENDED (data: None); see events.py.
        headers, defaults: see handshake.request(). protocols: the sub-protocols offered,
        if not those that they name.
        name_port: True names the port in the Host header even if it is the scheme's own.
        connect_timeout_ms: for DNS, TCP, TLS and the upgrade together. ping_interval_ms: silence
        before a ping is sent, 0: never; one more silence than max_unanswered_pings ends the link.
        close_timeout_ms: the peer's time to answer a close frame.
        options: max_redirects: how often to follow a server that says to ask elsewhere (HTTP
        301, 302, 303, 307, 308), default 0, see redirect.Redirects. max_body_len: bytes to take
        of the body that comes with a refusal, default 1024, for which it has a second.
        keep_response: True keeps the server's response in memory while the connection is open.
        rx_len, tx_len, max_message_len, max_queue_len, parts: of Connection; for wss://, which
        needs one of them, cadata, pin, context or verify=False, see secure.Tls.
        With parts, TEXT and BINARY are delivered as bytes, each time some have come, and within
        the handler part() tells (offset in the message, whether it is the last).
        Raises URLError, ValueError, TypeError, MemoryError; for wss:// also OSError (a file) and
        NotImplementedError (this build has no TLS, or one that cannot verify).
        """
        handshake, url_module = pump.load_handshake()
        address = url_module.parse(url)
        trust = {}
        for key in ("cadata", "context", "pin", "verify"):
            if key in options:
                trust[key] = options.pop(key)
        max_redirects = options.pop("max_redirects", 0)
        follows = max_redirects > 0
        if address[0] or follows:
            try:
                from . import secure

                if follows:
                    from . import redirect
            except BaseException:
                pump.forget_handshake()  # as load_handshake() does
                raise
            if address[0]:
                self._tls = secure.Tls(address[1], **trust)
        if follows:
            headers = tuple(headers)
        how = (headers, defaults, protocols, name_port, options.pop("max_body_len", 1024))
        request, response = handshake.ask(address, os.urandom(16), *how)
        if follows:
            response.redirects = redirect.Redirects(max_redirects, address, how, trust)
        if options.pop("keep_response", False):
            self.response = response
        conn = Connection(os.urandom(20), **options)
        if self._tls:
            self._tls.request = request
            request = b""
        conn.start(request, response)
        self._start(conn, handler, ping_interval_ms, close_timeout_ms)
        if "parts" in options:
            self.part = conn.codec.part
        # What to ask DNS for, then its answers.
        self._addresses = (address[1], address[2], 0, socket.SOCK_STREAM)
        self._at = self._deadline_at = ticks_add(ticks_ms(), connect_timeout_ms)
        pump._adopt(self)

    def _start(self, conn, handler, ping_interval_ms, close_timeout_ms):
        self._conn = conn
        conn.codec.deliver(handler, None, 2)
        self.send_now = conn.send_now
        self._handler = handler
        self._sock = None  # what is waited for
        self._stream = None  # what is read and written: the same, or TLS above it
        self._in_loop = False  # asyncio's loop serves it
        self._addresses = None
        self._blocked = True  # waiting until the socket takes bytes
        self._broken = 0  # errno of a write, told when nobody's code is on the stack
        self._calling = False  # the handler is running
        self._resume = 0  # _GO_ON or _READ_ON: events are left for the next turn
        self._pings = 0  # sent since anything was heard
        self._silent_at = 0  # ticks (ms): nothing was heard or pinged since
        self._ping_interval_ms = ping_interval_ms
        self._close_timeout_ms = close_timeout_ms
        self._drained = False  # DRAINED is due once nothing waits
        self.notify_drained = False  # True: deliver DRAINED
        self.stage = "dns"
        self.cause = None
        self.errno = self.status = 0
        self.code = 1006
        self.reason = self.text = ""
        self.unsent_len = 0

    # ---- The user's side

    def send(self, data, opcode=_TEXT):
        """Send a message (or ping, pong): see Connection.send(), whose errors are raised.

        With the attribute no_memory set, a failed allocation ends the link with that cause (str)
        instead of raising MemoryError.
        Returns True if all of it went to the network, False if some of it waits.
        Where every instruction counts, see send_now().
        """
        result = self.send_now(data, opcode)
        if result or self.notify_drained:
            return self.sent(result, data, opcode)
        return True

    def sent(self, result, data, opcode):
        """Do what send_now(data, opcode) has left to do; result: what it returned.

        `send_now` is Connection's, and all of send() if the result is 0 and notify_drained False.
        """
        # In a handler without _alone(): the stack is short of each frame.
        if result == _NOT_TAKEN:
            if not pump._exposed:
                return self._send_later(data, opcode)
            return pump._alone(self, Link._send_later, data, opcode)
        return pump._alone(self, Link._sent, result, None)

    def _send_later(self, data, opcode):
        if self.stage != "open" or self.cause:
            raise OSError(errno.ENOTCONN)
        try:
            self._conn.send(data, opcode)
        except MemoryError:
            if self.no_memory is None:
                raise
            self.abort(self.no_memory)
        self._drained = self.notify_drained
        return not self._blocked and self._flush()

    def _sent(self, result, _):
        if self._conn is None:
            return False  # the background has ended it since send_now()
        self._drained = self.notify_drained
        return self._flushed(result)

    def on_message(self, function, owner=None, count=2):
        """Have another function called for messages: see Codec.deliver()."""
        conn = self._conn  # which the background may take away meanwhile
        if conn and not self.cause:
            conn.codec.deliver(function, owner, count)

    def close(self, code=1000, reason=""):
        """Close; ENDED follows, with the cause "closed".  A second call does nothing.

        What waits goes first, for as long as the network takes it. See Connection.close().
        Before OPENED the attempt is given up.
        """
        pump._alone(self, Link._close, code, reason)

    def _close(self, code, reason):
        if self._conn is None or self.cause:
            return
        self._conn.close(code, reason)
        self.cause = "closed"
        if self.stage == "open":
            self._linger()
        else:
            pump._arm(self, 0)

    def abort(self, cause):
        """End without a closing handshake; nothing but ENDED follows, with this cause (str)."""
        conn = self._conn
        if conn and not self.cause:
            self.cause = cause
            conn.codec.deliver(None, None, 0)
            pump._arm(self, 0)

    # ---- The driver's side

    def _linger(self):
        # The closing handshake has begun: from here on its time is bounded.
        if self._paused:
            from . import flow

            flow.resume(self)
        if self.stage != "closing":
            self.stage = "closing"
            self._extend()
        self._flush()
        # What went at once is no reason to extend it.
        self.unsent_len = self._conn.unsent_len()

    def _extend(self):
        self.unsent_len = self._conn.unsent_len()
        self._deadline_at = ticks_add(ticks_ms(), self._close_timeout_ms)
        pump._arm(self, self._close_timeout_ms)

    def _left_ms(self):
        return max(0, ticks_diff(self._deadline_at, ticks_ms()))

    def _tick(self):
        # Returns True once it has ended; then its handler is to be told.
        if self._conn is not None:
            self._see_to_timer()
        return self._conn is None

    def _see_to_timer(self):
        if self._resume:
            event = self._conn.receive(self._stream if self._resume == _READ_ON else None)
            self._resume = 0  # not before: it may be busy, and then has to be asked again
            self._see_to(event)
            if not self._conn:
                return
        stage = self.stage
        if self._broken:
            # What the peer sent before it went may still be here to read: a close frame.
            while stage != "tcp":
                self._receive()
                if not self._conn or not self._heard():
                    break
            if self._conn and self._broken:
                self._lost(self._broken)
        elif stage == "closing":
            if self._conn.state == _CLOSED and not self._blocked:
                self._end(None)
            elif self._left_ms():
                pump._arm(self, self._left_ms())
            elif self._conn.unsent_len() < self.unsent_len:
                self._extend()
            else:
                self._end(None)
        elif self.cause:
            self._end(None)
        elif stage == "open":
            self._keep_alive()
        elif not self._left_ms():
            self._end("deadline")
        elif stage != "dns":
            pump._arm(self, self._left_ms())
        else:
            response = self._conn.response
            if response.redirected and not response.redirects.follow(self):
                return
            try:
                self._addresses = socket.getaddrinfo(*self._addresses)
            except OSError as e:
                # The unix port's is a text.
                self.errno = e.errno if isinstance(e.errno, int) else _NO_NAME
                self._addresses = None
            if not self._addresses:
                return self._end("dns")
            self._dial()
        if self._resume and self._conn:
            pump._arm(self, 0)  # whatever set it anew meanwhile

    def _keep_alive(self):
        self._tell_drained()
        if self.stage != "open" or (self._drained and not self._blocked):
            return  # and a send() in the handler has set the timer
        interval_ms = self._ping_interval_ms
        if not interval_ms or self._paused:
            return pump._arm(self, _FOREVER_MS)
        if not self._heard() and ticks_diff(ticks_ms(), self._silent_at) >= interval_ms:
            # The script may have been busy for long: what came meanwhile counts.
            self._receive()
            if self.stage != "open" or not self._conn:
                return
            if not self._heard():
                if self._pings >= self.max_unanswered_pings:
                    return self._end("health")
                self._ping()
        if not self._broken:
            left = interval_ms - ticks_diff(ticks_ms(), self._silent_at)
            # When the next message comes is not noted: a look now and then must do.
            pump._arm(self, left if self._pings else min(left, (interval_ms >> 2) + 1))

    def _tell_opened(self):
        try:
            # The handler may connect, and an ESP8266's stack is too short to import it up there.
            self._calling = True
            self._handler(_OPENED, None)
            self._calling = False
        finally:
            pump.forget_handshake()

    def _tell_drained(self):
        if self._drained and not self._blocked:
            self._drained = False
            self._call(_DRAINED, None)

    def _heard(self):
        if self._conn.codec.heard():
            self._pings = 0
            self._silent_at = ticks_ms()
            return True
        return False

    def _ping(self):
        self._pings += 1
        self._silent_at = ticks_ms()
        # Not behind what waits: there it would say nothing.
        result = self.send_now(b"", _PING)
        if result != _NOT_TAKEN:
            self._flushed(result)

    def _dial(self):
        address = self._addresses.pop(0)
        self.stage = "tcp"
        pump._arm(self, self._left_ms())
        self._blocked = True
        self._sock = self._stream = sock = socket.socket(address[0], address[1])
        sock.setblocking(False)
        try:
            sock.setsockopt(6, getattr(socket, "TCP_NODELAY", 1), 1)
        except OSError:
            pass
        try:
            sock.connect(address[-1])
        except OSError as e:
            if e.errno != errno.EINPROGRESS:
                raise
        pump._watch(self)

    def _unblock(self):
        # The socket, for which the link was waiting, can be written (or is connected).
        if self._tls is None:
            self._flush()
            if self.stage == "tcp":
                if self._broken:
                    return
                self.stage = "http"
        if not self._broken:
            self._receive()

    def _flush(self):
        # Returns True if nothing waits any more.
        return not self._broken and self._flushed(self._conn.flush(self._stream))

    def _flushed(self, result):
        # What flush() returned: the same as _flush().
        conn = self._conn
        if result > 0:
            self._broken = result
            self._blocked = True
            pump._arm(self, 0)
            return False
        if not result:
            if conn.state == _OPEN and not conn.streaming:
                conn.codec.attach(self._stream)
            if conn.state == _CLOSED or (self._drained and self.stage == "open"):
                pump._arm(self, 0)
        if self._blocked is not (result < 0):
            self._blocked = not self._blocked
            pump._watch(self)
        return not result

    def _receive(self):
        # Reads what is there, and sees to all of it.
        conn = self._conn
        if conn.response:
            if not self._shake_hands():
                return
            # Here, where the stack is not so deep: the handler has much to do.
            self._tell_opened()
            self._tell_drained()
            if self._conn is not conn:
                return
        event = conn.receive(self._stream)
        if event:
            self._see_to(event)

    def _see_to(self, event):
        conn = self._conn
        while event:
            if event == _MORE:
                # In the next turn: reading on and on would starve the others.
                self._resume = _READ_ON
                return pump._arm(self, 0)
            self._on_event(conn, conn.see_to(event))
            if self._conn is not conn:
                return
            event = conn.receive(None)

    def _shake_hands(self):
        # Returns True once the connection is open.
        conn = self._conn
        if self._tls is not None and not self._tls.shake(self):
            return False
        while conn.response:
            if self._sock is None:
                return False  # on the way elsewhere
            n = conn.fill(self._stream)
            if not n:
                if n == 0:
                    self._hung_up()
                return False
            self._on_event(conn, conn.next_event())
            if self._conn is not conn:
                return False
            if conn.response and conn.response.body_left and not self.text:
                self.text = "HTTP %d" % conn.response.status
                if self._left_ms() > _BODY_MS:
                    self._deadline_at = ticks_add(ticks_ms(), _BODY_MS)
                pump._arm(self, self._left_ms())
        return True

    def _call(self, event, data):
        self._calling = True
        self._handler(event, data)
        self._calling = False

    def _on_event(self, conn, event):
        # Events that are not messages.
        if event == _PING or event == _FLUSH:
            self._flush()
        elif event == _PONG:
            self._heard()
            self._call(event, conn.data())
        elif event == _OPENED:
            self.status = 101
            self.stage = "open"
            conn.response = self._addresses = None
            self._silent_at = ticks_ms()
            if not self._blocked:
                conn.codec.attach(self._stream)
            pump._arm(self, self._ping_interval_ms or _FOREVER_MS)
        elif event == _CLOSE:
            self.cause = self.cause or "peer"
            self._linger()
        elif event == _END:
            self._hung_up()
        elif event < 0:
            self._failed(conn)

    def _failed(self, conn):
        self.text = conn.error.args[-1]
        if self.stage == "http":
            response = conn.response
            if response.redirected:
                self._hang_up()
                self._broken = 0
                self.text = ""
                self.stage = "dns"
                return pump._arm(self, 0)
            return self._end("handshake" if response.status == 101 else "http")
        # The close frame goes out, and the peer gets time to read it: a socket closed with
        # bytes unread would take it back.
        self.cause = self.cause or self.text
        self._linger()

    def _hung_up(self):
        # TCP has ended. If a write was told of a reset, that is why.
        if self._broken in (0, _EPIPE):
            self._end("eof")
        else:
            self._lost(self._broken)

    def _lost(self, errno):
        # The network failed.
        while self.stage == "tcp" and self._addresses and not self.cause:
            self._hang_up()
            self._broken = 0
            try:
                return self._dial()
            except OSError as e:
                errno = e.errno
        cause = "os"
        if errno == _TLS_EOF:
            cause = "eof"
            errno = 0
        elif errno > 255:
            cause = "record"
            errno = -errno
        if not self.cause:
            self.errno = errno
        self._end(cause)

    def _hang_up(self):
        if self._sock:
            pump._unwatch(self)
            self._stream.close()  # TLS closes what is below it
            self._sock = self._stream = None

    def _end(self, cause):
        # cause: unless there is one already.
        conn = self._conn
        response = conn.response
        if response and response.status:
            self.status = response.status
            self.response = response
            if response.body_left and not self.cause:
                # It is no more than the rest of an explanation that is missing.
                cause = "http"
                self.errno = 0
        self._hang_up()
        self._conn = None  # with TLS 3 KiB, of which the next attempt has need
        if self._tls is not None:
            self._tls = None
        self.send_now = _not_taken
        self.cause = self.cause or cause
        if self.stage in ("open", "closing"):
            self.unsent_len = conn.unsent_len()
        self.code = conn.close_code
        self.reason = conn.close_reason
        pump._arm(self, 0)

    def _left_handler(self):
        # An exception has cut short what served this link.  True if it came out of the user's
        # handler, and then the events behind the one that was handled are still to come.
        conn = self._conn
        if not self._calling and not (conn and conn.codec.calling()):
            return False
        self._calling = False
        if conn:
            self._resume = _GO_ON
            pump._arm(self, 0)
        return True

    def _settle(self, error):
        # What an exception does: one of the handler's nothing, any other ends the link.
        conn = self._conn
        if self._left_handler() or not conn:
            pump._report(error)
        elif isinstance(error, OSError):
            # Busy: the script is in send(), where lwIP waits for the network. Later, then.
            if error.errno != _EBUSY:
                self._lost(error.errno)
        elif not isinstance(error, MemoryError):
            pump._report(error)
            self._end("error")
        elif self.stage == "open" and not conn.error:
            conn.fail(1009, "memory")
            self._failed(conn)
        else:
            self._end("memory")
