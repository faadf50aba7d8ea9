"""Names: the emulated board asks a real name server, on this machine."""

import socket

import lx106
import pytest
from dnslib import QTYPE, RCODE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSLogger, DNSServer
from peer.certificates import der
from peer.conftest import SET_CLOCK
from peer.keyboard import begin, stop
from peer.test_facades import NO_NAME, START, VISITS

NAME = "server.example"

# Waits for the one end of a connection.
CONNECT = """
import websocket
from time import sleep_ms, ticks_diff, ticks_ms

def connect(url, **config):
    ended = []
    ws = websocket.createClient()
    ws.on("connection", lambda ws: print("open"))
    ws.on("receive", lambda ws, message: print("got", message))
    ws.on("close", lambda ws, code: ended.append(code))
    ws.config(config)
    start = ticks_ms()
    ws.connect(url)
    while not ended:
        sleep_ms(1)
    print("closed", ended, ws.stage)
    return ticks_diff(ticks_ms(), start)
"""


class Names(BaseResolver):
    """Knows one name, and denies all others."""

    def resolve(self, request, handler):
        answer = request.reply()
        if request.q.qname == NAME and request.q.qtype == QTYPE.A:
            answer.add_answer(RR(NAME, rdata=A(lx106.HOST), ttl=60))
        else:
            answer.header.rcode = RCODE.NXDOMAIN
        return answer


@pytest.fixture
def name_server():
    """The port of a name server."""
    server = DNSServer(Names(), address="127.0.0.1", port=0, logger=DNSLogger(log="-"))
    server.start_thread()
    yield server.server.server_address[1]
    server.stop()


@pytest.fixture
def silent_name_server():
    """A socket that gets the questions, and nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        yield server


def asked(server, name):
    """Waits for a question for a name; returns (question, who asked)."""
    server.settimeout(10)
    while True:
        question, where = server.recvfrom(512)
        if name.encode() in question:
            return question, where


@pytest.fixture
def board_with_names(start_board):
    """board_with_names(port) starts a board that asks the name server behind this port."""

    def start(port):
        board = start_board(options=["-semihosting-config", f"arg=lx106,arg=dns_port={port}"])
        board.until(b">>> ")
        board.exec("import network; nic = network.WLAN(0)\n"
                   f"nic.ifconfig(nic.ifconfig()[:3] + ('{lx106.HOST}',))")
        board.exec(CONNECT)
        return board

    return start


def test_board_connects_to_a_name(board_with_names, name_server, serve):
    async def handler(peer):
        await peer.send("hello")
        await peer.close()
        return peer.headers["Host"]

    server = serve(handler, "websockets")
    board = board_with_names(name_server)
    lines = board.exec(f"_ = connect('ws://{NAME}:{server.port}/')").splitlines()
    assert lines == ["open", "got hello", "closed [-6] closing"]
    assert server.result() == f"{NAME}:{server.port}"


def test_name_goes_to_a_tls_server_and_is_what_its_certificate_must_say(
        board_with_names, name_server, serve, certificates):
    async def handler(peer):
        await peer.send("hello")
        await peer.close()

    names = []
    tls = certificates.server()
    tls.sni_callback = lambda sock, name, context: names.append(name)
    right = serve(handler, "websockets", tls=tls)
    wrong = serve(handler, "websockets", tls=certificates.server("other_host"))
    board = board_with_names(name_server)
    board.exec(SET_CLOCK)
    out = board.exec(f"for port in ({right.port}, {wrong.port}):\n"
                     f" connect('wss://{NAME}:%d/' % port, cacert={der(certificates.ca)!r})")
    assert out.splitlines() == ["open", "got hello", "closed [-6] closing", "closed [-128] tls"]
    assert names == [NAME]


def test_unknown_name_closes_with_5(board_with_names, name_server):
    board = board_with_names(name_server)
    assert board.exec("_ = connect('ws://no.such.example/')") == "closed [-5] dns\n"


@pytest.mark.parametrize("api", NO_NAME)
def test_unknown_name_in_other_apis(board_with_names, name_server, api):
    board = board_with_names(name_server)
    board.exec(START + VISITS[api])
    assert board.exec("visit('ws://no.such.example/')").splitlines() == NO_NAME[api]


def test_silent_name_server_closes_with_5(board_with_names, silent_name_server):
    board = board_with_names(silent_name_server.getsockname()[1])
    # lwIP asks four times, and nothing can stop it.
    out = board.exec(f"print(connect('ws://{NAME}/', connect_timeout_ms=1000))", timeout_s=30)
    closed, took_ms = out.splitlines()
    assert closed == "closed [-5] dns"
    assert 6000 <= int(took_ms) <= 9000
    for _ in range(4):
        asked(silent_name_server, NAME.split(".")[0])


def test_interrupted_question_is_forgotten(board_with_names, silent_name_server):
    board = board_with_names(silent_name_server.getsockname()[1])
    board.exec("import socket")
    board.write(b"\x02")
    board.until(b">>> ")
    for i in range(4):
        begin(board, f"socket.getaddrinfo('n{i}.example', 80)")
        question, where = asked(silent_name_server, f"n{i}")
        assert "KeyboardInterrupt" in stop(board)
        # The answer comes when nobody waits for it, to what runs then.
        begin(board, "sleep_ms(300); print(sum([1.5, 2.5] * 8))")
        answer = DNSRecord.parse(question).reply()
        answer.add_answer(RR(answer.q.qname, rdata=A("1.2.3.4"), ttl=60))
        silent_name_server.sendto(answer.pack(), where)
        board.until(b"32.0\r\n")
    # It was heard all the same.
    assert "1.2.3.4" in board.exec("print(socket.getaddrinfo('n3.example', 80))")


def test_interrupt_while_a_link_asks_ends_nothing_but_the_question(
        board_with_names, silent_name_server):
    board = board_with_names(silent_name_server.getsockname()[1])
    board.exec(f"""
def go():
    ws = websocket.createClient()
    ws.on("close", lambda ws, code: print("closed", code))
    ws.config({{"connect_timeout_ms": 500}})
    ws.connect("ws://{NAME}/")
    while True:
        pass
""")
    board.write(b"\x02")
    board.until(b">>> ")
    begin(board, "go()")
    asked(silent_name_server, NAME.split(".")[0])
    text = stop(board) + begin(board, "sleep_ms(1000)")
    board.until(b">>> ")
    assert text.count("closed -18") == 1, text
