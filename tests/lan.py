"""Two machines on one cable, inside this one: network namespaces with real links, routes, firewalls and name servers.

The near one runs `hlsdl`, the far one an origin (and a name server that answers as told). What happens between them is
done to the cable and the kernel's tables, not simulated. Needs Linux and root.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

from commands import Done, command, environment

from hlsdl.testing import ScriptedOrigin

T = TypeVar("T")

NEAR, FAR = "10.77.0.2", "10.77.0.1"
FAR6 = "fd77::1"
SILENT6 = "fd77::dead"
"""On the cable's IPv6 network, and nobody is there."""
NEW_NETWORK = 0x40000000
RELAY = """
import asyncio, sys
listening, origin, port = sys.argv[1:]
async def pass_on(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def connected(reader, writer):
    there, back = await asyncio.open_connection(origin, port)
    await asyncio.gather(pass_on(reader, back), pass_on(there, writer))
async def main():
    server = await asyncio.start_server(connected, listening, port)
    print("listening", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
PATIENCE = 90.0
"""Seconds until something that a test waits for has not happened."""


def why_not(*programs: str) -> str | None:
    """Why this machine cannot do it; None when it can."""
    if sys.platform != "linux":
        return "network namespaces need Linux"
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = next((name for name in programs if shutil.which(name) is None), None)
    return f"`{missing}` is not installed" if missing else None


class Lan:
    """The cable and both its ends; `connect` makes them and `close` removes them."""

    def __init__(self) -> None:
        mark = uuid.uuid4().hex[:8]
        self.near, self.far = f"hl-near-{mark}", f"hl-far-{mark}"
        self._link = f"hl{mark}"
        self._undo = contextlib.ExitStack()

    def connect(self) -> Self:
        """Lay the cable; on failure nothing of it is left."""
        with self._undo as undo:
            for name in (self.near, self.far):
                system("ip", "netns", "add", name)
                undo.callback(system, "ip", "netns", "del", name)
            system("ip", "link", "add", f"{self._link}n", "type", "veth", "peer", "name", f"{self._link}f")
            for name, end, address, six in (
                (self.near, "n", NEAR, "fd77::2"),
                (self.far, "f", FAR, "fd77::1"),
            ):
                link = f"{self._link}{end}"
                system("ip", "link", "set", link, "netns", name, "name", "eth0")
                system("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
                system("ip", "-n", name, "addr", "add", f"{six}/64", "dev", "eth0", "nodad")
                # Packets as they would be on a real cable: none is larger than the other end takes.
                system("ip", "-n", name, "link", "set", "eth0", "gso_max_segs", "1")
                system("ip", "-n", name, "link", "set", "lo", "up")
                system("ip", "-n", name, "link", "set", "eth0", "up")
            self._undo = undo.pop_all()
        return self

    def close(self) -> None:
        """Remove everything."""
        self._undo.close()

    def on(self, machine: str, *words: str) -> str:
        """Run a program there."""
        return system("ip", "netns", "exec", machine, *words)

    def firewall(self, *rule: str, chain: str = "INPUT", six: bool = False) -> None:
        """One more rule at the end of a chain of the far machine."""
        self.on(self.far, "ip6tables" if six else "iptables", "-w", "-A", chain, *rule)

    def met(self, rule: int = 1, *, chain: str = "INPUT", six: bool = False) -> int:
        """How many packets a rule of the far machine has met since it was made."""
        table = self.on(self.far, "ip6tables" if six else "iptables", "-w", "-nvxL", chain)
        return int(table.splitlines()[1 + rule].split()[0])

    def black_hole(self) -> None:
        """Nothing gets through any more, and nobody is told; rule 1 counts attempts to connect."""
        self.firewall("-p", "tcp", "--syn", "-j", "DROP")
        self.firewall("-j", "DROP")
        self.firewall("-j", "DROP", chain="OUTPUT")

    def heal(self) -> None:
        """No more rules."""
        self.on(self.far, "iptables", "-w", "-F")

    def link(self, state: str) -> None:
        """Set the near machine's end of the cable `up` or `down`."""
        self.on(self.near, "ip", "link", "set", "eth0", state)

    def connections(self, *which: str) -> int:
        """Established connections of the near machine, all or those that `ss` calls so."""
        return len(self.on(self.near, "ss", "-Htn", *which, "state", "established").splitlines())

    def ports(self) -> list[str]:
        """The near machine's ports of these connections."""
        lines = self.on(self.near, "ss", "-Htn", "state", "established").splitlines()
        return [line.split()[2].rpartition(":")[2] for line in lines]

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start `hlsdl …` on the near machine; one that the test forgets is killed."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.near, *command(*arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        self._undo.callback(end, process)
        return process

    def hlsdl(self, *arguments: str | Path) -> Done:
        """Run `hlsdl …` on the near machine to its end."""
        return wait(self.start(*arguments))

    @contextmanager
    def origin(self) -> Iterator[ScriptedOrigin]:
        """An origin on the far machine."""
        origin = ScriptedOrigin(host=FAR)
        inside(self.far, origin.__enter__)
        try:
            yield origin
        finally:
            origin.__exit__(None, None, None)

    def relay(self, port: int) -> None:
        """Let the origin at this port of the far machine be there on IPv6 as well."""
        words = ("ip", "netns", "exec", self.far, sys.executable, "-c", RELAY, FAR6, FAR, str(port))
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._undo.callback(end, process)
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"

    @contextmanager
    def names(self, answer: Callable[[str, int], Sequence[str] | int | None]) -> Iterator[list[tuple[str, int]]]:
        """A name server on the far machine; gives the list of what it was asked: (name, type).

        `answer(name, type)` returns addresses, an error code (2 SERVFAIL, 3 NXDOMAIN), or None to say nothing.
        """
        settings = Path("/etc/netns") / self.near
        settings.mkdir(parents=True)
        (settings / "resolv.conf").write_text(f"nameserver {FAR}\noptions timeout:1 attempts:1\n")
        asked: list[tuple[str, int]] = []
        server = inside(self.far, _name_socket)
        thread = threading.Thread(target=_answer_names, args=(server, answer, asked), daemon=True)
        thread.start()
        try:
            yield asked
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
            shutil.rmtree(settings)


def system(*words: str) -> str:
    """Run a program of the system."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def inside(machine: str, work: Callable[[], T]) -> T:
    """Do something in a thread that lives in that namespace; its sockets stay there."""
    done: list[T] = []

    def run() -> None:
        descriptor = os.open(f"/run/netns/{machine}", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, NEW_NETWORK) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(descriptor)
        done.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return done[0]


def until(holds: Callable[[], object], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def wait(process: subprocess.Popen[str]) -> Done:
    """Wait for the end of a process."""
    out, err = process.communicate(timeout=PATIENCE)
    return Done(process.returncode, out, err)


def end(process: subprocess.Popen[str]) -> None:
    """Kill what still runs."""
    if process.poll() is None:
        process.kill()
    process.communicate()


def _name_socket() -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((FAR, 53))
    return server


def _answer_names(
    server: socket.socket,
    answer: Callable[[str, int], Sequence[str] | int | None],
    asked: list[tuple[str, int]],
) -> None:
    while True:
        try:
            packet, client = server.recvfrom(4096)
        except OSError:
            return  # closed: the test is over
        if not packet:
            return
        name, end_of_name = _read_name(packet)
        (kind,) = struct.unpack_from(">H", packet, end_of_name)
        asked.append((name, kind))
        told = answer(name, kind)
        if told is None:
            continue
        code, addresses = (told, ()) if isinstance(told, int) else (0, told)
        head = packet[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(addresses), 0, 0)
        records = b"".join(_record(kind, one) for one in addresses)
        server.sendto(head + packet[12 : end_of_name + 4] + records, client)


def _read_name(packet: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(labels), at + 1


def _record(kind: int, address: str) -> bytes:
    data = socket.inet_pton(socket.AF_INET6 if kind == 28 else socket.AF_INET, address)
    return struct.pack(">HHHIH", 0xC00C, kind, 1, 0, len(data)) + data
