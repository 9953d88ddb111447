#!/usr/bin/env python3
"""A tracer of a few lines: run a program, and bend the k-th of its system calls that touches one folder.

    tracer.py REPORT INSIDE CALLS AT ONCE|ALWAYS ACTION PROGRAM ARGUMENT…

Why not strace: it counts the calls of each thread by itself, so in a program with five threads "the third write" is
whichever thread gets to three first, and the third writes of the others can never be reached. Here all threads share
one count, and only calls on files below INSIDE are counted: every point of the job has its number, and none is hidden.
ACTION is `kill` (SIGKILL before the call has any effect), the name of an error, or `short` (half of a write).
The report is JSON: how many calls there were, which of them were bent, and how the program ended.
Linux on x86-64 only; uses nothing but the standard library, and imports little since it is started thousands of times.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import sys

TRACEME, PEEKUSER, POKEUSER, SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 3, 6, 24, 0x4200, 0x420E
OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x100000
"""TRACESYSGOOD, TRACEFORK, TRACEVFORK, TRACECLONE, TRACEEXEC, EXITKILL."""
SYSCALL_STOP = signal.SIGTRAP | 0x80
ENTRY = 1
RAX, RDX, ORIG_RAX = 10 * 8, 12 * 8, 15 * 8
AT_FDCWD = -100
WALL = 0x40000000

BY_DESCRIPTOR = {
    0: "read",
    1: "write",
    3: "close",
    17: "pread64",
    74: "fsync",
    75: "fdatasync",
    77: "ftruncate",
    217: "getdents64",
}
BY_PATH = {83: "mkdir", 84: "rmdir", 82: "rename", 87: "unlink"}
BY_DIRECTORY = {257: "openat", 258: "mkdirat", 263: "unlinkat", 262: "newfstatat", 264: "renameat", 316: "renameat2"}
NAMES = BY_DESCRIPTOR | BY_PATH | BY_DIRECTORY

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
libc.ptrace.restype = ctypes.c_long


class SyscallInfo(ctypes.Structure):
    """`struct ptrace_syscall_info`, as far as it is used."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
        ("more", ctypes.c_uint64 * 2),
    )


def ptrace(request: int, pid: int, address: int = 0, data: object = 0) -> None:
    """One ptrace call that must work; ESRCH (the thread was killed meanwhile) is for the caller."""
    if libc.ptrace(request, pid, address, data) == -1:
        raise OSError(ctypes.get_errno(), "ptrace")


class Tracer:
    """Follows all threads of one program."""

    def __init__(self, inside: str, calls: frozenset[str], at: int, lasting: bool, action: str) -> None:
        self.inside, self.calls, self.at, self.lasting, self.action = inside, calls, at, lasting, action
        self.info = SyscallInfo()
        self.count = 0
        self.fired: list[str] = []
        self.answers: dict[int, int] = {}
        """By thread: what the call it is in will answer."""

    def run(self, arguments: list[str]) -> int:
        """Run a program to its end; returns its wait status."""
        leader = os.fork()
        if leader == 0:
            ptrace(TRACEME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.execv(arguments[0], arguments)
        os.waitpid(leader, WALL)
        ptrace(SETOPTIONS, leader, 0, OPTIONS)
        ptrace(SYSCALL, leader)
        known, status = {leader}, 0
        while known:
            thread, ended = os.waitpid(-1, WALL)
            if os.WIFEXITED(ended) or os.WIFSIGNALED(ended):
                known.discard(thread)
                status = ended if thread == leader else status
                continue
            number = os.WSTOPSIG(ended)
            passed = 0
            try:
                if number == SYSCALL_STOP:
                    self.stopped(thread)
                elif thread not in known:
                    known.add(thread)  # a new thread's first stop
                elif number != signal.SIGTRAP:
                    passed = number
                ptrace(SYSCALL, thread, 0, passed)
            except ProcessLookupError:
                continue  # killed while it was stopped; its end is reported next
        return status

    def stopped(self, thread: int) -> None:
        """A thread enters or leaves a system call."""
        ptrace(GET_SYSCALL_INFO, thread, ctypes.sizeof(self.info), ctypes.addressof(self.info))
        if self.info.op != ENTRY:
            answer = self.answers.pop(thread, None)
            if answer is not None:
                ptrace(POKEUSER, thread, RAX, -answer)
            return
        name = NAMES.get(self.info.number)
        if name is None or name not in self.calls:
            return
        path = self.path_of(thread, name)
        if path is None:
            return
        self.count += 1
        if self.count == self.at or (self.lasting and self.count > self.at):
            self.bend(thread, name, path)

    def path_of(self, thread: int, name: str) -> str | None:
        """What a call is about, if that is inside the folder."""
        first, second = self.info.arguments[0], self.info.arguments[1]
        if self.info.number in BY_DESCRIPTOR:
            path = link(f"/proc/{thread}/fd/{first}")
        elif self.info.number in BY_PATH:
            path = os.path.join(link(f"/proc/{thread}/cwd"), self.text_at(thread, first))
        else:
            folder = ctypes.c_int(first & 0xFFFFFFFF).value
            base = link(f"/proc/{thread}/cwd" if folder == AT_FDCWD else f"/proc/{thread}/fd/{folder}")
            path = os.path.join(base, self.text_at(thread, second))
        return path if path == self.inside or path.startswith(self.inside + "/") else None

    def text_at(self, thread: int, address: int) -> str:
        """A C string in the program's memory."""
        found = b""
        with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
            while b"\0" not in found and len(found) < 4096:
                memory.seek(address + len(found))
                found += memory.read(256 - (address + len(found)) % 256)  # never across a page's end
        return os.fsdecode(found.partition(b"\0")[0])

    def bend(self, thread: int, name: str, path: str) -> None:
        """Do what was asked for to the call that a thread is about to make."""
        place = path.removeprefix(self.inside).lstrip("/") or "."
        if self.action == "short":
            asked = self.info.arguments[2]
            if asked < 2:
                return
            ptrace(POKEUSER, thread, RDX, asked // 2)
        elif self.action == "kill":
            os.kill(thread, signal.SIGKILL)
        else:
            self.answers[thread] = getattr(errno, self.action)
            if name != "close":  # which closes even when it fails
                ptrace(POKEUSER, thread, ORIG_RAX, -1)
        self.fired.append(f"{name} {place}")


def link(path: str) -> str:
    """Where a link of /proc leads; nowhere when there is none."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def main(*arguments: str) -> int:
    """Trace, and write the report."""
    report, inside, calls, at, mode, action, *program = arguments
    tracer = Tracer(inside, frozenset(calls.split(",")), int(at), mode == "ALWAYS", action)
    status = tracer.run(program)
    code = os.waitstatus_to_exitcode(status)
    with open(report, "w", encoding="utf-8") as file:
        json.dump({"calls": tracer.count, "fired": tracer.fired, "code": code}, file)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
