"""Ported from NodeMCU Lua, see docs/porting.md: sends a log, then removes it."""

import os
import sys

import modwebsocket
import websocket

url = sys.argv[1] if len(sys.argv) > 1 else "ws://192.168.1.2:9001/"
LOG = "log.txt"
SENDING = "sending.txt"  # what is logged meanwhile goes to a new LOG
log = None
ws = websocket.createClient()


def exists(name):
    try:
        os.stat(name)
        return True
    except OSError:
        return False


def send_line():
    line = log.readline()
    if line:
        ws.send(line)
    else:
        log.close()
        os.remove(SENDING)
        ws.close()


def on_connection():
    global log
    log = open(SENDING)
    send_line()


def on_receive(ws, message):
    if message == "ok":
        send_line()
    else:
        print("refused: " + message)
        ws.close()


def on_close(ws, status):
    if log:
        log.close()
    if exists(SENDING):
        print("kept, for next time: %d" % status)
    else:
        print("sent")


ws.on("connection", on_connection)
ws.on("receive", on_receive)
ws.on("close", on_close)

if exists(LOG) and not exists(SENDING):
    os.rename(LOG, SENDING)
if exists(SENDING):
    ws.connect(url)
    modwebsocket.run()  # until it is closed; an ESP8266 would go on in the background
else:
    print("nothing to send")
