"""Names for the numbers of the engine's API.

The engine itself has them compiled in and never loads this.
"""

# Roles.
CLIENT = 0
SERVER = 1

# Connection.state (RFC 6455 §4.1, §7.1).
CONNECTING = 0
OPEN = 1
CLOSING = 2
CLOSED = 3

# Opcodes; also the events of them.
TEXT = 1
BINARY = 2
CLOSE = 8
PING = 9
PONG = 10

# Further events of Connection.
NONE = 0  # feed more
OPENED = 3  # the handshake succeeded
FAILED = -1  # Connection.error says why; the close frame is on its way
END = -3  # the stream has ended
FLUSH = -4  # something waits to be flushed
MORE = -5  # the stream may have more: receive() again, in due course
PAUSED = 16  # see Codec.pause()

# Further events of Link; OPENED is one, too.
DRAINED = 4  # all that was sent has gone to the network; see Link.notify_drained
ENDED = 5  # the last one, exactly once; the Link's attributes say why
WAITING = 6  # of Reconnecting: before the next try; data: ms

# What send_now() returns if it took nothing.
NOT_TAKEN = -2
