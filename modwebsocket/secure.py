"""TLS of a wss:// Link: whom to trust, and the handshake, of which no step waits.

Loaded to connect to wss:// only.
"""

import binascii
import gc
import hashlib
import select
from errno import ENOMEM
from time import gmtime

from micropython import const

from . import pump

_TLS_EOF = const(-0x7280)  # mbedTLS: TCP ended, and TLS had not
_TOO_LONG = const(-0x7100)  # mbedTLS: a record, or the handshake's message, above its buffer
_NOT_VERIFIED = const(-0x2700)  # mbedTLS's number for it, which MicroPython does not give
_NO_BIGNUM = const(16)  # mbedTLS's -0x10, of a failed allocation, in MicroPython's hands
_FATAL = const(-0x3000)  # mbedTLS: what a callback says to end the handshake
_CLOCK_YEAR = const(2020)  # an earlier clock was never set
_PEM = b"-----BEGIN CERTIFICATE-----"
_PEM_END = b"-----END CERTIFICATE-----"


def certificates(source):
    """The certificates in source, a list of bytes (DER).

    source: DER, or PEM with one or several; or, as a str that is no PEM, the path of a file with
    either.
    Raises OSError if the file cannot be read, ValueError if no certificate is in it.
    """
    if isinstance(source, str):
        if "-----BEGIN" in source:
            source = source.encode()
        else:
            with open(source, "rb") as f:
                source = f.read()
    source = bytes(source)
    if source[:1] == b"\x30":
        return [source]
    # By hand: mbedTLS reads PEM only where a port has configured it so.
    found = []
    at = source.find(_PEM)
    while at >= 0:
        end = source.find(_PEM_END, at)
        if end < 0:
            break
        found.append(binascii.a2b_base64(source[at + len(_PEM) : end]))
        at = source.find(_PEM, end)
    if not found:
        raise ValueError("cadata: no certificate")
    return found


def fingerprints(pin):
    """The SHA-256 in pin, a list of bytes: one or a collection, each of 32 bytes or as hex.

    The hex may have colons. Raises ValueError.
    """
    found = []
    for one in (pin,) if isinstance(pin, (str, bytes)) else pin:
        if isinstance(one, str):
            one = binascii.unhexlify(one.replace(":", ""))
        if len(one) != 32:
            raise ValueError("pin: not a SHA-256")
        found.append(one)
    if not found:
        raise ValueError("pin: none")
    return found


def _is_address(host):
    # An IP address, which no server name in TLS may be (RFC 6066 §3).
    return ":" in host or not host.replace(".", "").strip("0123456789")


class Tls:
    """Whom one Link trusts, and its handshake.

    request: bytes, what to send first; the Link sets it.
    """

    def __init__(self, host, cadata=None, context=None, pin=None, verify=True):
        """Prepare to connect.

        host: to whom; the name goes to the server, and is compared with its certificate's.
        cadata: trust what these CAs (or this very certificate) signed, see certificates().
        pin: trust these certificates only, by their SHA-256, see fingerprints(); with cadata
        both must hold, without it neither name nor time nor signature is looked at.
        context: a tls.SSLContext that knows all that instead. verify: False trusts any server.
        Raises ValueError if none is given, or what excludes each other, or cadata or pin is
        wrong; OSError if a file cannot be read; NotImplementedError where MicroPython was built
        without TLS, or without what is needed; MemoryError.
        """
        trusting = cadata is not None or pin is not None
        if (context is not None) + trusting + (not verify) != 1:
            raise ValueError("wss:// needs cadata, pin or context, or verify=False")
        try:
            import tls
        except ImportError:
            raise NotImplementedError("this build has no TLS")
        if not hasattr(tls, "CERT_REQUIRED"):
            # axTLS ignores what it is told about certificates, and would send what is written
            # before the handshake is done as it is.
            raise NotImplementedError("this build's TLS cannot verify a server")
        self.request = b""
        self._poller = None
        self._wrong = None  # SHA-256 of a certificate that was not the one
        self._pins = None if pin is None else fingerprints(pin)
        # With an address for a host, CERT_REQUIRED compares that.
        self._name = host if verify or not _is_address(host) else None
        if context is None:
            context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
            if cadata is not None:
                context.verify_mode = tls.CERT_REQUIRED
                for certificate in certificates(cadata):
                    try:
                        context.load_verify_locations(certificate)
                    except ValueError:
                        raise ValueError("cadata: not a certificate")
            else:
                context.verify_mode = tls.CERT_NONE if pin is None else tls.CERT_OPTIONAL
            if pin is not None:
                if not hasattr(context, "verify_callback"):
                    raise NotImplementedError("this build's TLS cannot compare a pin")
                context.verify_callback = self._check_pin
        self._context = context

    def _check_pin(self, certificate, depth):
        # Called out of mbedTLS, which must not be left by an exception.
        if depth:
            return 0
        try:
            found = hashlib.sha256(certificate).digest()
            if found in self._pins:
                return 0
            self._wrong = found
        except BaseException:
            pass
        return _FATAL

    def shake(self, link):
        """Go on with the handshake, and then send the request; True once that is done.

        For a Link whose socket has news. Raises OSError if the network fails; what fails in TLS
        ends the link.
        """
        try:
            if link._stream is link._sock:
                # Of contexts and sockets that nobody holds any more mbedTLS's memory is only
                # given back by their finalisers.
                gc.collect()
                self._poller = select.poll()
                self._poller.register(link._sock, select.POLLOUT)
                link._stream = self._context.wrap_socket(
                    link._sock, server_hostname=self._name, do_handshake_on_connect=False
                )
            while self._go_on(link):
                if not self.request:
                    link._tls = None
                    link._conn.codec.buffered(True)
                    link.stage = "http"
                    return True
        except OSError as e:
            errno = e.errno
            if errno != _TLS_EOF:
                link._stream = link._sock  # which a failed TLS has let go of
                if errno == _NO_BIGNUM:
                    raise OSError(ENOMEM)
                if errno > 0:
                    raise
            self._failed(link, errno, e.args[-1])
        except ValueError as e:
            link._stream = link._sock
            self._failed(link, _NOT_VERIFIED, e.args[0])
        return False

    def _go_on(self, link):
        # Returns False if the rest must wait.  What drives the handshake is the wish to write:
        # when that is granted, it is over.
        stream = link._stream
        n = stream.write(self.request)
        link.stage = "tls"
        if n is None and self._poller.poll(0):
            # Not for want of room: the server has to say something.  Unless there was none and
            # is now.
            n = stream.write(self.request)
        n = n or 0
        self.request = self.request[n:]
        blocked = not self._poller.poll(0)
        if link._blocked is not blocked:
            link._blocked = blocked
            pump._watch(link)
        return n > 0

    def _failed(self, link, errno, what):
        if errno == _TLS_EOF:
            what = "the server hung up"
        elif errno == _TOO_LONG:
            what = "longer than this build takes"
        elif self._wrong:
            what = "pin: the server's is " + str(binascii.hexlify(self._wrong), "ascii")
        elif not isinstance(what, str):
            what = "TLS failed"
        what = what.strip().replace("\n", "; ")
        if gmtime()[0] < _CLOCK_YEAR and ("future" in what or "expired" in what):
            what += "; the clock says %04d-%02d-%02d: set it first" % gmtime()[:3]
        link.text = what
        link.stage = "tls"
        if not link.cause:
            link.errno = errno
        link._end("tls")
