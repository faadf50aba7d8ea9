"""Certificates for the servers of the tests, made anew in each run."""

import datetime
import hashlib
import ssl

import lx106
import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

NAMES = ("localhost", "server.example", "127.0.0.1", "::1", lx106.HOST)
LONG_AGO = datetime.datetime(2021, 1, 1, tzinfo=datetime.timezone.utc)
FAR_OFF = datetime.datetime(2055, 1, 1, tzinfo=datetime.timezone.utc)


def der(pem):
    """The DER of a certificate in PEM, both bytes."""
    return load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def pin(issued):
    """The SHA-256 of a server's certificate, as hex."""
    return hashlib.sha256(der(issued.cert_chain_pems[0].bytes())).hexdigest()


class Certificates:
    """Two CAs, and what they signed.

    ca, other: bytes, PEM. pem, der: the Path of a file with `ca`. good: what a server needs, of
    `ca`; so are `ipv4` and `ipv6` (for one address only), `other_host`, `expired` and `early`.
    chain: of a CA that `ca` signed, all RSA; so long that it does not come in one record of 1 KiB.
    long: one of 5 KiB.
    """

    def __init__(self, folder):
        authority = trustme.CA()
        self.ca = authority.cert_pem.bytes()
        self.other = trustme.CA().cert_pem.bytes()
        self.pem = folder / "ca.pem"
        self.pem.write_bytes(self.ca)
        self.der = folder / "ca.der"
        self.der.write_bytes(der(self.ca))
        issue = authority.issue_cert
        self.good = issue(*NAMES)
        self.rsa = issue(*NAMES, key_type=trustme.KeyType.RSA)
        self.ipv4 = issue("127.0.0.1")
        self.ipv6 = issue("::1")
        rsa = {"key_type": trustme.KeyType.RSA}
        self.chain = authority.create_child_ca(**rsa).issue_cert(*NAMES, **rsa)
        self.long = issue(*NAMES, *(f"{i}.a-rather-long-name.example" for i in range(170)))
        self.other_host = issue("example.com", "192.0.2.1")
        self.expired = issue(*NAMES, not_before=LONG_AGO, not_after=LONG_AGO.replace(year=2022))
        self.early = issue(*NAMES, not_before=FAR_OFF, not_after=FAR_OFF.replace(year=2056))
        self.stranger = trustme.CA().issue_cert(*NAMES)

    def server(self, name="good", version=None):
        """The SSLContext of a server with the certificate of that name.

        version: the one of TLS that it speaks, an ssl.TLSVersion.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        getattr(self, name).configure_cert(context)
        if version:
            context.minimum_version = context.maximum_version = version
        return context
