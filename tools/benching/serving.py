"""Serving: nginx on loopback, plain, over TLS with HTTP/1.1, and over TLS with HTTP/2; Caddy, which has HTTP/3 as well.

Certificates come from an authority that lives as long as the bench; every program is told to trust it, and none skips
the check.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hlsdl.testing import LocalAuthority

LINK = Path(__file__).with_name("link.py")

# nginx closes a kept-alive connection after 1,000 requests unless told otherwise, and logs each of them.
CONFIGURATION = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
worker_processes 2;
worker_rlimit_nofile 8192;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    keepalive_timeout 300;
    types {{ video/mp2t ts; application/vnd.apple.mpegurl m3u8; application/octet-stream key; }}
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    ssl_session_cache shared:tls:1m;
    root {root};
    server {{ listen 127.0.0.1:{plain} backlog=4096; location = /status {{ stub_status; }} }}
    server {{ listen 127.0.0.1:{tls} ssl backlog=4096; }}
    server {{ listen 127.0.0.1:{http2} ssl http2 backlog=4096; }}
}}
"""


# The second site notes what it was asked by, under whatever port: the link has another one.
CADDY = """\
{{
    admin off
    auto_https off
    storage file_system {folder}/caddy
    log {{
        level ERROR
    }}
}}
https://127.0.0.1:{port} {{
    bind 127.0.0.1
    tls {certificate} {certificate}
    root * {root}
    file_server
}}
https://:{noting} {{
    bind 127.0.0.1
    tls {certificate} {certificate}
    root * {root}
    file_server
    log {{
        output file {folder}/caddy.log
    }}
}}
"""


@dataclass(slots=True, kw_only=True)
class Server:
    """Where the server listens."""

    plain: int
    tls: int
    http2: int
    ca_file: Path
    _asked: int = 0
    """How often the status was asked for; each time took a connection."""

    def base(self, way: str) -> str:
        """The URL of its root by one way: `plain`, `tls` or `http2`."""
        if way == "plain":
            return f"http://127.0.0.1:{self.plain}"
        return f"https://127.0.0.1:{self.tls if way == 'tls' else self.http2}"

    def accepted(self) -> int:
        """Connections taken since the start, not counting those of this question."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{self.base('plain')}/status", timeout=10) as answer:
            found = re.search(rb"requests\s+(\d+)", answer.read())
        self._asked += 1
        return int(found[1]) - self._asked if found else 0


@contextmanager
def serving(nginx: str, root: Path, folder: Path) -> Iterator[Server]:
    """Run nginx over `root` until the end of the block; `folder` holds what it writes."""
    authority = LocalAuthority(folder)
    plain, tls, http2 = free_ports(3)
    server = Server(plain=plain, tls=tls, http2=http2, ca_file=authority.ca_file)
    text = CONFIGURATION.format(
        folder=folder,
        root=root,
        certificate=authority.certificate("127.0.0.1", "localhost"),
        plain=plain,
        tls=tls,
        http2=http2,
    )
    (folder / "nginx.conf").write_text(text)
    process = subprocess.Popen([nginx, "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        wait_for_port(plain, process)
        yield server
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Polyglot:
    """Caddy: one address, three versions of HTTP."""

    base: str
    """The URL of its root."""
    noting: str
    """The URL of the same root, where each request is noted."""
    ca_file: Path
    log: Path

    def versions(self) -> list[str]:
        """What the requests to `noting` were made with so far: `HTTP/1.1`, `HTTP/2.0` or `HTTP/3.0`."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [json.loads(line)["request"]["proto"] for line in lines]


@contextmanager
def serving_every_version(caddy: str, root: Path, folder: Path) -> Iterator[Polyglot]:
    """Run Caddy over `root` until the end of the block; `folder` holds what it writes."""
    folder.mkdir()
    authority = LocalAuthority(folder)
    port, noting = free_ports(2)
    text = CADDY.format(
        folder=folder, root=root, certificate=authority.certificate("127.0.0.1", "localhost"), port=port, noting=noting
    )
    (folder / "Caddyfile").write_text(text)
    command = [caddy, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        for one in (port, noting):
            wait_for_port(one, process)
        yield Polyglot(
            base=f"https://127.0.0.1:{port}",
            noting=f"https://127.0.0.1:{noting}",
            ca_file=authority.ca_file,
            log=folder / "caddy.log",
        )
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True, slots=True)
class Sample:
    """What the distant link looked like at one moment."""

    t: float
    """`time.monotonic()`, which all processes of a machine share."""
    open: int
    bytes: int
    refused: int


@dataclass(frozen=True, slots=True)
class Distance:
    """A distant way to the server."""

    port: int
    log: Path
    scheme: str = "http"

    @property
    def base(self) -> str:
        """The URL of the server's root over it."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def samples(self, since: float) -> list[Sample]:
        """What happened on it from a moment on; the state before that is not included."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [Sample(**line) for line in lines if line["t"] >= since]


@contextmanager
def distant(base: str, folder: Path, *, limit: int | None = None) -> Iterator[Distance]:
    """Run the link of `link.py` in front of the server at `base`; `limit`: further connections are answered 429."""
    at_its_end = urlsplit(base)
    (port,) = free_ports(1)
    log = folder / f"link-{port}.log"
    command = [sys.executable, str(LINK), str(port), str(at_its_end.port), str(log), *([str(limit)] if limit else [])]
    process = subprocess.Popen(command)
    try:
        wait_for_port(port, process)
        time.sleep(0.2)  # until the log has seen the end of the connection that looked for the port
        yield Distance(port, log, at_its_end.scheme)
    finally:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until something listens; SystemExit when the process ends instead or takes ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"the server did not start listening on port {port}")
