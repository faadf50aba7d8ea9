"""Follows a server that answers the upgrade by "elsewhere": HTTP 301, 302, 303, 307 and 308.

Loaded to connect with max_redirects only.
"""

import io
import os
import socket

from . import handshake, secure, url

_STATUSES = (301, 302, 303, 307, 308)
# Headers that are for one server only (RFC 9110 §15.4).
_PRIVATE = ("authorization", "cookie", "host", "proxy-authorization")


def resolve(address, reference):
    """The address that a reference means which was found at another one.

    address: that one, as url.parse() returns it. reference: str, a URL, also http:// and https://,
    which mean ws:// and wss:// here, or a relative reference.
    Returns what url.parse() does. Raises URLError. Source: RFC 3986 §5.
    """
    secured, host, port, path, userinfo = address
    reference = url.partition(reference, "#")[0]
    scheme, found, rest = url.partition(reference, ":")
    if found and "/" not in scheme and "?" not in scheme:
        if scheme[:4].lower() == "http":
            reference = "ws" + reference[4:]
        secured, host, port, path, userinfo = url.parse(reference)
    elif reference.startswith("//"):
        secured, host, port, path, userinfo = url.parse(("wss:" if secured else "ws:") + reference)
    elif reference:
        path = url.partition(path, "?")[0]
        if reference[0] == "/":
            path = reference
        elif reference[0] == "?":
            path += reference
        else:
            path = path[: path.rfind("/") + 1] + reference
        path = url.parse("ws://host" + path)[3]
    return secured, host, port, _without_dots(path), userinfo


def _without_dots(path):
    # RFC 3986 §5.2.4.
    path, mark, query = url.partition(path, "?")
    names = path[1:].split("/")
    kept = []
    for name in names:
        if name == "..":
            if kept:
                kept.pop()
        elif name != ".":
            kept.append(name)
    if names[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept) + mark + query


class Redirects:
    """Where one Link may yet be sent: to other hosts, but never from wss:// to ws://.

    Another host, or port, does not get Authorization (nor a URL's userinfo), Cookie and Host.
    """

    def __init__(self, left, address, how, trust):
        """left: how many to follow. address: the first one, as url.parse() returns it.

        how: handshake.ask()'s arguments behind the nonce, a tuple. trust: those of secure.Tls
        behind the host, for wss://.
        """
        self._left = left
        self._address = address
        self._how = how
        self._trust = trust

    def take(self, response):
        """True if this handshake.Response, whose head is complete, says to ask elsewhere."""
        return response.status in _STATUSES and "location" in response.headers

    def follow(self, link):
        """Have a Link, whose socket is closed, ask there; False if its end is the answer."""
        conn = link._conn
        try:
            if not self._left:
                raise ValueError("too many")
            self._left -= 1
            old = self._address
            new = resolve(old, conn.response.headers["location"])
            if old[0] and not new[0]:
                raise ValueError("from wss:// to ws://")
            if new[1].lower() != old[1].lower() or new[2] != old[2]:
                how = self._how
                self._how = (_public(how[0]), _public(how[1])) + how[2:]
            request, response = handshake.ask(new, os.urandom(16), *self._how)
            link._tls = secure.Tls(new[1], **self._trust) if new[0] else None
        except (ValueError, OSError, NotImplementedError) as e:
            link.stage = "http"
            link.text = "redirect: %s" % e.args[0]
            link._end("http")
            return False
        self._address = new
        response.redirects = self
        if link.response:
            link.response = response
        # What is left in the buffers is of the answer, and maybe of the request.
        codec = conn.codec
        codec.read()
        codec.flush(io.BytesIO())
        codec.buffered(False)
        conn.error = None
        conn.state = 0
        if link._tls:
            link._tls.request = request
            request = b""
        conn.start(request, response)
        link._addresses = (new[1], new[2], 0, socket.SOCK_STREAM)
        return True


def _public(headers):
    return [pair for pair in headers if pair[0].lower() not in _PRIVATE]
