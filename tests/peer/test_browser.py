"""A real browser as the client of our server: its page, and the WebSocket on the same port."""

import re
from pathlib import Path

import pytest
from peer import test_serve
from peer.browser import Browser
from peer.test_serve import free_port

ROOT = Path(__file__).resolve().parent.parent.parent

serving = test_serve.serving

# The page has what the tests call; /closed tells how the last connection of /echo was closed.
SCRIPT = """
PAGE = '''<!DOCTYPE html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>grüße</title>
<script>
const connect = (path, protocols = []) => new Promise((done) => {
  const ws = new WebSocket("ws://" + location.host + path, protocols);
  ws.binaryType = "arraybuffer";
  ws.onopen = () => done(ws);
  ws.onclose = (e) => done(e.code);
});
const message = (ws) => new Promise((done, fail) => {
  ws.onmessage = (e) => done(e.data);
  ws.onclose = (e) => fail("closed: " + e.code);
});
const closed = (ws) => new Promise((done) => {
  ws.onclose = (e) => done([e.code, e.reason, e.wasClean]);
});
</script>
'''
pages = page
def page(path):
    return PAGE if path == "/" else pages(path)

last = []
ended = asyncio.Event()

async def handler(ws):
    path = ws.request.path
    if path == "/closed":
        await ended.wait()
        ended.clear()
        await ws.send(last.pop())
    elif path == "/offer":
        await ws.send(ws.request.headers["sec-websocket-extensions"])
    elif path == "/close":
        code, reason = (await ws.recv()).split(" ")
        await ws.close(int(code), reason)
    else:
        try:
            while True:
                message = await ws.recv()
                await ws.send(message, 1 if isinstance(message, str) else 2)
        except aio.ConnectionClosed as e:
            last.append("%s %s" % (e.code, e.reason))
            ended.set()
"""


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """The Browser, one for all tests."""
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def tab(browser):
    """A new Tab."""
    with browser.tab() as tab:
        yield tab


@pytest.fixture
def load(tab, serving):
    """load(script) starts the server, and loads its page into the tab; returns its Served."""

    def load(script=""):
        served = serving(SCRIPT + script)
        assert tab.load(f"http://127.0.0.1:{served.port}/") == 200
        assert tab.run("return document.title") == "grüße"
        return served

    return load


def test_1000_messages_both_ways(load, tab):
    load()
    assert tab.run("""
        const ws = await connect("/echo");
        const text = (i) => i + " é".repeat(i % 40);
        const bytes = (i) => new TextEncoder().encode(text(i));
        let n = 0;
        const end = new Promise((done) => {
          ws.onclose = () => done("closed at " + n);
          ws.onmessage = (e) => {
            const good = n % 2 ? e.data === text(n)
              : e.data instanceof ArrayBuffer && "" + new Uint8Array(e.data) == bytes(n);
            if (!good) done("wrong at " + n);
            else if (++n == 1000) done("all");
          };
        });
        for (let i = 0; i < 1000; i++) ws.send(i % 2 ? text(i) : bytes(i));
        return end;
    """, timeout_s=60) == "all"


def test_big_messages_come_back_and_compression_is_not_agreed_to(load, tab, target):
    size = target.fits(65536, 2000)
    load("options['max_message_len'] = 65536")
    assert "permessage-deflate" in tab.run('return message(await connect("/offer"))')
    assert tab.run(f"""
        const ws = await connect("/echo");
        const text = "0123456789é世".repeat({size}).slice(0, {size // 2});
        const bytes = new Uint8Array({size}).map((_, i) => i * 7);
        ws.send(text);
        const same = await message(ws) === text;
        ws.send(bytes);
        const echo = new Uint8Array(await message(ws));
        return [ws.extensions, same, "" + echo == bytes];
    """) == ["", True, True]


def test_reload_closes_with_1001_and_opens_anew(load, tab):
    load()
    for _ in range(3):
        assert tab.run("""
            globalThis.ws = await connect("/echo");
            ws.send("x");
            return message(ws);
        """) == "x"
        assert tab.load() == 200
        assert tab.run('return message(await connect("/closed"))') == "1001 "


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (3333, "grüße")])
def test_codes_go_both_ways(load, tab, code, reason):
    load()
    assert tab.run(f"""
        const ws = await connect("/close");
        ws.send("{code} {reason}");
        return closed(ws);
    """) == [code, reason, True]
    assert tab.run(f"""
        const ws = await connect("/echo");
        ws.close({code}, "{reason}");
        return [await closed(ws), await message(await connect("/closed"))];
    """) == [[code, "", True], f"{code} {reason}"]


def test_server_that_ends_closes_with_1001(load, tab):
    served = load()
    assert tab.run("""
        const end = closed(await connect("/echo"));
        await fetch("/stop");
        return end;
    """) == [1001, "", True]
    served.get = lambda _path: None


def test_sub_protocol_is_the_server_s_choice(load, tab):
    load("options['protocols'] = ('v2', 'v1')")
    assert tab.run('return (await connect("/echo", ["v1", "v2"])).protocol') == "v2"
    assert tab.run('return (await connect("/echo")).protocol') == ""
    # Browsers take no server that agrees to none of those they ask for.
    assert tab.run('return connect("/echo", ["v3"])') == 1006


def test_page_from_elsewhere_is_kept_out(load, tab):
    served = load("options['origins'] = ('http://127.0.0.1:' + sys.argv[1],)")
    assert tab.run('return (await connect("/echo")).readyState') == 1
    assert tab.load(f"http://localhost:{served.port}/") == 200
    assert tab.run('return connect("/echo")') == 1006


@pytest.fixture
def dashboard(target):
    """The port on which examples/dashboard.py serves."""
    port = free_port()
    target.forward(port)
    process = target.start(ROOT / "examples" / "dashboard.py", port)
    process.until(f"serving on port {port}")
    yield port
    process.interrupt()
    result = process.result()
    assert result.errors.split("\n")[-2].startswith("KeyboardInterrupt"), result


def test_dashboard(dashboard, tab, browser, request):
    url = f"http://127.0.0.1:{dashboard}/"
    assert tab.load(url) == 200
    tab.until("messages.textContent == '0' && up.textContent >= '00:00:02'")
    assert tab.run("return [state.textContent, clients.textContent]") == ["connected", "1"]
    free, percent = tab.run("return [free.textContent, percent.textContent]")
    assert int(free.replace(",", "")) > 1000
    assert re.fullmatch(r"\d+ %", percent)
    with browser.tab() as other:
        assert other.load(url) == 200
        other.until("clients.textContent == '2'")
        tab.until("clients.textContent == '2'")
        for i, text in enumerate(("grüße, <b>世界</b>", "hello, chip"), 1):
            tab.type(text)
            tab.until(f"log.textContent == {text!r}")
            other.until(f"messages.textContent == '{i}'")
        assert re.fullmatch(r"\d+ ms", tab.run("return rtt.textContent"))
        file = request.config.getoption("screenshot")
        if file:
            tab.until("past.length == 60", timeout_s=90)
            Path(file).write_bytes(tab.screenshot(800))
    tab.until("clients.textContent == '1'")
