"""A user's function, called with as many of an event's arguments as it takes.

A Lua function may declare fewer than it is given; what is ported from Lua does so. Loaded by the
facades of `lua_compat`.
"""

import sys

from _wscore import call


class Handler:
    """One handler.

    owner: its first argument. function: the user's. count: how many arguments it takes, -1: not
    known yet.
    """

    def __init__(self, owner, function):
        """owner, function: see above."""
        self.owner = owner
        self.function = function
        self.count = -1

    def call(self, count, data=None, opcode=None):
        """Call it for an event that delivers count arguments: (owner, data, opcode)[:count]."""
        if self.count < 0:
            self._learn(count, data, opcode)
        else:
            call(self.function, self.count, self.owner, data, opcode)

    def attempt(self, count, data=None, opcode=None):
        """As call(), but print an exception."""
        try:
            self.call(count, data, opcode)
        except Exception as e:
            sys.print_exception(e, sys.stderr)

    def _learn(self, count, data, opcode):
        while True:
            try:
                self.count = count
                return call(self.function, count, self.owner, data, opcode)
            except TypeError as e:
                import io  # here: it is built in, and a name of the module would cost RAM

                self.count = -1
                # Raised by the call itself, the traceback ends here: in call() if that is Python.
                text = io.StringIO()
                sys.print_exception(e, text)
                frames = 1 if sys.modules["modwebsocket"].native else 2
                if not count or text.getvalue().count("\n  File ") > frames:
                    self.count = count
                    raise
                count -= 1
