"""The upgrade: the request byte for byte, and every answer but the right one."""

import asyncio
import re

import pytest
from peer.servers import CLOSE, FIN, TEXT, close_payload, frame

BYE = frame(FIN | CLOSE, close_payload(1000))

LISTEN = """
    ws = client()
    ws.on("close", lambda ws, status: print("closed", status, ws.http_status, ws.stage))
    ws.connect(url)
"""


# ---- The request


async def take_request(wire):
    """A handler: opens, closes, returns the head of the request as text."""
    await wire.open(BYE)
    assert await wire.rest() == [(CLOSE, close_payload(1000))]
    return wire.head.decode()


def request_of(talk, config, server=take_request):
    """The lines of the request that a client with this config sends, the key blanked."""
    script = f"""
        ws = client()
        ws.config({config})
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "closed -6"]
    head = re.sub("(Sec-WebSocket-Key: )[A-Za-z0-9+/]{22}==", r"\1KEY", talk.server.result())
    assert head.endswith("\r\n\r\n")
    assert "\n" not in head.replace("\r\n", "")
    return head.split("\r\n")[:-2]


def begin(talk):
    """The lines that every request begins with."""
    return [
        "GET / HTTP/1.1",
        f"Host: {talk.host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: KEY",
        "Sec-WebSocket-Version: 13",
    ]


def test_request_is_nodemcus(talk):
    lines = request_of(talk, "{}")
    assert lines == [
        *begin(talk), "User-Agent: ESP8266", "Sec-WebSocket-Protocol: chat"
    ]


@pytest.mark.parametrize(("url", "host"), [
    ("ws://127.0.0.1", "127.0.0.1:80"),
    ("ws://127.0.0.1:80/", "127.0.0.1:80"),
    ("ws://[::1]/", "[::1]:80"),
])
def test_host_header_has_default_port_too(run, url, host):
    # Nothing listens on port 80, so this looks at what would be sent.
    lines = run(f"""
        from modwebsocket import handshake
        request = handshake.request
        def spy(*args, **kwargs):
            data = request(*args, **kwargs)
            print(data.decode().split("\\r\\n")[1])
            return data
        handshake.request = spy
        ws = client()
        ws.connect("{url}")
        ws.close()
    """)
    assert lines == [f"Host: {host}", "closed 0"]


def test_each_request_has_a_new_key(talk):
    keys = []

    async def server(wire):
        await take_request(wire)
        keys.append(wire.header("Sec-WebSocket-Key"))

    script = """
        ws = client()
        left = 3
        def closed(ws, status):
            global left
            print("closed", status)
            left -= 1
            if left:
                ws.connect(url)
        ws.on("close", closed)
        ws.connect(url)
    """
    talk(server, script, connects=3)
    assert len(set(keys)) == 3


def test_custom_headers_stand_before_defaults(talk):
    lines = request_of(talk, '{"headers": {"X-One": "1", "X-Empty": ""}}')
    custom = lines[6:-2]
    assert lines == [*begin(talk), *custom, "User-Agent: ESP8266",
                     "Sec-WebSocket-Protocol: chat"]
    assert sorted(line.rstrip() for line in custom) == ["X-Empty:", "X-One: 1"]


def test_custom_header_replaces_default_in_any_case(talk):
    config = '{"headers": {"user-agent": "me", "SEC-WEBSOCKET-PROTOCOL": "soap"}}'
    lines = request_of(talk, config)
    assert lines[:6] == begin(talk)
    assert sorted(lines[6:]) == ["SEC-WEBSOCKET-PROTOCOL: soap", "user-agent: me"]


def test_custom_header_cannot_replace_the_upgrade(talk):
    config = """{"headers": {"upgrade": "h2c", "Connection": "close",
        "sec-websocket-key": "mine", "Sec-WebSocket-Version": "8"}}"""
    lines = request_of(talk, config)
    assert lines == [
        *begin(talk), "User-Agent: ESP8266", "Sec-WebSocket-Protocol: chat"
    ]


def test_custom_host_is_sent_once(talk):
    lines = request_of(talk, '{"headers": {"host": "example.com"}}')
    assert [line for line in lines if line.lower().startswith("host:")] == ["Host: example.com"]


def test_duplicate_custom_header_is_sent_once(talk):
    lines = request_of(talk, '{"headers": {"X-A": "1", "x-a": "2"}}')
    assert len([line for line in lines if line.lower().startswith("x-a:")]) == 1


def test_custom_authorization_comes_before_userinfo(talk):
    async def server(wire):
        return await take_request(wire)

    script = """
        ws = client(headers={"authorization": "Bearer x"})
        ws.connect("ws://u:p@" + url[5:])
    """
    assert talk(server, script) == ["open", "closed -6"]
    lines = talk.server.result().split("\r\n")
    assert [line for line in lines if line.lower().startswith("authorization")] == [
        "authorization: Bearer x"
    ]


def test_protocol_none_sends_none(talk):
    lines = request_of(talk, '{"protocol": None}')
    assert lines == [*begin(talk), "User-Agent: ESP8266"]


def test_headers_none_keeps_and_empty_clears(talk):
    script = """
        ws = client(headers={"X-A": "1"})
        ws.config({"headers": None})
        ws.config({})
        def closed(ws, status):
            print("closed", status)
            if ws.close_reason == "again":
                ws.config({"headers": {}})
                ws.connect(url)
        ws.on("close", closed)
        ws.connect(url)
    """
    seen = []

    async def server(wire):
        await wire.open(frame(FIN | CLOSE, close_payload(1000, "" if seen else "again")))
        seen.append(wire.header("X-A"))
        await wire.rest()

    assert talk(server, script, connects=2) == ["open", "closed -6", "open", "closed -6"]
    assert seen == ["1", None]


def test_real_server_gets_custom_headers(talk, kind):
    async def server(peer):
        assert peer.path == "/a?b=c"
        assert peer.headers["X-Custom"] == "value, with: all"
        assert peer.headers["User-Agent"] == "ESP8266"
        await peer.close()

    script = """
        ws = client(headers={"X-Custom": "value, with: all"})
        ws.connect(url + "a?b=c")
    """
    assert talk(server, script, kind=kind) == ["open", "closed -6"]


@pytest.mark.parametrize("chosen", ["a", "b", None])
def test_server_may_choose_an_offered_protocol_or_none(talk, chosen):
    async def server(wire):
        await wire.request()
        await wire.send(wire.answer(Sec_WebSocket_Protocol=chosen) + BYE)
        await wire.rest()
        return wire.header("Sec-WebSocket-Protocol")

    script = """
        ws = client(protocol="a, b")
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "closed -6"]
    assert talk.server.result() == "a, b"


def test_server_may_choose_a_protocol_of_the_headers(talk):
    async def server(wire):
        await wire.request()
        await wire.send(wire.answer(Sec_WebSocket_Protocol="mine") + BYE)
        await wire.rest()

    script = """
        ws = client(headers={"sec-websocket-protocol": "mine"})
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "closed -6"]


@pytest.mark.parametrize(("config", "error"), [
    ("None", "TypeError"),
    ("[]", "TypeError"),
    ("'headers'", "TypeError"),
    ("{'headers': []}", "TypeError"),
    ("{'headers': 'X: y'}", "TypeError"),
    ("{'headers': {1: 'a'}}", "TypeError"),
    ("{'headers': {'X': 1}}", "TypeError"),
    ("{'headers': {'X': None}}", "TypeError"),
    ("{'headers': {'X': b'1'}}", "TypeError"),
    ("{'headers': {'': 'a'}}", "ValueError"),
    ("{'headers': {'X Y': 'a'}}", "ValueError"),
    ("{'headers': {'X:': 'a'}}", "ValueError"),
    ("{'headers': {'Xü': 'a'}}", "ValueError"),
    ("{'headers': {'X\\r\\nY': 'a'}}", "ValueError"),
    ("{'headers': {'X': 'a\\r\\nY: b'}}", "ValueError"),
    ("{'headers': {'X': 'a\\nb'}}", "ValueError"),
    ("{'headers': {'X': 'a\\rb'}}", "ValueError"),
    ("{'headers': {'X': 'a\\x00b'}}", "ValueError"),
    ("{'headers': {'X': 'a\\x7fb'}}", "ValueError"),
    ("{'protocol': 1}", "TypeError"),
    ("{'protocol': 'a\\r\\nb'}", "ValueError"),
    ("{'max_message_len': '1'}", "TypeError"),
    ("{'max_message_len': None}", "TypeError"),
    ("{'max_message_len': 1.5}", "TypeError"),
    ("{'max_message_len': -1}", "ValueError"),
    ("{'connect_timeout_ms': -1}", "ValueError"),
    ("{'connect_timeout_ms': '1'}", "TypeError"),
    ("{'ping_interval_ms': -1}", "ValueError"),
    ("{'close_timeout_ms': -1}", "ValueError"),
    ("{'max_message_length': 1}", "ValueError"),
    ("{1: 1}", "ValueError"),
])
def test_config_refuses_and_keeps_what_was(talk, config, error):
    script = f"""
        ws = client(headers={{"X-Before": "kept"}})
        try:
            ws.config({config})
        except {error} as e:
            print(type(e).__name__, "named" if e.args and str(e.args[0]) else "not named")
        ws.connect(url)
    """

    async def server(wire):
        await take_request(wire)
        return wire.header("X-Before")

    assert talk(server, script) == [f"{error} named", "open", "closed -6"]
    assert talk.server.result() == "kept"


# ---- The answer


@pytest.mark.parametrize("status", [404, 301, 200, 426, 503])
def test_another_status_is_minus_17(talk, status):
    async def server(wire):
        await wire.request()
        head = f"HTTP/1.1 {status} No\r\nLocation: /elsewhere\r\nContent-Length: 3\r\n\r\nno\n"
        await wire.send(head.encode())
        await wire.ended()

    assert talk(server, LISTEN) == [f"closed -17 {status} http"]


@pytest.mark.parametrize("status", [401, 404])
def test_refusal_of_real_server_is_minus_17(serve, run, kind, status):
    server = serve(None, kind, refuse=status)
    assert run(LISTEN, server.url) == [f"closed -17 {status} http"]


@pytest.mark.parametrize("answer", [
    b"SSH-2.0-OpenSSH_9.2p1\r\n",
    b"\x00\x01\x02\r\n\r\n",
    b"\xff" * 5000,
    b"\r\n" * 10,
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/2 101\r\n\r\n",
    b"101 Switching Protocols\r\n\r\n",
    frame(FIN | TEXT, "hello") * 200,
], ids=repr)
def test_garbage_instead_of_http_is_minus_17(talk, answer):
    async def server(wire):
        await wire.request()
        await wire.send(answer)
        await wire.ended()

    assert talk(server, LISTEN) == ["closed -17 0 http"]


def test_garbage_before_the_request_is_minus_17(talk):
    async def server(wire):
        await wire.send(b"220 mail.example.com ESMTP\r\n")
        await wire.ended()

    assert talk(server, LISTEN) == ["closed -17 0 http"]


@pytest.mark.parametrize("replaced", [
    {"Sec_WebSocket_Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
    {"Sec_WebSocket_Accept": None},
    {"Sec_WebSocket_Accept": ""},
    {"Upgrade": None},
    {"Upgrade": "h2c"},
    {"Connection": None},
    {"Connection": "close"},
    {"Connection": "NotUpgrade"},
    {"Sec_WebSocket_Protocol": "unrequested"},
    {"Sec_WebSocket_Protocol": "chat, chat"},
    {"Sec_WebSocket_Extensions": "permessage-deflate"},
    {"Bad Header": "x"},
    {": no name": "x"},
], ids=lambda replaced: "-".join(map(str, *replaced.items())))
def test_wrong_101_is_minus_7(talk, replaced):
    async def server(wire):
        await wire.request()
        await wire.send(wire.answer(**replaced))
        # No frame, as there is no WebSocket.
        assert await wire.ended() == b""

    assert talk(server, LISTEN) == ["closed -7 101 http"]


def test_accept_value_elsewhere_does_not_count(talk):
    async def server(wire):
        await wire.request()
        right = wire.answer().split(b"Accept: ")[1].split(b"\r\n")[0].decode()
        await wire.send(wire.answer(Sec_WebSocket_Accept="no", X_Accept=right))
        await wire.ended()

    assert talk(server, LISTEN) == ["closed -7 101 http"]


def test_unrequested_protocol_is_refused_when_none_was_offered(talk):
    async def server(wire):
        await wire.request()
        await wire.send(wire.answer(Sec_WebSocket_Protocol="chat"))
        await wire.ended()

    script = """
        ws = client(protocol=None)
        ws.connect(url)
    """
    assert talk(server, script) == ["closed -7"]


def test_headers_in_any_case_and_order(talk):
    async def server(wire):
        await wire.request()
        accept = wire.answer().split(b"Accept: ")[1].split(b"\r\n")[0]
        await wire.send(
            b"HTTP/1.1 101 \r\nDate: today\r\nsec-websocket-accept:" + accept + b"\r\n"
            b"CONNECTION: keep-alive,  uPgRaDe\r\nX:\r\nupgrade:\tWebSocket \r\n\r\n" + BYE
        )
        await wire.rest()

    assert talk(server, LISTEN) == ["open", "closed -6 101 closing"]


def test_repeated_header_counts_as_list(talk):
    async def server(wire):
        await wire.request()
        head = wire.answer().replace(b"Connection: Upgrade",
                                     b"Connection: keep-alive\r\nConnection: Upgrade")
        await wire.send(head + BYE)
        await wire.rest()

    assert talk(server, LISTEN) == ["open", "closed -6 101 closing"]


def test_head_byte_by_byte(talk):
    async def server(wire):
        await wire.request()
        for byte in wire.answer(X_Long="x" * 300) + frame(FIN | TEXT, "hello") + BYE:
            await wire.send(bytes((byte,)))
            await asyncio.sleep(0)
        await wire.rest()

    assert talk(server, LISTEN) == ["open", "receive 1 hello", "closed -6 101 closing"]


def test_frames_in_the_segment_of_the_head(talk):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, "one") + frame(FIN | TEXT, "two") + BYE)
        await wire.rest()

    assert talk(server, LISTEN) == ["open", "receive 1 one", "receive 1 two",
                                    "closed -6 101 closing"]


def test_head_longer_than_the_buffer(talk):
    async def server(wire):
        await wire.request()
        extra = {f"X_{i}": "y" * 100 for i in range(40)}
        await wire.send(wire.answer(**extra) + BYE)
        await wire.rest()

    assert talk(server, LISTEN) == ["open", "closed -6 101 closing"]


@pytest.mark.parametrize("line", [b"X: " + b"y" * 2000, b"X: yyyy\r\n"])
def test_endless_head_ends(talk, target, line):
    async def server(wire):
        await wire.request()
        try:
            await wire.send(b"HTTP/1.1 101 OK\r\n")
            for _ in range(1_000_000):  # more than the buffers on the way hold
                await wire.send(line)
        except ConnectionError:
            return
        raise AssertionError("the client read it all")

    # One header of 8 KiB, joined from many, is more than the board has room for.
    status = target.fits(-7, -13) if line.endswith(b"\n") else -7
    assert talk(server, LISTEN) == [f"closed {status} 101 http"]


def test_end_of_tcp_within_the_head_is_an_end(talk):
    async def server(wire):
        await wire.request()
        await wire.send(b"HTTP/1.1 101 OK\r\nUpgr")
        await wire.close()

    assert talk(server, LISTEN) == ["closed -99 101 http"]


def test_end_of_tcp_instead_of_an_answer_is_minus_99(talk):
    async def server(wire):
        await wire.request()
        await wire.close()

    assert talk(server, LISTEN) == ["closed -99 0 http"]


def test_reset_instead_of_an_answer_is_minus_109(talk):
    async def server(wire):
        await wire.request()
        await wire.drop()

    assert talk(server, LISTEN) == ["closed -109 0 http"]
