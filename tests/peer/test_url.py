"""Addresses: which are refused at once, and what of them reaches the server."""

import socket

import pytest
from peer.servers import CLOSE, FIN, close_payload, frame

BYE = frame(FIN | CLOSE, close_payload(1000))

REFUSED = {
    -1: ["", "127.0.0.1", "http://127.0.0.1/", "ws:/127.0.0.1/", "ws:127.0.0.1", "://h/",
         "xws://h/", "wss//h/"],
    -2: ["ws://" + "h" * 256 + "/", "ws://" + "h" * 256, "ws://" + "h" * 254 + ":1/",
         "ws://" + "h" * 5000, "ws://" + "h" * 256 + ":0/"],
    -3: ["ws://h:0/", "ws://h:65536/", "ws://h:/", "ws://h:x/", "ws://h:-1/", "ws://h:+80/",
         "ws://h:80abc/", "ws://h:99999999999999999999/", "ws://:0/", "ws://[::1]:0/",
         "ws://h:1:2/", "ws://h:0"],
    -4: ["ws://:80/", "ws:///p", "ws://", "ws://?x=1", "ws://u@/", "ws://u@:80", "ws://#f",
         "ws://[]/", "ws://[::1/"],
}


def test_malformed_url_closes_before_connect_returns(run):
    urls = [(url, status) for status, urls in REFUSED.items() for url in urls]
    lines = run(f"""
        urls = {urls!r}
        ws = client()
        for url, status in urls:
            said = []
            ws.on("close", lambda ws, status: said.append(status))
            ws.connect(url)
            if said != [status]:
                print(url, "gives", said)
            if ws.stage != "url":
                print(url, "stage", ws.stage)
    """, connects=0)
    assert lines == []


@pytest.mark.parametrize("path", ["/a b", "/a\\r\\nX: y", "/a\\x00", "/a\\x7f", "/ü", "?a b"])
def test_path_that_could_inject_raises(run, path):
    lines = run(f"""
        ws = client()
        try:
            ws.connect("ws://127.0.0.1{path}")
        except ValueError as e:
            print("ValueError")
    """, connects=0)
    assert lines == ["ValueError"]


@pytest.mark.parametrize("host", ["a b", "a\\r\\nX", "a\\x00b", "ü"])
def test_host_that_could_inject_is_minus_4(run, host):
    lines = run(f"""
        client().connect("ws://{host}/")
    """)
    assert lines == ["closed -4"]


@pytest.mark.parametrize("url", ["None", "1", "b'ws://127.0.0.1/'", "['ws://h/']"])
def test_url_of_another_type_raises(run, url):
    lines = run(f"""
        ws = client()
        try:
            ws.connect({url})
        except TypeError as e:
            print("TypeError")
        ws.connect("")
    """)
    assert lines == ["TypeError", "closed -1"]


def test_connect_after_malformed_url(talk, kind):
    async def server(peer):
        await peer.close()

    script = """
        ws = client()
        ws.connect("")
        ws.connect(url)
    """
    assert talk(server, script, kind=kind, connects=2) == ["closed -1", "open", "closed -6"]


@pytest.mark.parametrize(("tail", "path"), [
    ("", "/"),
    ("/", "/"),
    ("/a/b?x=1&y=%20", "/a/b?x=1&y=%20"),
    ("?x=1", "/?x=1"),
    ("?x=/", "/?x=/"),
    ("/a#fragment", "/a"),
    ("#fragment", "/"),
    ("?x=1#f/?g", "/?x=1"),
    ("/a:1@b", "/a:1@b"),
])
def test_server_gets_path_with_query_without_fragment(talk, tail, path):
    async def server(wire):
        await wire.open(BYE)
        await wire.rest()
        return wire.head.split(b" ")[1].decode(), wire.header("Host")

    script = """
        ws = client()
        ws.connect(url[:-1] + sys.argv[2])
    """
    assert talk(server, script, tail) == ["open", "closed -6"]
    assert talk.server.result() == (path, talk.host)


@pytest.mark.parametrize("scheme", ["WS", "Ws"])
def test_scheme_in_any_case(talk, scheme):
    async def server(wire):
        await wire.open(BYE)
        await wire.rest()

    script = f"""
        ws = client()
        ws.connect("{scheme}" + url[2:])
    """
    assert talk(server, script) == ["open", "closed -6"]


@pytest.mark.parametrize(("userinfo", "expected"), [
    ("user:pass", "Basic dXNlcjpwYXNz"),
    ("user", "Basic dXNlcg=="),
    ("u%40v:p%3a", "Basic dUB2OnA6"),
    ("a@b:c", "Basic YUBiOmM="),
    (None, None),
])
def test_userinfo_becomes_authorization(talk, userinfo, expected):
    async def server(wire):
        await wire.open(BYE)
        await wire.rest()
        return wire.header("Authorization"), wire.header("Host")

    at = f"{userinfo}@" if userinfo else ""
    script = f"""
        ws = client()
        ws.connect("ws://{at}" + url[5:])
    """
    assert talk(server, script) == ["open", "closed -6"]
    assert talk.server.result() == (expected, talk.host)


@pytest.mark.parametrize("userinfo", ["u%", "u%4", "u%zz", "%-1u"])
def test_malformed_percent_in_userinfo_raises(run, userinfo):
    lines = run(f"""
        ws = client()
        try:
            ws.connect("ws://{userinfo}@127.0.0.1/")
        except ValueError:
            print("ValueError")
    """, connects=0)
    assert lines == ["ValueError"]


@pytest.mark.not_on("lx106", "IPv4 only, as on the ESP8266")
def test_ipv6_literal(serve, run):
    async def server(wire):
        await wire.open(BYE)
        await wire.rest()
        return wire.header("Host")

    server = serve(server, host="::1")
    lines = run("""
        client().connect(url)
    """, f"ws://[::1]:{server.port}/")
    assert lines == ["open", "closed -6"]
    assert server.result() == f"[::1]:{server.port}"


@pytest.mark.not_on("lx106", "no name has several addresses there")
def test_name_with_several_addresses_tries_the_next(serve, run):
    async def server(wire):
        await wire.open(BYE)
        await wire.rest()
        return wire.header("Host")

    # Only on 127.0.0.1, though localhost may be ::1 first.
    server = serve(server)
    lines = run("""
        client().connect(url)
    """, f"ws://localhost:{server.port}/")
    assert lines == ["open", "closed -6"]
    assert server.result() == f"localhost:{server.port}"


def test_all_addresses_of_a_name_refuse(run):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        lines = run("""
            client().connect(url)
        """, f"ws://localhost:{bound.getsockname()[1]}/")
    assert lines == ["closed -109"]
