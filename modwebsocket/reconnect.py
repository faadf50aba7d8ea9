"""When to connect again: the policy alone, no I/O.

Exponential backoff with full jitter: after the n-th failure in a row, any time between now and
first_ms * 2 ** n, at most max_ms, is as likely as any other. So many devices that lose their
server at one moment do not come back at one moment (docs/reconnect.md shows it).
"""

import os

# Causes (Link.cause) that may be gone next time. Of the others, "protocol", "text", "handshake"
# are a server that would do it again, "too big", "reassembly" a message that it would send again,
# "closed" and those of abort() are ours.
_AGAIN = ("dns", "tls", "record", "deadline", "eof", "os", "health", "memory")

# Close codes after which a client may as well come back: going away, none given, none came,
# internal error, restart, try again later, bad gateway.
_AGAIN_CODES = (1001, 1005, 1006, 1011, 1012, 1013, 1014)
_LATER = (1013, 429, 503)  # close code or HTTP status of one that is overloaded
_MASK = 0x3FFFFFFF


def is_worth_another_try(cause, code, status):
    """Whether the same connect may do better next time.

    cause, code, status: see Link. Close codes 4000-4999 mean what the application says: here, to
    come back. Of HTTP's 4xx, 408, 425 and 429 are passing.
    """
    if cause == "peer":
        return code in _AGAIN_CODES or code >= 4000
    if cause == "http":
        return not 400 <= status < 500 or status in (408, 425, 429)
    return cause in _AGAIN


class Policy:
    """How long to wait between a connection's end and the next try.

    attempts: tries since a connection was last stable.
    """

    def __init__(self, first_ms=1000, max_ms=60000, stable_ms=30000, max_attempts=0,
                 worth=is_worth_another_try, random=None):
        """first_ms: the longest wait after the first failure; doubled by each that follows.

        max_ms: the longest wait of all. stable_ms: a connection that was open for so long was a
        good one, and counting starts anew behind it. max_attempts: give up after so many tries in
        a row, 0: never. worth: as is_worth_another_try(). random: random(n) returns an int of
        0..n-1; None: the system's.
        Raises ValueError unless 0 < first_ms <= max_ms.
        """
        if not 0 < first_ms <= max_ms:
            raise ValueError("first_ms, max_ms")
        self._first_ms = first_ms
        self._max_ms = max_ms
        self._stable_ms = stable_ms
        self._max_attempts = max_attempts
        self._worth = worth
        self._random = random or _random
        self.attempts = 0

    def wait_ms(self, cause, code=1006, status=0, open_ms=0):
        """How long to wait before the next try, ms; None: do not try again.

        cause, code, status: of the Link that has ended. open_ms: how long it was open.
        """
        if open_ms >= self._stable_ms:
            self.attempts = 0
        if not self._worth(cause, code, status):
            return None
        n = self.attempts
        if self._max_attempts and n >= self._max_attempts:
            return None
        self.attempts = n + 1
        most_ms = self._max_ms
        # An overloaded server is not asked soon. (No shift beyond what max_ms can need.)
        if not (code in _LATER or status in _LATER) and n < 30:
            most_ms = min(self._first_ms << n, most_ms)
        return self._random(most_ms + 1)


def _random(n):
    return (int.from_bytes(os.urandom(4), "little") & _MASK) % n
