"""A Link that comes back: `Reconnecting`, for the callback style."""

from errno import ENOTCONN
from time import ticks_diff, ticks_ms

from micropython import const

from . import pump
from .link import Link
from .reconnect import Policy

# See events.py.
_TEXT = const(1)
_OPENED = const(3)
_ENDED = const(5)
_WAITING = const(6)

_LATER_MS = const(1000)  # without memory to ask the policy


class Reconnecting:
    """One Link after the other.

    link: the one that is or was last; its attributes say why it ended. None: it could not be made.
    policy: its Policy.
    """

    # As `pump` sees it while it waits: a link without a socket.
    _sock = _conn = _in_loop = None
    _paused = _blocked = False

    def __init__(self, url, handler, policy=None, **options):
        """Begin to connect.

        url, handler, options: see Link. The handler gets OPENED for each connection, WAITING
        (data: for how many ms, before the next try) when one has failed or ended, and ENDED once:
        when policy says so, or after close() or abort().
        policy: a reconnect.Policy, None: the default one.
        Raises what Link raises.
        """
        self.policy = policy if policy is not None else Policy()
        self._url = url
        self._handler = handler
        self._options = options
        self._opened_at = None
        self._cause = None  # why there is no other try: "closed", or what abort() was told
        self._waits = False
        self._calling = False
        self.link = None
        self._connect()

    def send(self, data, opcode=_TEXT):
        """As Link.send(); OSError(ENOTCONN) while there is no connection."""
        if self.link is None:
            raise OSError(ENOTCONN)
        return self.link.send(data, opcode)

    def close(self, code=1000, reason=""):
        """As Link.close(); no other try follows."""
        self._stop("closed", code, reason)

    def abort(self, cause):
        """As Link.abort(); no other try follows."""
        self._stop(cause, 0, "")

    # ---- The link's side

    def _connect(self):
        self._opened_at = None
        self.link = None  # while the next one is made, its memory is free
        self.link = Link(self._url, self._on_event, **self._options)

    def _on_event(self, event, data):
        if event == _ENDED:
            link = self.link
            open_ms = 0
            if self._opened_at is not None:
                open_ms = ticks_diff(ticks_ms(), self._opened_at)
            self._next(link.cause, link.code, link.status, open_ms)
            return
        if event == _OPENED:
            self._opened_at = ticks_ms()
        self._handler(event, data)

    def _next(self, cause, code, status, open_ms):
        wait_ms = None
        try:
            if not self._cause:
                try:
                    wait_ms = self.policy.wait_ms(cause, code, status, open_ms)
                except MemoryError:
                    wait_ms = _LATER_MS
            if wait_ms is not None:
                pump._adopt(self)
        except Exception as e:
            # The user's policy, or not even memory to wait: that must not end without a word.
            pump._report(e)
            cause = "memory" if isinstance(e, MemoryError) else "error"
            wait_ms = None
        if wait_ms is None:
            self._cause = self._cause or cause
            self._handler(_ENDED, None)
            return
        self._waits = True
        pump._arm(self, wait_ms)
        self._handler(_WAITING, wait_ms)

    def _stop(self, cause, code, reason):
        pump._alone(self, Reconnecting._stop_now, cause, (code, reason))

    def _stop_now(self, cause, how):
        self._cause = self._cause or cause
        if self._waits:
            pump._arm(self, 0)
        elif self.link is not None:
            if cause == "closed":
                self.link.close(how[0], how[1])
            else:
                self.link.abort(cause)

    # ---- What `pump` calls while it waits

    def _tick(self):
        # Returns True if no other try follows.
        self._waits = False
        if self._cause:
            return True
        pump._leave(self)
        try:
            self._connect()
        except (MemoryError, OSError, RuntimeError):
            # The address was good before: what lacks is memory, or stack.
            self._next("memory", 1006, 0, 0)

    def _left_handler(self):
        return True

    def _settle(self, error):
        pump._report(error)
