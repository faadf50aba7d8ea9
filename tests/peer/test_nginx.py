"""Behind Debian's nginx, which proxies WebSockets and ends TLS, as on many servers."""

import asyncio

import pytest
from peer.nginx import Nginx

pytestmark = pytest.mark.parametrize("style", ["callback", "asyncio", "blocking", "nodemcu"],
                                     indirect=True)
TLS = pytest.mark.not_on("lx106", "its TLS is tested in test_tls.py")

PATIENCE_S = 2  # twice nginx's on the path /short


async def echo(peer):
    """A handler of real servers: sends a message back and closes, at once or as it is told."""
    message = await peer.recv()
    code = 1000
    if message == "later":
        await asyncio.sleep(PATIENCE_S)
    elif message is not None and message.startswith("close "):
        code = int(message[6:])
    elif message is not None:
        await peer.send(message)
    await peer.close(code, "why")
    return peer.close_code


@pytest.fixture
def nginx(serve, certificates):
    """An Nginx before a server of `websockets`, which is its attribute server."""
    server = serve(echo, "websockets")
    nginx = Nginx(server, certificates.good)
    nginx.server = server
    yield nginx
    nginx.stop()


@pytest.fixture(params=["ws", pytest.param("wss", marks=TLS)])
def front(request, nginx, target, visit, certificates):
    """front(script) runs a script with visit() against nginx; see styles.py.

    url is nginx's, trust are the options that wss:// needs.
    """
    url = nginx.tls_url if request.param == "wss" else nginx.url.replace("127.0.0.1", target.host)
    trust = {"cadata": str(certificates.pem)} if request.param == "wss" else {}

    def front(script):
        return visit(f"trust = {trust}\n{script}", url)

    return front


def test_echo_ping_and_close_codes(nginx, front, target):
    n = target.fits(65536, 4000)
    lines = front(f"""
for message in ("0123456789abcdef", "x" * {n}):
    visit(url, say=message, **trust)
visit(url, say="close 4001", ping=True, **trust)
visit(url + "a?b", close=3001, **trust)
""")
    assert lines == ["open", "0123456789abcdef", "ended 1000 peer", "open", "x" * n,
                     "ended 1000 peer", "open", "pong", "ended 4001 peer",
                     "open", "ended 3001 closed"]
    assert [nginx.server.result(i) for i in (0, 1, 2, 3)] == [1000, 1000, 4001, 3001]


def test_backend_that_is_down_is_502(nginx, front, style):
    line, = front('visit(url + "down", **trust)')
    assert line.startswith("refused 502")
    assert style == "nodemcu" or "<title>502 Bad Gateway</title>" in line
    assert nginx.server.count == 0


def test_proxy_that_forgets_the_upgrade_is_told(nginx, front, style):
    line, = front('visit(url + "plain", **trust)')
    # It comes from the server.
    assert line.startswith("refused 426")
    assert style == "nodemcu" or "Failed to open a WebSocket connection" in line


def test_proxys_timeout_is_an_end_without_a_close_frame(front):
    assert front('visit(url + "short", say="later", ping_interval_ms=0, **trust)') == [
        "open", "ended 1006 eof"]


def test_pings_keep_the_connection_open(nginx, visit, target):
    lines = visit('visit(url + "short", say="later", ping_interval_ms=400)',
                  nginx.url.replace("127.0.0.1", target.host))
    assert [line for line in lines if line != "pong"] == ["open", "ended 1000 peer"]


@TLS
def test_redirect_from_http_to_https(nginx, visit, certificates, style):
    options = "" if style == "nodemcu" else "max_redirects=1, "
    lines = visit(f"visit(url + 'moved/', say='hi', {options}cadata=sys.argv[2])", nginx.url,
                  certificates.pem)
    assert lines == (["refused 301"] if style == "nodemcu" else ["open", "hi", "ended 1000 peer"])


@TLS
def test_ws_to_the_port_of_wss_is_told(nginx, visit, style):
    line, = visit("visit(url)", f"ws://127.0.0.1:{nginx.tls_port}/")
    assert line.startswith("refused 400")
    assert style == "nodemcu" or "The plain HTTP request was sent to HTTPS port" in line
