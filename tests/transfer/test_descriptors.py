"""Descriptors of libcurl's connections: borrowed and given back, cut off, and nothing else is touched."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hlsdl.transfer.descriptors import MOST_READS, cut_off, name_of


def test_looking_at_what_is_no_socket_leaves_no_descriptor(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        highest = os.dup(file.fileno())
        os.close(highest)
        for _ in range(3):
            cut_off(file.fileno())
            assert name_of(file.fileno()) is None
        now = os.dup(file.fileno())
        os.close(now)
    assert now == highest


@pytest.mark.parametrize("said", [0, 1, MOST_READS])
def test_a_connection_that_is_cut_off_has_ended_and_nothing_of_it_is_left_to_read(said: int) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        for _ in range(said):
            theirs.send(b"unasked")
        cut_off(ours.fileno())
        assert ours.recv(100) == b""
        assert theirs.recv(100) == b""


def test_whoever_keeps_speaking_is_not_listened_to_for_ever() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        for number in range(MOST_READS + 1):
            theirs.send(b"%d" % number)
        cut_off(ours.fileno())
        assert ours.recv(100) == b"%d" % MOST_READS
