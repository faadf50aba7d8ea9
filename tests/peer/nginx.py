"""Debian's nginx between a client and a server: as a proxy, and in front of it with TLS."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

PROGRAM = "/usr/sbin/nginx"
NOBODY = 65534

CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr crit;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/chain.pem;
    ssl_certificate_key {folder}/key.pem;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    proxy_set_header Host $http_host;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        location / {{ proxy_pass {backend}; }}
        location /short {{ proxy_pass {backend}; proxy_read_timeout 1s; }}
        location /down {{ proxy_pass http://127.0.0.1:1; }}
        location /plain {{ proxy_pass {backend}; proxy_set_header Upgrade ""; }}
        location /moved/ {{ return 301 https://127.0.0.1:{tls_port}/; }}
    }}
}}
"""


class Nginx:
    """One nginx, of nobody's, before a Server; its files are in a folder of its own.

    Paths: /short cuts who is silent for a second; /down has nothing behind it; /plain forgets
    the Upgrade header; /moved/ redirects to https://. port: ws. tls_port: wss.
    """

    def __init__(self, server, certificate):
        """certificate: what it shows, a trustme.LeafCert."""
        # Bound here and handed over: no other program can take a port meanwhile.
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.port, self.tls_port = [s.getsockname()[1] for s in listeners]
        self.url = f"ws://127.0.0.1:{self.port}/"
        self.tls_url = f"wss://127.0.0.1:{self.tls_port}/"
        self._folder = Path(tempfile.mkdtemp(prefix="nginx-"))
        (self._folder / "conf").write_text(CONFIG.format(
            folder=self._folder, backend=f"http://127.0.0.1:{server.port}", port=self.port,
            tls_port=self.tls_port))
        (self._folder / "chain.pem").write_bytes(certificate.cert_chain_pems[0].bytes())
        (self._folder / "key.pem").write_bytes(certificate.private_key_pem.bytes())
        nobody = {}
        if os.getuid() == 0:
            nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            for path in (self._folder, *self._folder.iterdir()):
                os.chown(path, NOBODY, NOBODY)
        files = [s.fileno() for s in listeners]
        environment = {**os.environ, "NGINX": "".join(f"{n};" for n in files)}
        with open(self._folder / "log", "w") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-p", self._folder, "-e", "stderr", "-c", self._folder / "conf"],
                pass_fds=files, env=environment, cwd=self._folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, **nobody)
        for s in listeners:
            s.close()

    def stop(self):
        """Ends it; fails if it has ended already."""
        status = self._process.poll()
        log = (self._folder / "log").read_text()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder)
        assert status is None, log
