"""A headless Chromium, driven through its DevTools protocol."""

import base64
import json
import os
import shutil
import signal
import subprocess
import threading
import urllib.request
from contextlib import contextmanager

import pytest
import websockets.sync.client
from peer.servers import WAIT_S

NAMES = "chromium-headless-shell", "chromium", "google-chrome"
OPTIONS = ("--headless", "--remote-debugging-port=0", "--disable-dev-shm-usage",
           "--disable-background-networking", "--hide-scrollbars")


class Browser:
    """The process."""

    def __init__(self, folder):
        """folder: for what it keeps."""
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if not program:
            pytest.fail("there is no Chromium: run `make test`", pytrace=False)
        options = [*OPTIONS, f"--user-data-dir={folder}"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")
        # In a group of its own: Debian's program is a shell script that starts the browser.
        self._process = subprocess.Popen([program, *options], stderr=subprocess.PIPE, text=True,
                                         start_new_session=True)
        said = []
        for line in self._process.stderr:
            said.append(line)
            if line.startswith("DevTools listening on ws://"):
                self._host = line.split("/")[2]
                break
        else:
            pytest.fail(f"{program} ended: {said}", pytrace=False)
        # It says more, and must not wait for a reader.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    @contextmanager
    def tab(self):
        """A new Tab, as a context manager."""
        asking = urllib.request.Request(f"http://{self._host}/json/new", method="PUT")
        with urllib.request.urlopen(asking, timeout=WAIT_S) as answer:
            url = json.load(answer)["webSocketDebuggerUrl"]
        with websockets.sync.client.connect(url, max_size=None) as ws:
            tab = Tab(ws)
            yield tab
            tab.call("Page.close")

    def close(self):
        """Ends it."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Tab:
    """One page of the browser."""

    def __init__(self, ws):
        self._ws = ws
        self._count = 0
        self._events = []
        self.call("Page.enable")

    def call(self, method, timeout_s=WAIT_S, **params):
        """What a method of the protocol returns."""
        self._count += 1
        self._ws.send(json.dumps({"id": self._count, "method": method, "params": params}))
        while (answer := json.loads(self._ws.recv(timeout_s))).get("id") != self._count:
            self._events.append(answer.get("method"))
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def load(self, url=None):
        """Loads a page, or the present one again; returns its HTTP status."""
        self._events.clear()
        if url:
            answer = self.call("Page.navigate", url=url)
            assert "errorText" not in answer, answer
        else:
            self.call("Page.reload")
        while "Page.loadEventFired" not in self._events:
            self._events.append(json.loads(self._ws.recv(WAIT_S)).get("method"))
        return self.run("return performance.getEntriesByType('navigation')[0].responseStatus")

    def run(self, script, timeout_s=WAIT_S):
        """What the body of an asynchronous JavaScript function returns, as JSON can tell it."""
        answer = self.call("Runtime.evaluate", timeout_s, awaitPromise=True, returnByValue=True,
                           expression=f"(async () => {{{script}}})()")
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, condition, timeout_s=WAIT_S):
        """Waits until a JavaScript expression is true."""
        try:
            self.run(f"while (!({condition})) await new Promise((f) => setTimeout(f, 20))",
                     timeout_s)
        except TimeoutError:
            pytest.fail(f"never {condition}: {self.text()}")

    def type(self, text):
        """Types text, where the page's focus is, and Enter."""
        self.call("Input.insertText", text=text)
        for kind in "keyDown", "keyUp":
            self.call("Input.dispatchKeyEvent", type=kind, key="Enter", text="\r",
                      windowsVirtualKeyCode=13)

    def text(self):
        """What a person reads on the page."""
        return self.run("return document.body.innerText")

    def screenshot(self, width):
        """The whole page as a PNG, bytes.  width: of the window, pixels."""
        height = 100
        for _ in range(2):
            self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=False)
            height = self.run("return document.documentElement.scrollHeight")
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
