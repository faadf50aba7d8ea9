"""NodeMCU's `websocket`: the Lua firmware's API, on MicroPython.

    import websocket

    ws = websocket.createClient()
    ws.on("receive", lambda ws, message, opcode: print(message))
    ws.connect("ws://echo.example.com/")

Differs: `:` is `.`, `nil` is None, a table is a dict; text arrives as str, binary as bytes.
Source: https://nodemcu.readthedocs.io/en/release/modules/websocket/
"""

from errno import ENOTCONN

from micropython import const

from modwebsocket import Link, URLError, __version__
from modwebsocket.handlers import Handler
from modwebsocket.pump import load_handshake

try:
    # The built-in class that WebREPL imports from the module of this name.
    from uwebsocket import websocket
except ImportError:
    pass

_TEXT = const(1)
_BINARY = const(2)
_CLOSE = const(8)
_NOT_TAKEN = const(-2)  # by Link.send_now()
_OPENED = const(3)
_DRAINED = const(4)
_ENDED = const(5)
_MAX_NUMBER = const(1 << 28)  # of config(): three days in ms, 256 MiB
_EISCONN = const(106)  # not in every port's errno

# Tuples and bytes, not dicts: a frozen constant costs no RAM.

# URLError's part -> the code that NodeMCU gives, -1 for the first.
_URL_PARTS = ("scheme", "length", "port", "host")

# Link.cause, and the code of NodeMCU's table behind it; any other: -99.
_CODES = (
    "closed", 0,
    "dns", -5,
    "peer", -6,
    "handshake", -7,
    "reassembly", -12,
    "memory", -13,
    "too big", -13,
    "protocol", -15,
    "text", -15,
    "send memory", -16,
    "http", -17,
    "tls", -128,
    "record", -161,
    "deadline", -18,
    "health", -19,
)  # fmt: skip

# Pairs of an errno and espconn's number for it.  The code is -100 minus that, else -99.
# ENOMEM 1, EINVAL 12, EPIPE 10, ENETUNREACH 4, ECONNABORTED 8, ECONNRESET 9, EISCONN 15,
# ENOTCONN 11, ETIMEDOUT 3, ECONNREFUSED 9, EHOSTUNREACH 4, EALREADY 15, EINPROGRESS 5.
_ESPCONN = (
    b"\x0c\x01\x16\x0c\x20\x0a\x65\x04\x67\x08\x68\x09\x6a\x0f"
    b"\x6b\x0b\x6e\x03\x6f\x09\x71\x04\x72\x0f\x73\x05"
)

# config()'s keys whose values are integers, each before Link's argument for it.
_NUMBERS = (
    "max_message_len", "max_message_len",
    "connect_timeout_ms", "connect_timeout_ms",
    "ping_interval_ms", "ping_interval_ms",
    "close_timeout_ms", "close_timeout_ms",
    "rx_buffer_len", "rx_len",
    "tx_buffer_len", "tx_len",
)  # fmt: skip


def _close_code(cause, errno):
    if cause == "os":
        for i in range(0, len(_ESPCONN), 2):
            if _ESPCONN[i] == errno:
                return -100 - _ESPCONN[i + 1]
    for i in range(0, len(_CODES), 2):
        if _CODES[i] == cause:
            return _CODES[i + 1]
    return -99


def createClient():
    """Return a new websocket client, idle.

    Source: NodeMCU, websocket.createClient().
    """
    return Client()


def _first_message(handler, data, opcode):
    # The next one goes straight to the handler's function.
    handler.call(3, data, opcode)
    handler.owner._tell(handler.owner._link)


class Client:
    """A websocket client; made by createClient().

    Read-only attributes, beyond NodeMCU, of the last connection that ended:
    close_code, close_reason: of the server's close frame (RFC 6455 §7.4), 1006 if it sent none.
    http_status: of the server's answer to the upgrade request, 0 if there was none.
    errno: of the operating system's error, 0 if there was none.
    unsent_len: bytes that send() took and the network did not, 0 if all went.
    stage: how far it came: "url", "dns", "tcp", "tls", "http", "open" or "closing".
    """

    _options = {}  # never changed in place

    def __init__(self):
        self._handlers = {"connection": None, "receive": None, "close": None, "sent": None}
        self._headers = ()
        self._protocol = "chat"
        self._link = None
        self.close_code = 1006
        self.close_reason = ""
        self.http_status = 0
        self.errno = 0
        self.unsent_len = 0
        self.stage = None

    def on(self, eventName, function):
        """Register the one handler of an event; None unregisters it.

        eventName: "connection" (ws), "receive" (ws, message, opcode: 1 text as str, 2 binary as
        bytes), "close" (ws, status) or, beyond NodeMCU, "sent" (ws): all that was sent has gone
        to the network. function: may take fewer arguments than the event delivers.
        Raises ValueError for another name, TypeError for something not callable.
        Source: NodeMCU, websocket.client:on().
        """
        if eventName not in self._handlers:
            raise ValueError("invalid option '%s'" % eventName)
        if function is not None and not callable(function):
            raise TypeError("function or nil expected")
        self._handlers[eventName] = None if function is None else Handler(self, function)
        if self._link:
            self._tell(self._link)

    def config(self, params):
        """Configure the client, for its next connect().

        params: dict; keys that are absent keep their setting.
        headers: dict of str to str, more request headers; None keeps them, {} clears them.
        Beyond NodeMCU:
        protocol: the sub-protocols to offer, str, default "chat"; None sends none.
        max_message_len: bytes, default 1048576; a longer message closes with -13.
        connect_timeout_ms: default 10000, for DNS, TCP and the upgrade together.
        ping_interval_ms: silence before a ping, default 30000, 0 for no pings; after three
        silences in a row the connection closes with -19.
        close_timeout_ms: the server's time to answer close(), default 5000.
        rx_buffer_len, tx_buffer_len: bytes, default 1024 and 536.
        cacert, pin: of wss://, whom to trust; default None and None: any server, as on NodeMCU.
        cacert: CA certificates, PEM or DER, or a file's path. pin: the SHA-256 of the server's
        own, 32 bytes or hex. See modwebsocket.secure.Tls.
        Raises TypeError, ValueError.
        Differs: an unknown key or a wrong type is an error.
        Source: NodeMCU, websocket.client:config().
        """
        if not isinstance(params, dict):
            raise TypeError("dict expected")
        check_header = load_handshake()[0].check_header
        headers = self._headers
        protocol = self._protocol
        options = dict(self._options)
        for key, value in params.items():
            if key == "headers":
                if value is None:
                    continue
                if not isinstance(value, dict):
                    raise TypeError("headers")
                headers = list(value.items())
                for name, text in headers:
                    check_header(name, text)
            elif key == "protocol":
                if value is not None:
                    check_header(key, value)
                protocol = value
            elif key in ("cacert", "pin"):
                if value is not None and not isinstance(value, (str, bytes)):
                    raise TypeError(key)
                options["cadata" if key == "cacert" else key] = value
            else:
                if key not in _NUMBERS or key in ("rx_len", "tx_len"):
                    raise ValueError("config key %r" % key)
                if not isinstance(value, int):
                    raise TypeError(key)
                if not 0 <= value <= _MAX_NUMBER:
                    raise ValueError(key)
                options[_NUMBERS[_NUMBERS.index(key) + 1]] = value
        self._headers = headers
        self._protocol = protocol
        self._options = options

    def connect(self, url):
        """Connect; "connection" or "close" follows.

        url: str, ws[s]://host[:port][/path][?query]. For one that is malformed, "close" is called
        with -1 to -4 before this returns.
        Raises OSError(EISCONN) from connect() to "close", TypeError if url is not a str,
        ValueError if its path has a space or control character. For wss:// also OSError and
        ValueError if cacert cannot be read or understood, NotImplementedError if this build
        cannot do what is asked for.
        Source: NodeMCU, websocket.client:connect().
        """
        if self._link:
            raise OSError(_EISCONN, "Websocket already connecting or connected.")
        defaults = [("User-Agent", "ESP8266")]
        if self._protocol is not None:
            defaults.append(("Sec-WebSocket-Protocol", self._protocol))
        try:
            self._link = link = Link(
                url,
                self._event,
                headers=self._headers,
                defaults=defaults,
                name_port=True,
                max_body_len=0,
                verify=bool(self._options.get("cadata") or self._options.get("pin")),
                **self._options
            )
        except URLError as e:
            if e.args[0] not in _URL_PARTS:
                raise
            self.stage = "url"
            if self._handlers["close"]:
                self._handlers["close"].attempt(2, -1 - _URL_PARTS.index(e.args[0]))
            return
        # From here on the background may serve it: it may even have ended.
        link.no_memory = "send memory"
        self._tell(link)

    def _tell(self, link):
        # What the link should know of the handlers.
        handler = self._handlers["receive"]
        if handler is None:
            link.on_message(int, 0, 0)  # int() does nothing, and costs no RAM
        elif handler.count < 0:
            link.on_message(_first_message, handler, 3)
        else:
            link.on_message(handler.function, self, handler.count)
        link.notify_drained = self._handlers["sent"] is not None

    def send(self, message, opcode=_TEXT):
        """Send a message.

        message: str or bytes-like, UTF-8 if opcode is 1. opcode: 1 text, 2 binary, 9 ping,
        10 pong (at most 125 bytes); 8 is close().
        Raises OSError(ENOTCONN) unless connected, OSError(ENOBUFS) if more than 64 KiB wait to
        be sent (nothing is taken then), ValueError, TypeError.
        Differs: nothing is lost between two calls; a number is no message.
        Source: NodeMCU, websocket.client:send().
        """
        link = self._link
        result = _NOT_TAKEN if link is None else link.send_now(message, opcode)
        if result or link.notify_drained:
            self._sent(link, result, message, opcode)

    def _sent(self, link, result, message, opcode):
        if link is None or link.stage != "open":
            raise OSError(ENOTCONN, "Websocket isn't connected.")
        if opcode != _CLOSE:
            link.sent(result, message, opcode)
            return
        payload = bytes(memoryview(message))
        if payload:
            link.close(int.from_bytes(payload[:2], "big"), payload[2:])
        else:
            link.close()

    def close(self):
        """Close the connection, or give up the attempt; "close" follows with status 0.

        Does nothing if there is none. Source: NodeMCU, websocket.client:close().
        """
        link = self._link  # which the background may take away meanwhile
        if link:
            link.close()

    def _event(self, event, data):
        if event == _OPENED or event == _DRAINED:
            handler = self._handlers["connection" if event == _OPENED else "sent"]
            if handler:
                handler.call(1)
        elif event == _ENDED:
            link = self._link
            self._link = None
            self.close_code = link.code
            self.close_reason = link.reason
            self.http_status = link.status
            self.errno = link.errno
            self.unsent_len = link.unsent_len
            self.stage = link.stage
            handler = self._handlers["close"]
            if handler:
                # It may well connect again: the frames down to here are few, the stack is small.
                handler.call(2, _close_code(link.cause, link.errno))
        elif event <= _BINARY and self._handlers["receive"]:
            # Before _tell().
            _first_message(self._handlers["receive"], data, event)
