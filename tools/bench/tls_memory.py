"""What TLS would take of an ESP8266's heap: mbedTLS's smallest client that verifies, 32-bit.

It shakes hands on this machine with Python's `ssl`, one P-256 certificate, signed by the CA that
the client knows. Its allocations are counted as MicroPython's heap would hold them.
"""

import os
import socket
import ssl
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

HERE = Path(__file__).resolve().parent
MBEDTLS = Path(os.environ["MODWEBSOCKET_MPY_DIR"]) / "lib" / "mbedtls"
# Content of a record, bytes: the server must agree to less than 16384 (RFC 6066 section 4).
RECORD_LENS = (1024, 4096, 16384)


def build(folder, record_len):
    """Compiles the client for one length of records; returns its Path."""
    program = folder / f"tls_memory{record_len}"
    subprocess.run(
        ["gcc", "-m32", "-Os", "-w", f"-DIN_LEN={record_len}", f"-I{HERE}",
         '-DMBEDTLS_CONFIG_FILE="tls_memory.h"', f"-I{MBEDTLS / 'include'}",
         HERE / "tls_memory.c", *sorted((MBEDTLS / "library").glob("*.c")), "-o", program],
        check=True,
    )
    return program


def serve(listener, context):
    """Shakes hands with whoever comes."""
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with context.wrap_socket(client, server_side=True) as tls:
                tls.recv(1)


def main():
    """Prints a line for each length of records."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    print("mbedTLS's smallest client, bytes of heap: in the handshake, and while connected")
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server, context), daemon=True).start()
        ca = Path(folder) / "ca.der"
        certificate = load_pem_x509_certificate(authority.cert_pem.bytes())
        ca.write_bytes(certificate.public_bytes(Encoding.DER))
        for record_len in RECORD_LENS:
            program = build(Path(folder), record_len)
            out = subprocess.run([program, str(server.getsockname()[1]), ca], check=True,
                                 capture_output=True, text=True).stdout
            peak, connected = map(int, out.split())
            print(f"records of {record_len:5}: {peak:6} {connected:6}", flush=True)


if __name__ == "__main__":
    main()
