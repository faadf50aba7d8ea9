"""The links of a script that runs asyncio: its loop turns their crank.

Loaded once such a link is made; `pump` says which.
"""

import sys
from time import ticks_diff, ticks_ms

from . import pump

_core = sys.modules["asyncio.core"]
_clock = None  # the task that runs the timers


def watch(link):
    """Have a link served when its socket can be read, or also written if it is blocked."""
    tasks = link._tasks
    for i in range(2 if link._blocked else 1):
        if not tasks[i] and (i or not (link._full or link._paused)):
            tasks[i] = _core.create_task(_task(link, link._sock, i))


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
    queue = _core._io_queue
    while link._sock is sock and (link._blocked if i else not (link._full or link._paused)):
        if i:
            yield queue.queue_write(sock)
        else:
            yield queue.queue_read(sock)
        if link._sock is sock:
            _guard(pump._serve, sock)
    if link._sock is sock:
        link._tasks[i] = None


def start_clock(anew=True):
    """Have the timers run; anew: even if they do, because one is due earlier."""
    global _clock
    if _clock and (not anew or _clock is _core.cur_task):
        return
    if _clock:
        _clock.cancel()
    _clock = _core.create_task(_tell_time())


def leave():
    """Leave the links to `pump` if asyncio's loop does not run any more; True if that is so."""
    global _clock
    if _core.cur_task:
        return False
    _clock = None
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
    global _clock
    while pump._links:
        left = ticks_diff(pump._next_at, ticks_ms())
        if left > 0:
            yield from _core.sleep_ms(left)
        else:
            _guard(pump._run_timers)
            yield from _core.sleep_ms(0)
    _clock = None
