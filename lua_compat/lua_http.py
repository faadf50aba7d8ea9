"""lua-http's `http.websocket`, on MicroPython: client and server.

    from lua_compat import lua_http

    ws = lua_http.new_from_uri("ws://echo.example.com/")
    ok, message, errno = ws.connect(5)
    ws.send("hello")
    data, kind, errno = ws.receive()
    ws.close()

What can fail returns three values, as Lua fills them up with nil: (True, None, None), the data and
"text" or "binary" and None, or (None, message, errno). Such a tuple is always true: look at its
first value, or have check() do it. Timeouts are seconds, float; None: forever, 0: poll.
A call's mistakes (what Lua's assert() and error() say) are ValueError and TypeError.
Source: https://daurnimator.github.io/lua-http/0.4/#http.websocket
"""

# Few names: each costs heap, as does every function.
import sys

from micropython import const

_EPIPE = const(32)
_ENOTCONN = const(107)
_ETIMEDOUT = const(110)
_TEXT = const(1)
_BINARY = const(2)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)
_FOREVER_MS = const(1 << 28)  # three days, and within what ticks_diff() can tell


# Tables are tuples, not dicts: a frozen constant costs no RAM.


def _load(name):
    # The module of this name, loaded once it is needed.
    modules = sys.modules
    if modules.get(name):
        return modules[name]
    before = list(modules)
    try:
        __import__(name)
    except BaseException:
        # On what MicroPython leaves of modules that it could not import, the next import crashes.
        for one in modules:
            if one not in before:
                modules.pop(one, None)
        raise
    return modules[name]


def _find(table, key, step, default):
    for i in range(0, len(table), step):
        if table[i] == key:
            return table[i + 1 : i + step]
    return (default,)


def _failure(op, error):
    known = (
        12, "Cannot allocate memory", 22, "Invalid argument", 32, "Broken pipe",
        101, "Network is unreachable", 104, "Connection reset by peer",
        105, "No buffer space available", 107, "Transport endpoint is not connected",
        110, "Connection timed out", 111, "Connection refused", 113, "No route to host",
    )  # fmt: skip
    text = "%s: %s" % (op, _find(known, error, 2, "error %d" % error)[0])
    return None, text, error


def _ms(timeout):
    return -1 if timeout is None else min(max(int(timeout * 1000), 0), _FOREVER_MS)


def check(result):
    """The first of the three values that a call returned, or OSError: Lua's assert(…).

    Raises OSError(errno, message).
    """
    if result[0] is None:
        raise OSError(result[2], result[1])
    return result[0]


# ---- Frames


def build_frame(desc):
    """A frame's bytes.

    desc: dict with opcode, 0 to 15; FIN, RSV1, RSV2, RSV3, MASK: bool, default False; key: of the
    mask, four ints, default random; data: str or bytes-like, default none.
    Raises ValueError: Invalid WebSocket opcode; a control frame with more than 125 bytes.
    """
    data = memoryview(desc.get("data") or b"")
    first = desc.get("opcode")
    if first is None or not 0 <= first <= 15:
        raise ValueError("Invalid WebSocket opcode")
    if first >= _CLOSE and len(data) > 125:
        raise ValueError(
            "WebSocket control frames MUST have a payload length of 125 bytes or less."
        )
    bit = 128
    for name in ("FIN", "RSV1", "RSV2", "RSV3"):
        if desc.get(name):
            first |= bit
        bit >>= 1
    build = _load("modwebsocket.frames").build
    return build(first, data, bool(desc.get("MASK")), desc.get("key"))


def read_frame(sock, deadline=None):
    """Read a frame from a socket: a dict as build_frame() takes, with its length, too.

    deadline: what time.ticks_ms() will be then, None: none.
    Returns (frame, None, None) or (None, message, errno): of a frame that is cut, EILSEQ.
    """
    try:
        first, key, data = _load("modwebsocket.frames").read(sock, deadline)
    except OSError as e:
        return _failure("read_frame", e.errno)
    frame = {"opcode": first & 15, "MASK": bool(key), "length": len(data), "data": data}
    for name in ("FIN", "RSV1", "RSV2", "RSV3"):
        frame[name] = bool(first & 128)
        first <<= 1
    if key:
        frame["key"] = tuple(key)
    return frame, None, None


def build_close(code=None, message=None, mask=False):
    """A close frame as a dict for send_frame().  code: None: none, and no message.

    Raises ValueError: Close reason must be <=123 bytes.
    """
    data = b""
    if code is not None:
        data = bytes(memoryview(message or b""))
        if len(data) > 123:
            raise ValueError("Close reason must be <=123 bytes")
        data = bytes((code >> 8, code & 255)) + data
    return {"opcode": _CLOSE, "FIN": True, "MASK": mask, "data": data}


def parse_close(data):
    """(code, message) of a close frame's payload, bytes; None for what is not there."""
    if len(data) < 2:
        return None, None
    return data[0] << 8 | data[1], data[2:] or None


# ---- Headers


class Headers:
    """lua-http's `http.headers`: pairs in order, names in lower case."""

    def __init__(self, pairs=()):
        """pairs: of str."""
        self._pairs = [(name.lower(), value) for name, value in pairs]

    def append(self, name, value, never_index=False):
        """Add one more.  never_index: of no use here."""
        self._pairs.append((name.lower(), value))

    def get(self, name):
        """The first value, None if there is none."""
        name = name.lower()
        for pair in self._pairs:
            if pair[0] == name:
                return pair[1]
        return None

    def has(self, name):
        """Whether there is one."""
        return self.get(name) is not None

    def get_comma_separated(self, name):
        """All values, joined by commas; None if there is none."""
        return ",".join([v for n, v in self._pairs if n == name.lower()]) or self.get(name)

    def upsert(self, name, value):
        """Put it in the place of all that have the name."""
        self.delete(name)
        self.append(name, value)

    def delete(self, name):
        """Remove all that have the name; whether there was one."""
        name = name.lower()
        kept = [pair for pair in self._pairs if pair[0] != name]
        found = len(kept) != len(self._pairs)
        self._pairs = kept
        return found

    def clone(self):
        """Another one with the same pairs."""
        return Headers(self._pairs)

    def each(self):
        """Iterate over (name, value)."""
        return iter(self._pairs)

    def __iter__(self):
        return iter(self._pairs)


# ---- WebSockets


def new(type):
    """A bare WebSocket, "client" or "server".  Raises ValueError.

    With its `socket` set to a connected one and its `readyState` to 1, it is open.
    """
    return WebSocket(type)


def new_from_uri(uri, protocols=None, **options):
    """A client for an address; connect() is next.

    uri: str, or a dict with scheme, host, port, path, query, userinfo; http:// and https:// mean
    ws:// and wss://. protocols: the sub-protocols to offer, in order.
    options: Link's; wss:// needs cadata, pin, context or verify=False, see secure.Tls.
    Raises ValueError: invalid URI, URI missing scheme, scheme not valid, URI must include a host,
    duplicate protocol, invalid protocol.
    Differs: no HSTS, cookies and proxies; no certificates are known beforehand.
    """
    return _load("lua_compat.lua_http_client").from_uri(uri, protocols, options)


def new_stream(sock, **options):
    """The stream of a socket that a listening one accepted; see lua_http_server.Stream."""
    return _load("lua_compat.lua_http_server").Stream(sock, **options)


def new_from_stream(stream, headers):
    """A server's end for a request: (ws, None, None), or (None, message, EINVAL).

    stream: of new_stream(), or a socket whose request has been read. headers: of the request,
    Headers or a dict with names in lower case. Without side effects; accept() is next.
    Differs: stream.refuse(message) tells the client.
    """
    return _load("lua_compat.lua_http_server").from_stream(stream, headers)


class WebSocket:
    """One WebSocket, made by new_from_uri() or new_from_stream().

    type: "client" or "server". readyState: 0 not connected, 1 open, 2 close sent, 3 closed.
    close_timeout: seconds that close() waits for the peer's answer. request: a client's Request
    before connect(). headers: a client's response, also one that refuses. protocols: the
    sub-protocols offered. protocol: the one agreed on, or None. key: of a server's request.
    got_close_code, got_close_message: of the peer's close frame (1005: it had none), else None.
    last_error: what receive() returned when it last had no message, for after each().
    Differs: got_close_code is None, not true, if the peer's was invalid.
    """

    close_timeout = 3

    def __init__(self, type):
        """type: "client" or "server"."""
        if type not in ("client", "server"):
            raise ValueError(type)
        self.type = type
        self.readyState = 0
        self.protocol = self.protocols = self.headers = self.key = None
        self.request = self.stream = self.socket = self.last_error = None
        self.got_close_code = self.got_close_message = None
        self._ws = None

    def __str__(self):
        return 'http.websocket{type="%s";readyState=%d}' % (self.type, self.readyState)

    def connect(self, timeout=None):
        """Connect: (True, None, None) or (None, message, errno); EINVAL: the server refused.

        Raises ValueError if this is no new client, or for wrong options; TypeError,
        NotImplementedError (no TLS), MemoryError, RuntimeError in a handler or an asyncio task.
        """
        if self.type != "client" or self.readyState or self.request is None:
            raise ValueError("no new client")
        try:
            return _load("lua_compat.lua_http_client").connect(self, timeout)
        finally:
            # Its memory is the user's again.
            if sys.modules.pop("lua_compat.lua_http_client", None):
                del sys.modules["lua_compat"].lua_http_client

    def accept(self, options=None, timeout=None):
        """Answer the request: (True, None, None) or (None, message, errno).

        options: dict; headers: Headers of more response headers; protocols: the sub-protocols
        that are welcome, the best first.
        Raises ValueError if this is no new server, or for a malformed header.
        """
        if self.type != "server" or self.readyState or self.stream is None:
            raise ValueError("no new server")
        return _load("lua_compat.lua_http_server").accept(self, options or {}, timeout)

    # ---- Open

    def _cannot(self, op):
        # Why there can be nothing sent or received, if so.
        if self.readyState < 1:
            return _failure(op, _ENOTCONN)
        if self.readyState > 2:
            return _failure(op, _EPIPE)
        if self._ws is None:
            # Of new().
            _load("lua_compat.lua_http_server").adopt(self)
        return None

    def receive(self, timeout=None):
        """The next message: (str, "text", None) or (bytes, "binary", None).

        (None, message, ETIMEDOUT): nothing came, and the connection is as it was. (None, reason,
        code) once it ended: code of the peer's close frame (1000 if it had none), 1002, 1007 or
        1009 if what it sent was wrong, 1006 if TCP ended without, or an errno.
        """
        result = self._cannot("receive")
        if not result:
            ws = self._ws
            try:
                data = ws.recv(_ms(timeout))
                return data, "binary" if ws.opcode == _BINARY else "text", None
            except OSError as e:
                from modwebsocket.closed import ConnectionClosed

                if isinstance(e, ConnectionClosed):
                    result = self._ended()
                else:
                    result = _failure("receive", e.errno)
        self.last_error = result
        return result

    def _ended(self):
        self.readyState = 3
        link = self._ws.link
        if link.code != 1006:
            self.got_close_code = link.code
            self.got_close_message = link.reason or None
            return None, link.reason or None, 1000 if link.code == 1005 else link.code
        codes = (
            "protocol", 1002, "protocol error",
            "text", 1007, "invalid utf-8",
            "too big", 1009, "message too big",
            "memory", 1009, "no memory for a message",
            "reassembly", 1009, "no memory for a message",
        )  # fmt: skip
        found = _find(codes, link.text or link.cause, 3, None)
        if found[0]:
            return None, found[1], found[0]
        if link.cause == "closed":
            return None, "the peer did not answer", 1006
        if link.cause == "eof":
            return None, "TCP ended without a close frame", 1006
        return _failure("receive", link.errno or _ETIMEDOUT)

    def each(self):
        """Iterate over (data, kind) until receive() returns None; last_error says why it did."""
        while True:
            data, kind, _ = self.receive()
            if data is None:
                return
            yield data, kind

    def _do(self, op, timeout, method, *args):
        if self.readyState == 2:
            return _failure(op, _EPIPE)
        result = self._cannot(op)
        if result:
            return result
        try:
            self._ws._timeout_ms = _ms(timeout)
            getattr(self._ws, method)(*args)
        except OSError as e:
            error = e.errno
            return _failure(op, _EPIPE if error == _ENOTCONN else error)
        return True, None, None

    def send_frame(self, frame, timeout=None):
        """Send a frame as it is: (True, None, None) or (None, message, errno).

        frame: see build_frame(); you set FIN, and MASK for a client. After a close frame
        readyState is 2, and all that receive() will return is how it ended.
        """
        closing = frame.get("opcode") == _CLOSE
        data = build_frame(frame)
        result = self._do("send_frame", timeout, "send_raw", data, closing)
        if closing and result[0]:
            self.readyState = 2
        return result

    def send(self, data, opcode=None, timeout=None):
        """Send a message: (True, None, None) or (None, message, errno).

        data: str or bytes-like. opcode: "text" (default), "binary" or a number. After ETIMEDOUT
        the rest still waits to go, and what is sent next goes behind it.
        Raises TypeError; ValueError if text is not UTF-8.
        """
        if opcode is None or opcode == "text":
            opcode = _TEXT
        elif opcode == "binary":
            opcode = _BINARY
        elif opcode not in (_TEXT, _BINARY, _PING, _PONG):
            masked = self.type == "client"
            frame = {"FIN": True, "MASK": masked, "opcode": opcode, "data": data}
            return self.send_frame(frame, timeout)
        return self._do("send", timeout, "send", data, opcode)

    def send_ping(self, data=b"", timeout=None):
        """Send a ping, of at most 125 bytes; see send()."""
        return self.send(data or b"", _PING, timeout)

    def send_pong(self, data=b"", timeout=None):
        """Send a pong, of at most 125 bytes; see send()."""
        return self.send(data or b"", _PONG, timeout)

    def close(self, code=1000, reason=None, timeout=None):
        """Close, in any state: True.

        Waits at most timeout and close_timeout for the peer's close frame, and what is still
        unread is gone; not at all with code 1002. Raises ValueError for a wrong code or reason.
        """
        self.request = self.stream = None
        ws = self._ws
        if ws is not None and self.readyState < 3:
            seconds = self.close_timeout
            if timeout is not None and timeout < seconds:
                seconds = timeout
            if self.readyState == 1:
                ws.link._close_timeout_ms = 0 if code == 1002 else _ms(seconds)
            ws.close(code, reason or "")
            self._ended()
            ws._unread.clear()
        self.readyState = 3
        return True


# What the original exports for extension.
methods = mt = WebSocket
