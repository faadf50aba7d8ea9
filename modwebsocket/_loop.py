"""The links of a script that runs asyncio: its loop turns their crank.

Loaded once such a link is made; `pump` says which.
"""

import gc
import sys
from time import ticks_diff, ticks_ms

from micropython import const

from . import pump

_RESERVE_LEN = const(96)

_core = sys.modules["asyncio.core"]
_clock = None  # the task that runs the timers
_asleep = False  # it waits for the next of them
_reserve = None  # for wait()
_home = None  # the loop's queue, in which it is


def watch(link):
    """Have a link served when its socket can be read, or also written if it is blocked."""
    tasks = link._tasks
    for i in range(2 if link._blocked else 1):
        if not tasks[i] and (i or not (link._full or link._paused)):
            tasks[i] = _core.create_task(_task(link, link._sock, i))


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
    tasks = link._tasks
    for i in range(2):
        if tasks[i] and tasks[i] is not _core.cur_task:
            tasks[i].cancel()
        tasks[i] = None


def _task(link, sock, i):
    # Serves link when its socket can be read (i 0) or written (i 1), for as long as that is
    # wanted.
    while link._sock is sock and (link._blocked if i else not (link._full or link._paused)):
        try:
            yield wait(sock, i)
            if link._sock is sock:
                _guard(pump._serve, sock)
        except MemoryError as e:
            link._settle(e)
    if link._sock is sock:
        link._tasks[i] = None


def start_clock():
    """Have the timers run, at once: one may be due earlier than the clock knows."""
    global _clock, _asleep, _home
    if _home is not _core._task_queue:
        # A new event loop: what waited in another one is not run any more.
        _home = _core._task_queue
        _clock = None
        for link in pump._links:
            if link._tasks:
                link._tasks = [None, None]
                if link._sock:
                    watch(link)
    if not _clock:
        _asleep = False
        _clock = _core.create_task(_tell_time())
    elif _asleep:
        _asleep = False
        _clock.cancel()


def leave():
    """Leave the links to `pump` if asyncio's loop does not run any more; True if that is so."""
    if _core.cur_task:
        return False
    for link in pump._links:
        if link._tasks:
            if link._sock:
                pump._unwatch(link)
            link._tasks = None
            if link._sock:
                pump._watch(link)
    return True


def _guard(function, *args):
    pump._turning = True
    try:
        function(*args)
    except Exception as e:
        pump._rescue(e)
    finally:
        pump._turning = False


def _tell_time():
    global _clock, _asleep
    try:
        while pump._links:
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
                _guard(pump._run_timers)
                yield from _core.sleep_ms(0)
    finally:
        _clock = None
