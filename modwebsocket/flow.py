"""Holds back what a Link receives: it stays where it is, and the peer's sending comes to wait.

Loaded by those who need it.
"""

from micropython import const

from . import pump

_READ_ON = const(2)  # see link.py


def pause(link):
    """Deliver nothing more and read nothing more, until resume().

    Ends by itself when the link closes. Meanwhile no ping is answered or sent: what the peer says
    is not read, so that nobody can tell whether it is alive.
    """
    pump._alone(link, _pause, None, None)


def _pause(link, _, __):
    if link.stage == "open" and not link.cause and not link._paused:
        link._paused = True
        link._conn.codec.pause(True)
        pump._watch(link)


def resume(link):
    """Go on; what was read before pause() comes first, soon."""
    pump._alone(link, _go_on, None, None)


def _go_on(link, _, __):
    if link._paused:
        link._paused = False
        if link._conn is not None:
            link._conn.codec.pause(False)
            link._resume = _READ_ON  # TLS may hold what no socket tells of
            pump._watch(link)
            pump._arm(link, 0)
