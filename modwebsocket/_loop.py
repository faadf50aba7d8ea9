"""The links of a script that runs asyncio: its loop turns their crank.

Loaded once such a link is made; `pump` says which.
"""

import gc
import select
import sys
from time import ticks_diff, ticks_ms

from micropython import const

from . import pump

_RESERVE_LEN = const(96)

_core = sys.modules["asyncio.core"]
_clock = None  # the task that runs the timers
_asleep = False  # it waits for the next of them
_home = None  # the loop's queue, in which it is
_queue = None  # the loop's IOQueue, whose poller has our sockets, too
_broken = False  # that poller must not be asked any more
_reserve = None  # for wait()
_left = False  # pump has links that a loop had


def watch(link):
    """Have a link served when its socket can be read, or also written if it is blocked."""
    global _broken, _queue
    queue = _core._io_queue
    if queue is not _queue:
        _queue = queue
        _broken = False
        queue.wait_io_event = _begin_to_wait
    if _broken:
        return
    wanted = _wanted(link)
    if not wanted:
        return queue.poller.unregister(link._sock)
    try:
        queue.poller.register(link._sock, wanted)
    except MemoryError:
        # MicroPython leaves an entry on which unregister() and poll() crash.
        _broken = True


def _wanted(link):
    # What a link's socket is to be asked, as pump._watch() has it.
    wanted = select.POLLOUT if link._blocked else 0
    if not (link._paused or link._full):
        wanted |= select.POLLIN
    return wanted


def wait(sock, i):
    """Have the task that yields next wait until sock can be read (i 0) or written (i 1).

    Raises MemoryError.
    """
    global _reserve
    queue = _core._io_queue
    try:
        if _reserve is None:
            _reserve = bytearray(_RESERVE_LEN)
        queue._enqueue(sock, i)
    except MemoryError:
        # asyncio keeps an entry, and its poll object one on which it would crash, until it is
        # filled.
        queue.map.pop(id(sock), None)
        _reserve = None
        gc.collect()
        queue.poller.register(sock, 0)
        queue.poller.unregister(sock)
        raise


def unwatch(link):
    """Undo watch()."""
    if not _broken:
        _queue.poller.unregister(link._sock)


def _begin_to_wait(dt):
    # Stands in for IOQueue.wait_io_event().
    wait = _wait(_queue).send
    wait(None)
    _queue.wait_io_event = wait
    wait(dt)


def _wait(queue):
    # Resumed with dt, does what IOQueue.wait_io_event(dt) does, and serves links: a task that
    # waits for their sockets would cost three times as much. A generator, because a function's
    # frame with so many variables would be allocated each time.
    by_sock = pump._by_sock
    nobody = _core.Task(None)
    waited = False
    try:
        dt = yield
        while True:
            if waited and not dt:
                # The loop asks once more before it runs the task that was woken.
                waited = False
            elif _broken:
                _renew_poller()
            else:
                ready = queue.poller.ipoll(dt)
                pump._turning = True
                again = True
                while again:
                    again = False
                    try:
                        for sock, event in ready:
                            link = by_sock.get(sock)
                            if link is None:
                                _wake(queue, sock, event)
                            else:
                                # A handler may cancel any task.
                                _core.cur_task = nobody
                                pump._serving = link
                                conn = link._conn
                                if link._blocked:
                                    link._unblock()
                                elif conn.response:
                                    link._receive()
                                else:
                                    event = conn.receive(link._stream)
                                    if event:
                                        link._see_to(event)
                    except Exception as e:
                        again = True
                        pump._rescue(e)
                pump._turning = False
                sock = link = conn = None  # an ended one's memory is free
                waited = dt
            dt = yield
    finally:
        # Ctrl-C.
        pump._turning = False
        queue.wait_io_event = _begin_to_wait


def _wake(queue, sock, event):
    # Wakes the tasks that wait for a stream of asyncio's.
    entry = queue.map[id(sock)]
    wanted = 0
    for i, mine, other in ((0, select.POLLIN, select.POLLOUT), (1, select.POLLOUT, select.POLLIN)):
        if entry[i]:
            if event & ~other:
                _core._task_queue.push(entry[i])
                entry[i] = None
            else:
                wanted |= mine
    if wanted:
        queue.poller.modify(sock, wanted)
    else:
        queue._dequeue(sock)


def _renew_poller():
    global _broken
    try:
        poller = select.poll()
        for reader, writer, sock in _queue.map.values():
            poller.register(sock, (select.POLLIN if reader else 0)
                            | (select.POLLOUT if writer else 0))
        for link in pump._links:
            if link._sock and link._in_loop and _wanted(link):
                poller.register(link._sock, _wanted(link))
    except MemoryError:
        if not pump._links:
            raise
        return pump._links[-1]._end("memory")
    _queue.poller = poller
    _broken = False


def start_clock():
    """Have the timers run, at once: one may be due earlier than the clock knows."""
    global _clock, _asleep, _home
    if _home is not _core._task_queue:
        # A new event loop: what waited in another one is not run any more.
        _home = _core._task_queue
        _clock = None
        for link in pump._links:
            if link._in_loop and link._sock:
                watch(link)
    if not _clock:
        _asleep = False
        _clock = _core.create_task(_tell_time())
    elif _asleep:
        _asleep = False
        _clock.cancel()


def leave():
    """Leave the links to `pump` if asyncio's loop does not run any more; True if that is so.

    Until it runs again.
    """
    global _left, _asleep
    if _core.cur_task:
        return False
    for link in pump._links:
        if link._in_loop:
            _left = True
            if link._sock:
                pump._unwatch(link)
            link._in_loop = False
            if link._sock:
                pump._watch(link)
    if _left and _asleep and _home is _core._task_queue:
        _asleep = False
        _clock.cancel()
    return True


def _take_back():
    global _left
    _left = False
    pump._loop = sys.modules[__name__]
    for link in pump._links:
        if not link._in_loop:
            if link._sock:
                pump._unwatch(link)
            link._in_loop = True
            if link._sock:
                pump._watch(link)


def _guard(function, sock):
    pump._turning = True
    try:
        function(sock)
    except Exception as e:
        pump._rescue(e)
    finally:
        pump._turning = False


def _tell_time():
    global _clock, _asleep
    try:
        while pump._links:
            if _left:
                _take_back()
            left = ticks_diff(pump._next_at, ticks_ms())
            if left > 0:
                _asleep = True
                try:
                    yield from _core.sleep_ms(left)
                except _core.CancelledError:
                    pass  # start_clock()
                except MemoryError:
                    pass  # for want of one for that
                _asleep = False
            else:
                pump._turning = True
                try:
                    pump._run_timers()
                except Exception as e:
                    pump._rescue(e)
                pump._turning = False
                yield from _core.sleep_ms(0)
    finally:
        pump._turning = False
        _clock = None
