"""The driver for callbacks: DNS, TCP, deadlines and timers; it moves the bytes of `connection`.

A Link is one WebSocket from connect to its one ENDED event. Who turns the crank depends on
where the script runs: inside asyncio every link is a task; on a chip a timer interrupts the script
or the idle REPL; on the unix port, when the script's last line is done, the process serves until
the last link ended; `step()` is one turn by hand.
"""

import binascii
import os
import select
import socket
import sys
from errno import EINPROGRESS, ENOTCONN
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

try:
    from machine import Timer
except ImportError:
    Timer = None

from . import handshake
from .connection import Connection
from .url import parse

# Events of `handler(event, data)`: opcodes TEXT, BINARY, PING and PONG with their payload, and
OPENED = const(3)  # data: None
DRAINED = const(4)  # all that was sent has gone to the network; data: None; see notify_drained
ENDED = const(5)  # the last one, exactly once; data: None; the Link's attributes say why

_TEXT = const(1)
_BINARY = const(2)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)
_CLOSED = const(3)  # Connection.state
_NOT_TAKEN = const(-2)  # by Connection.send_now()

_MAX_UNANSWERED_PINGS = const(2)
_PERIOD_MS = const(20)  # of the timer in the background
_SOON_MS = const(2)  # a new link's constructor has returned by then
_SO_CALLBACK = const(20)
_MAX_READS = const(8)  # for one hint: the user's code shall go on too
_LONG_READ = const(512)  # bytes; what comes in one piece may be read in several, all but one long
_FOREVER_MS = const(1 << 28)  # about three days, and within what ticks_diff() can tell

_links = []  # from connect to ENDED
_by_sock = {}  # socket -> Link
_poller = select.poll()
_next_at = 0  # ticks (ms) of the earliest timer of all links
_clock = None  # inside asyncio: the task that runs the timers
_urgent = False  # a link's timer is due at once
_timer = None  # in the background
_interrupt = None  # what it calls
_exposed = Timer is not None  # True: what runs in the background may interrupt what runs now
_exit = None  # what sys.atexit() held before us
_exit_set = False


class Link:
    """One WebSocket of the callback style.

    Read-only; final once ENDED was delivered:
    stage: how far it is or got: "dns", "tcp", "http", "open" or "closing".
    cause: why it ends or ended, else None: "closed" (by close(), whatever the peer then did),
    "peer" (its close frame), "eof" (TCP ended without one), "dns", "deadline" (no connection
    in time), "http" (status not 101), "handshake" (a wrong 101), "protocol", "text", "too big",
    "memory", "reassembly" (see WebSocketError), "health" (pings unanswered), "os", "error" (of
    ours: it was printed), or what abort() was told.
    errno: of the OSError behind "os" and "dns", else 0. status: HTTP status, 0 if none came.
    code, reason: of the peer's close frame, 1006 and "" if none came. text: what was wrong.
    unsent_len: bytes, with their frames' headers, that send() took and the network did not.
    """

    def __init__(self, url, handler, *, headers=(), defaults=(), protocols=(), name_port=False,
                 connect_timeout_ms=10000, ping_interval_ms=30000, close_timeout_ms=5000,
                 **limits):
        """Begin to connect; everything after the arguments' check happens later.

        url: str, ws://. handler: called as handler(event, data). headers, defaults: see
        handshake.request(). protocols: the sub-protocols that they offer. name_port: True names
        the port in the Host header even if it is the scheme's own.
        connect_timeout_ms: for DNS, TCP and the upgrade together. ping_interval_ms: silence
        before a ping is sent, 0: never; the third silence in a row ends the link.
        close_timeout_ms: the peer's time to answer a close frame.
        limits: rx_len, tx_len, max_message_len, max_queue_len of Connection.
        Raises URLError, ValueError, TypeError, MemoryError.
        """
        secure, self._host, self._port, path, userinfo = parse(url)
        if secure:
            raise NotImplementedError("wss")
        host = "[%s]" % self._host if ":" in self._host else self._host
        if name_port or self._port != 80:
            host += ":%d" % self._port
        if userinfo:
            headers = list(headers) + [("Authorization", handshake.basic_auth(userinfo))]
        key = binascii.b2a_base64(os.urandom(16))[:-1]
        request = handshake.request(host, path, key, headers, defaults)
        self._conn = Connection(os.urandom(20), **limits)
        self._conn.start(request, key, protocols)
        self._handler = handler
        self.on_message = handler  # may be set to another function for TEXT and BINARY
        self._sock = None
        self._tasks = None  # inside asyncio: [reader, writer]
        self._addresses = None
        self._blocked = True  # waiting until the socket takes bytes
        self._broken = 0  # errno of a write, told when nobody's code is on the stack
        self._calling = False  # the handler is running
        self._resume = False  # events are left behind one whose handler failed
        self._pings = 0  # sent since anything was heard
        self._ping_at = self._heard_at = 0
        self._ping_interval_ms = ping_interval_ms
        self._close_timeout_ms = close_timeout_ms
        self._drained = False  # DRAINED is due once nothing waits
        self.notify_drained = False  # True: deliver DRAINED
        self.no_memory = None  # see send()
        self.stage = "dns"
        self.cause = None
        self.errno = self.status = 0
        self.code = 1006
        self.reason = self.text = ""
        self.unsent_len = 0
        self._at = self._deadline_at = ticks_add(ticks_ms(), connect_timeout_ms)
        _links.append(self)
        _adopt(self)
        self._arm(_SOON_MS if _exposed else 0)

    # ---- The user's side

    def send(self, data, opcode=_TEXT):
        """Send a message (or ping, pong): see Connection.send(), whose errors are raised.

        With the attribute no_memory set, a failed allocation ends the link with that cause (str)
        instead of raising MemoryError.
        Returns True if all of it went to the network, False if some of it waits.
        """
        if _exposed:
            return self._alone(Link.send, data, opcode)
        conn = self._conn
        if self.stage != "open" or conn is None:
            raise OSError(ENOTCONN)
        result = conn.send_now(data, opcode, None if self._blocked else self._sock)
        if result == _NOT_TAKEN:
            self._send_later(data, opcode)
        if not result and not self.notify_drained:
            return True
        self._drained = self.notify_drained
        if self._blocked:
            return False
        return self._flush() if result == _NOT_TAKEN else self._flushed(result)

    def _send_later(self, data, opcode):
        try:
            self._conn.send_later(data, opcode)
        except MemoryError:
            if self.no_memory is None:
                raise
            self.abort(self.no_memory)

    def close(self, code=1000, reason=""):
        """Close; ENDED follows, with the cause "closed".  A second call does nothing.

        What waits goes first, for as long as the network takes it. See Connection.close().
        Before OPENED the attempt is given up.
        """
        if _exposed:
            return self._alone(Link.close, code, reason)
        if self._conn is None or self.cause:
            return
        self._conn.close(code, reason)
        self.cause = "closed"
        if self.stage == "open":
            self._linger()
            self._flush()
        else:
            self._arm(0)

    def abort(self, cause):
        """End without a closing handshake; ENDED follows, with this cause (str)."""
        if self._conn and not self.cause:
            self.cause = cause
            self._arm(0)

    def _alone(self, function, first, second):
        # Calls function while nothing is served in the background.
        global _exposed
        _exposed = False
        try:
            first = function(self, first, second)  # another local would put the frame on the heap
        finally:
            _exposed = True
        return first

    # ---- The driver's side

    def _arm(self, wait_ms):
        # Sets the link's timer: _tick() is due in wait_ms.
        global _next_at, _urgent
        self._at = at = ticks_add(ticks_ms(), wait_ms)
        if not wait_ms:
            _urgent = True
        if len(_links) == 1 or ticks_diff(at, _next_at) < 0:
            _next_at = at
            if _clock:
                _start_clock()

    def _linger(self):
        # The closing handshake has begun: from here on its time is bounded.
        if self.stage != "closing":
            self.stage = "closing"
            self._extend()

    def _extend(self):
        self.unsent_len = self._conn.unsent_len()
        self._deadline_at = ticks_add(ticks_ms(), self._close_timeout_ms)
        self._arm(self._close_timeout_ms)

    def _left_ms(self):
        return max(0, ticks_diff(self._deadline_at, ticks_ms()))

    def _tick(self):
        if self._resume:
            self._resume = False
            self._receive(False)
            if not self._conn:
                return
        stage = self.stage
        if self._broken:
            # What the peer sent before it went may still be here to read: a close frame.
            while stage != "tcp" and self._receive():
                pass
            if self._conn:
                self._lost(self._broken)
        elif stage == "closing":
            if self._conn.state == _CLOSED and not self._blocked:
                self._end(None)
            elif self._left_ms():
                self._arm(self._left_ms())
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
            self._arm(self._left_ms())
        else:
            try:
                self._addresses = socket.getaddrinfo(
                    self._host, self._port, 0, socket.SOCK_STREAM
                )
            except OSError as e:
                self.errno = e.errno
            if not self._addresses:
                return self._end("dns")
            self._dial()

    def _keep_alive(self):
        if self._drained and not self._blocked:
            self._drained = False
            self._call(DRAINED, None)
            if self.stage != "open" or self._drained:
                return  # and a send() in the handler has set the timer
        interval_ms = self._ping_interval_ms
        if not interval_ms:
            return self._arm(_FOREVER_MS)
        now = ticks_ms()
        left = interval_ms - ticks_diff(now, self._ping_at if self._pings else self._heard_at)
        if left <= 0:
            # The script may have been busy for long: what came meanwhile counts.
            heard_at = self._heard_at
            self._receive()
            if self.stage != "open" or not self._conn:
                return
            if self._heard_at == heard_at:
                if self._pings == _MAX_UNANSWERED_PINGS:
                    return self._end("health")
                self._ping(now)
            left = interval_ms
        if not self._broken:
            self._arm(left)

    def _ping(self, now):
        self._pings += 1
        self._ping_at = now
        # Not behind what waits: there it would say nothing.
        result = self._conn.send_now(b"", _PING, None if self._blocked else self._sock)
        if result != _NOT_TAKEN and not self._blocked:
            self._flushed(result)

    def _dial(self):
        address = self._addresses.pop(0)
        self.stage = "tcp"
        self._arm(self._left_ms())
        self._blocked = True
        self._sock = sock = socket.socket(address[0], address[1])
        sock.setblocking(False)
        try:
            sock.setsockopt(6, getattr(socket, "TCP_NODELAY", 1), 1)
        except OSError:
            pass
        try:
            sock.connect(address[-1])
        except OSError as e:
            if e.errno != EINPROGRESS:
                raise
        _watch(self)

    def _unblock(self):
        # The socket, for which the link was waiting, can be written (or is connected).
        self._flush()
        if self.stage == "tcp":
            if self._broken:
                return
            self.stage = "http"
        if not self._broken:
            self._receive()

    def _flush(self):
        # Returns True if nothing waits any more.
        return not self._broken and self._flushed(self._conn.flush(self._sock))

    def _flushed(self, result):
        # What flush() returned: the same as _flush().
        if result > 0:
            self._broken = result
            self._blocked = True
            self._arm(0)
            return False
        if self._conn.state == _CLOSED or (self._drained and self.stage == "open"):
            if not result:
                self._arm(0)
        if self._blocked is not (result < 0):
            self._blocked = not self._blocked
            _watch(self)
        return not result

    def _receive(self, fill=True):
        # One read (unless fill is False) and all its events.  Returns the bytes read, 0 if there
        # can be no more to read.
        conn = self._conn
        n = 0
        if fill:
            n = conn.fill(self._sock)
            if not n:
                if n == 0:
                    self._end("eof")
                return 0
            self._heard_at = ticks_ms()
            self._pings = 0
        while True:
            event = conn.next_event()
            if event == 0:
                return n
            if 0 < event <= _BINARY:
                data = conn.data()
                self._calling = True
                self.on_message(event, data)
                self._calling = False
            else:
                self._on_event(conn, event)
            if self._conn is not conn:
                return 0

    def _call(self, event, data):
        self._calling = True
        self._handler(event, data)
        self._calling = False

    def _on_event(self, conn, event):
        # Events that are not messages.
        if event == _PING:
            self._flush()
        elif event == _PONG:
            self._call(event, conn.data())
        elif event == OPENED:
            self.status = 101
            self.stage = "open"
            conn.response = None
            self._arm(self._ping_interval_ms or _FOREVER_MS)
            self._call(event, None)
        elif event == _CLOSE:
            self.cause = self.cause or "peer"
            self._linger()
            self._flush()
        else:
            self._failed(conn)

    def _failed(self, conn):
        self.text = conn.error.args[-1]
        if self.stage == "http":
            return self._end("handshake" if conn.response.status == 101 else "http")
        # The close frame goes out, and the peer gets time to read it: a socket closed with
        # bytes unread would take it back.
        self.cause = self.cause or self.text
        self._linger()
        self._flush()

    def _lost(self, errno):
        # The network failed.
        while self.stage == "tcp" and self._addresses and not self.cause:
            self._hang_up()
            self._broken = 0
            try:
                return self._dial()
            except OSError as e:
                errno = e.errno
        if not self.cause:
            self.errno = errno
        self._end("os")

    def _hang_up(self):
        if self._sock:
            _unwatch(self)
            self._sock.close()
            self._sock = None

    def _end(self, cause):
        # cause: unless there is one already.
        conn = self._conn
        self._hang_up()
        _links.remove(self)
        if _timer and not _links:
            _stop_timer()
        self._conn = None
        self.cause = self.cause or cause
        if self.stage in ("open", "closing"):
            self.unsent_len = conn.unsent_len()
        if conn.response:
            self.status = conn.response.status
        self.code = conn.close_code
        self.reason = conn.close_reason
        self._call(ENDED, None)


# ---- Turning the crank


# A message's way has no `try` and no frame of more than 11 slots: MicroPython would allocate
# those on the heap.  _turn() notes whom it serves, and those who call it catch what escapes.
_serving = None
_turning = False  # step() or run() is at work


def _serve(sock):
    # sock can be read, or written if its link waits for that.
    global _serving
    _serving = link = _by_sock.get(sock)
    # `is None` throughout: the truth of an object is two failed look-ups.
    if link is not None:
        if link._blocked:
            link._unblock()
        else:
            link._receive()


def _report(error):
    sys.print_exception(error, sys.stderr)


def _rescue(error):
    # What failed while a link was served ends that link, never the pump; an error of the
    # user's handler ends nothing. Another handler may fail meanwhile: that of the link's end.
    for _ in range(3):
        try:
            return _settle(error)
        except Exception as e:
            error = e


def _settle(error):
    link = _serving
    if not link:
        _report(error)
    elif link._calling:
        link._calling = False
        if link._conn:
            # The events behind the one whose handler failed.
            link._resume = True
            link._arm(0)
        _report(error)
    elif not link._conn:
        _report(error)
    elif isinstance(error, OSError):
        link._lost(error.errno)
    elif not isinstance(error, MemoryError):
        _report(error)
        link._end("error")
    elif link.stage == "open" and not link._conn.error:
        link._conn.fail(1009, "memory")
        link._failed(link._conn)
    else:
        link._end("memory")


def _run_timers():
    global _next_at, _serving, _urgent
    _urgent = False
    now = ticks_ms()
    # Backwards and by index: links end and begin while this runs, and nothing is allocated.
    i = len(_links)
    while i:
        i -= 1
        if i < len(_links):
            link = _links[i]
            if ticks_diff(link._at, now) <= 0:
                _serving = link
                link._tick()
    _next_at = ticks_add(now, _FOREVER_MS)
    for link in _links:
        if ticks_diff(link._at, _next_at) < 0:
            _next_at = link._at


def _turn(wait_ms):
    left = ticks_diff(_next_at, ticks_ms())
    if not _poller:
        _renew_poller()
        wait_ms = 0
    elif left <= 0:
        _run_timers()
        wait_ms = 0
    elif wait_ms < 0 or left < wait_ms:
        wait_ms = left
    if _poller:
        for ready in _poller.ipoll(wait_ms):
            _serve(ready[0])


def _rest():
    # The sockets that a turn, which an error cut short, had found ready behind the one that
    # failed: else one that fails all the time would keep the others waiting for ever.
    if _poller:
        for ready in _poller:
            _serve(ready[0])


def _begin():
    global _turning, _exposed, _clock
    exposed = _exposed
    _exposed = False
    if _turning or (_serving and _serving._calling):
        _exposed = exposed
        raise RuntimeError("in a handler")
    _turning = True
    core = sys.modules.get("asyncio.core")
    if core and not core.cur_task:
        _clock = None
        for link in _links:
            if link._tasks:
                # Its asyncio loop is not running.
                if link._sock:
                    _unwatch(link)
                link._tasks = None
                if link._sock:
                    _watch(link)


def _finish():
    global _turning, _exposed
    _turning = False
    _exposed = Timer is not None


def step(wait_ms=-1):
    """Serve what is due, after waiting for it.

    wait_ms: how long to wait at most, -1: until something happens.
    Returns True while a link is left. Raises RuntimeError in a handler.
    """
    _begin()
    try:
        if _links:
            _turn(wait_ms)
    except Exception as e:
        _rescue(e)
    finally:
        _finish()
    return bool(_links)


def run():
    """Serve until no link is left.

    Raises RuntimeError in a handler.
    """
    _begin()
    try:
        while _links:
            try:
                _rest()
                while _links:
                    _turn(-1)
            except Exception as e:
                _rescue(e)
    finally:
        _finish()


def _at_exit():
    # The main script has ended: with an exception the process ends too.
    error = sys.exc_info()[1] if hasattr(sys, "exc_info") else None
    try:
        if error is None or isinstance(error, (StopIteration, GeneratorExit)):
            run()
    except Exception as e:
        _report(e)
    except SystemExit:
        pass
    if callable(_exit):
        _exit()


# ---- In the background


def _start_timer():
    global Timer, _timer, _exposed, _interrupt
    try:
        _timer = timer = Timer(-1)
    except ValueError:
        # All timers of this port are hardware (ESP32) and the user's.
        Timer = None
        _exposed = False
        return
    if not _interrupt:
        _interrupt = _serve_in_background().send
        _interrupt(None)
    timer.init(mode=Timer.PERIODIC, period=_PERIOD_MS, callback=_interrupt)


def _stop_timer():
    global _timer
    _timer.deinit()
    _timer = None


def _serve_in_background():
    # MicroPython's scheduler resumes this at any point of the user's code.  what: the socket that
    # has news, which is only a hint: it may get lost, and none comes when a connection stands or a
    # socket can be written again; or the timer, which makes up for that.
    # A function's frame with so many `try`s would be allocated every time, a generator's is once.
    global _exposed, _turning, _serving
    modules = sys.modules
    by_sock = _by_sock
    while True:
        what = yield
        if not _exposed or ("asyncio.core" in modules and modules["asyncio.core"].cur_task):
            continue
        link = by_sock.get(what)
        try:
            try:
                if not link or link._blocked:
                    _begin()
                    _turn(0)
                else:
                    _exposed = False
                    _turning = True
                    _serving = link
                    # What is left behind a short read has a hint of its own.
                    reads = _MAX_READS
                    while reads and link._receive() >= _LONG_READ:
                        reads -= 1
                    if _urgent:
                        _run_timers()
            except Exception as e:
                _rescue(e)
        except BaseException as e:
            if _serving:
                _serving._calling = False
            _report(e)
        _turning = False
        _exposed = True


# ---- Who serves what


def _adopt(link):
    # Finds out who will serve a new link: asyncio, if its loop runs or may be about to.
    global _exit, _exit_set
    if Timer and not _timer:
        _start_timer()
    core = sys.modules.get("asyncio.core")
    if core and (core.cur_task or not _turning):
        link._tasks = [None, None]
        if not _clock:
            _start_clock()
    if not _exit_set and hasattr(sys, "atexit"):
        _exit_set = True
        _exit = sys.atexit(_at_exit)


def _watch(link):
    # Has link served when its socket can be read, or also written if the link is blocked.
    global _poller
    tasks = link._tasks
    _by_sock[link._sock] = link
    if tasks:
        for i in range(2 if link._blocked else 1):
            if not tasks[i]:
                create_task = sys.modules["asyncio.core"].create_task
                tasks[i] = create_task(_task(link, link._sock, i))
    elif _poller:
        if _timer:
            try:
                link._sock.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, _interrupt)
            except (OSError, TypeError, ValueError):
                pass
        try:
            _poller.register(link._sock, select.POLLIN | (select.POLLOUT if link._blocked else 0))
        except MemoryError:
            # MicroPython leaves an entry on which unregister() and poll() crash.
            _poller = None


def _renew_poller():
    global _poller
    try:
        _poller = select.poll()
    except MemoryError:
        pass
    for link in _links:
        if link._sock and not link._tasks:
            _watch(link)
    if not _poller:
        _links[-1]._end("memory")


def _unwatch(link):
    tasks = link._tasks
    watched = _by_sock.pop(link._sock, None)
    if tasks:
        for i in range(2):
            if tasks[i] and tasks[i] is not sys.modules["asyncio.core"].cur_task:
                tasks[i].cancel()
            tasks[i] = None
    elif watched and _poller:
        _poller.unregister(link._sock)


def _task(link, sock, i):
    # The asyncio task that serves link when its socket can be read (i 0) or, for as long as
    # that is wanted, written (i 1).
    queue = sys.modules["asyncio.core"]._io_queue
    while link._sock is sock and (link._blocked or not i):
        if i:
            yield queue.queue_write(sock)
        else:
            yield queue.queue_read(sock)
        if link._sock is sock:
            try:
                _serve(sock)
            except Exception as e:
                _rescue(e)
    if link._sock is sock:
        link._tasks[i] = None


def _start_clock():
    global _clock
    core = sys.modules["asyncio.core"]
    if _clock and _clock is core.cur_task:
        return
    if _clock:
        _clock.cancel()
    _clock = core.create_task(_tell_time(core))


def _tell_time(core):
    # The asyncio task that runs the timers.
    global _clock
    while _links:
        left = ticks_diff(_next_at, ticks_ms())
        if left > 0:
            yield from core.sleep_ms(left)
        else:
            try:
                _run_timers()
            except Exception as e:
                _rescue(e)
            yield from core.sleep_ms(0)
    _clock = None
