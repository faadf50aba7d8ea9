"""A server's certificate, for what measures wss:// on the emulated board."""

import ssl
import time

import lx106
import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

# For the board, which starts in 2000.
SET_CLOCK = "from machine import RTC\nRTC().datetime((%d, %d, %d, 0, %d, %d, %d, 0))\n" % (
    time.gmtime()[:6])


def make():
    """Return (the SSLContext of a server, DER of the CA that signed its certificate); P-256."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(lx106.HOST).configure_cert(context)
    ca = load_pem_x509_certificate(authority.cert_pem.bytes())
    return context, ca.public_bytes(Encoding.DER)
