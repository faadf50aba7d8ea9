"""Who is served when: turns the crank of every `link.Link`.

Who turns it depends on where the script runs: inside asyncio every link is a task; on a chip a
timer interrupts the script or the idle REPL; on the unix port, when the script's last line is
done, the process serves until the last link ended; `step()` is one turn by hand.

timer_id: the machine.Timer that does it on a chip, taken while there is a link; read when the
first one begins. -1: a virtual one, of which an ESP8266 has many and an ESP32 none: there, give
it one of the hardware's, or call run() or step(). None: no timer.
"""

import select
import socket
import sys
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

try:
    from machine import Timer
except ImportError:
    Timer = None

_ENDED = const(5)  # see events.py
_PERIOD_MS = const(20)  # of the timer in the background
_SO_CALLBACK = const(20)
_FOREVER_MS = const(1 << 28)  # about three days, and within what ticks_diff() can tell

timer_id = -1

_links = []  # from connect to ENDED
_by_sock = {}  # socket -> Link
_poller = select.poll()
_next_at = 0  # ticks (ms) of the earliest timer of all links
_loop = None  # the module, if asyncio's loop serves a link
_urgent = False  # a link's timer is due at once
_timer = None  # in the background
_adopting = False  # it is needed even if no link is left
_interrupt = None  # what it calls
_exposed = False  # True: what runs in the background may interrupt what runs now
_exit = False  # what sys.atexit() held before us; False: it holds that still


# A message's way has no `try` and no frame of more than 11 slots: MicroPython would allocate
# those on the heap.  _turn() notes whom it serves, and those who call it catch what escapes.
_serving = None
_turning = False  # a link is being served


def _serve(sock):
    # sock can be read, or written if its link waits for that.
    global _serving
    _serving = link = _by_sock.get(sock)
    # `is None` throughout: the truth of an object is two failed look-ups.
    if link is not None:
        conn = link._conn
        if link._blocked:
            link._unblock()
        elif conn.response:
            link._receive()
        else:
            # What _receive() does once the connection is open.
            event = conn.receive(link._stream)
            if event:
                link._see_to(event)


def _report(error):
    # Prints an exception that nobody can catch.
    sys.print_exception(error, sys.stderr)


def _rescue(error):
    # What failed while a link was served.  Another handler may fail meanwhile: that of its end.
    for _ in range(3):
        try:
            if _serving is None:
                _report(error)
            else:
                _serving._settle(error)
            return
        except Exception as e:
            error = e


def _alone(link, function, first, second):
    # Calls function(link, first, second) while nothing is served in the background.
    global _exposed
    if not _exposed:
        return function(link, first, second)
    _exposed = False
    try:
        first = function(link, first, second)  # another local would put the frame on the heap
    finally:
        _exposed = True
    return first


def _arm(link, wait_ms):
    # Sets a link's timer: its _tick() is due in wait_ms.
    global _next_at, _urgent
    link._at = at = ticks_add(ticks_ms(), wait_ms)
    if not wait_ms:
        _urgent = True
    if len(_links) == 1 or ticks_diff(at, _next_at) < 0:
        _next_at = at
        if _loop:
            _loop.start_clock()


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
                if link._tick():
                    # Always from here, few frames deep: the handler may well connect again, which
                    # takes much of a small stack.
                    _leave(link)
                    link._calling = True
                    link._handler(_ENDED, None)
                    link._calling = False
                    if not _links:
                        forget_handshake()
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


def _begin():
    # MicroPython looks for Ctrl-C where code jumps, which it does not between the first assignment
    # and the caller's `try`.
    global _turning, _exposed
    if _turning:
        raise RuntimeError("in a handler")
    _exposed = False
    _turning = True


def _take_over():
    # Takes the links that asyncio serves, unless its loop is running.
    global _loop
    if _loop and _loop.leave():
        _loop = None


def _cut_short():
    # Ctrl-C, or sys.exit() in a handler, ends what is at work.
    if _serving is not None:
        _serving._left_handler()


def _finish():
    global _turning, _exposed
    _turning = False
    _exposed = _timer is not None


def step(wait_ms=-1):
    """Serve what is due, after waiting for it.

    wait_ms: how long to wait at most, -1: until something happens.
    Returns True while a link is left. Raises RuntimeError in a handler.
    """
    _begin()
    try:
        _take_over()
        if _links:
            _turn(wait_ms)
    except Exception as e:
        _rescue(e)
    except BaseException:
        _cut_short()
        raise
    finally:
        _finish()
    return bool(_links)


def run():
    """Serve until no link is left.

    Raises RuntimeError in a handler.
    """
    _begin()
    try:
        _take_over()
        while _links:
            try:
                # The sockets that a turn, which an error cut short, had found ready behind the one
                # that failed: else one that fails all the time would keep the others waiting.
                if _poller:
                    for ready in _poller:
                        _serve(ready[0])
                while _links:
                    _turn(-1)
            except Exception as e:
                _rescue(e)
    except BaseException:
        _cut_short()
        raise
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
    global _timer, _exposed, _interrupt
    try:
        timer = Timer(timer_id)
    except ValueError:
        return  # this port has none of that number
    if not _interrupt:
        _interrupt = _serve_in_background().send
        _interrupt(None)
    timer.init(mode=Timer.PERIODIC, period=_PERIOD_MS, callback=_interrupt)
    _timer = timer
    _exposed = not _turning


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
                    _take_over()
                    _turn(0)
                else:
                    _exposed = False
                    _turning = True
                    _serving = link
                    conn = link._conn
                    if conn.response:
                        link._receive()
                    else:
                        event = conn.receive(link._stream)
                        if event:
                            link._see_to(event)
                    if _urgent:
                        conn = None  # while its end is told, its memory is the user's
                        _run_timers()
            except Exception as e:
                _rescue(e)
        except BaseException as e:
            _cut_short()
            _report(e)
        link = conn = None
        _turning = False
        _exposed = True


# ---- Who serves what


def _adopt(link):
    # Serves a new link: in asyncio, if its loop runs or may be about to.
    global _adopting, _exit, _loop, _next_at, _urgent
    _adopting = True
    # Room for it, before anything is begun that would have to be undone.
    _links.append(link)
    _links.pop()
    if Timer and timer_id is not None and not _timer:
        _start_timer()
    loop = _loop
    core = sys.modules.get("asyncio.core")
    within = bool(core and (core.cur_task or not _turning))
    if within:
        from . import _loop as loop

        loop.start_clock()
    if _exit is False and hasattr(sys, "atexit"):
        _exit = sys.atexit(_at_exit)
    link._at = ticks_ms()
    _urgent = True
    # MicroPython interrupts code only where it jumps, and no jump follows until whoever makes the
    # link has it in a variable.
    _loop = loop  # which the background may have dismissed meanwhile
    link._in_loop = within
    _links.append(link)
    _next_at = link._at
    _adopting = False


def _leave(link):
    # Serves a link no more.
    global _timer
    _links.remove(link)
    if _timer and not _links and not _adopting:
        _timer.deinit()
        _timer = None


def _watch(link):
    # Serves a link when its socket can be read, or also written if the link is blocked.
    global _poller
    _by_sock[link._sock] = link
    if link._in_loop:
        _loop.watch(link)
    elif _poller:
        if _timer:
            try:
                link._sock.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, _interrupt)
            except (OSError, TypeError, ValueError):
                pass
        wanted = select.POLLOUT if link._blocked else 0
        if not (link._paused or link._full):
            wanted |= select.POLLIN
        if not wanted:
            return _poller.unregister(link._sock)
        try:
            _poller.register(link._sock, wanted)
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
        if link._sock and not link._in_loop:
            _watch(link)
    if not _poller:
        _links[-1]._end("memory")


def _unwatch(link):
    # Undoes _watch().
    if _by_sock.pop(link._sock, None) is None:
        return
    if link._in_loop:
        _loop.unwatch(link)
    elif _poller:
        _poller.unregister(link._sock)


# Modules that serve only to connect: each connect loads them, and then their memory (most of a
# kilobyte) is the user's again.


def load_handshake():
    """Return the modules handshake and url. Raises MemoryError, RuntimeError."""
    try:
        # In this order, and not one inside the other: the stack is small.
        loaded = "modwebsocket.url" in sys.modules
        from . import url

        if not loaded:
            # The package's table of names would grow by a step for good if it held both.
            del sys.modules["modwebsocket"].url
        from . import handshake
    except BaseException:
        # MicroPython leaves an entry without a module, and the next import would crash.
        forget_handshake()
        raise
    return handshake, url


def forget_handshake():
    """Unload them, secure and redirect."""
    modules = sys.modules
    package = modules["modwebsocket"]
    modules.pop("modwebsocket.url", None)
    # The background may come in the middle of an import, when one is there and not yet the other.
    modules.pop("modwebsocket.handshake", None)
    if hasattr(package, "handshake"):
        del package.handshake
    modules.pop("modwebsocket.secure", None)
    if hasattr(package, "secure"):
        del package.secure
    modules.pop("modwebsocket.redirect", None)
    if hasattr(package, "redirect"):
        del package.redirect
