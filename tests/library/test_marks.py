"""By a mark this machine knows again what was done on it; nobody else can make one."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from hlsdl.errors import DiskError
from hlsdl.library.marks import is_mark_of, mark_of
from hlsdl.library.places import data_folder, mark_key_file

FACTS = ("b", "https://films.test/a.m3u8", None, 7)


def test_a_mark_fits_its_facts_and_no_others(tmp_path: Path) -> None:
    mark = mark_of(*FACTS, root=tmp_path)
    assert is_mark_of(mark, *FACTS, root=tmp_path)
    assert mark == mark_of(*FACTS, root=tmp_path)
    for others in (FACTS[1:], (*FACTS[:3], 8), ("b", "https://films.test/a.m3u8", "", 7)):
        assert not is_mark_of(mark, *others, root=tmp_path)


def test_a_mark_of_another_machine_does_not_fit(tmp_path: Path) -> None:
    theirs = mark_of(*FACTS, root=tmp_path / "theirs")
    assert not is_mark_of(theirs, *FACTS, root=tmp_path / "ours")  # which has no key yet
    mark_of(root=tmp_path / "ours")
    for anything in (theirs, None, "", "é", 7, ["a"], {}):
        assert not is_mark_of(anything, *FACTS, root=tmp_path / "ours")


def test_the_key_is_its_owners_and_is_made_once(tmp_path: Path) -> None:
    mark_of(root=tmp_path / "data")
    key = mark_key_file(tmp_path / "data")
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    before = key.read_bytes()
    mark_of(root=tmp_path / "data")
    assert [file.read_bytes() for file in key.parent.iterdir()] == [before]


@pytest.mark.parametrize("left", [b"", bytes(65), b"0" * 64])
def test_what_a_power_cut_left_of_a_key_is_none(tmp_path: Path, left: bytes) -> None:
    mark_key_file(tmp_path).write_bytes(left)
    assert not is_mark_of("0" * 64, *FACTS, root=tmp_path)
    assert is_mark_of(mark_of(*FACTS, root=tmp_path), *FACTS, root=tmp_path)


Between = Callable[[str, Callable[[], None]], None]


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Between:
    """Lets something happen just before this process calls a function of `os` for the first time."""

    def install(name: str, happens: Callable[[], None]) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **named: Any) -> Any:
            monkeypatch.setattr(os, name, real)
            happens()
            return real(*arguments, **named)

        monkeypatch.setattr(os, name, call)

    return install


def no_links(*_: Any) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("has_links", [True, False], ids=["links", "no-links"])
@pytest.mark.parametrize("left", [None, b""], ids=["nothing", "no-key"])
def test_the_marks_of_two_who_make_the_first_key_at_once_both_hold(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    between: Between,
    left: bytes | None,
    has_links: bool,
) -> None:
    """The other one finds no key either, and has made its mark before this one gives its own key the name."""
    marks: list[str | None] = []
    if left is not None:
        mark_key_file(tmp_path).write_bytes(left)
    if not has_links:
        monkeypatch.setattr(os, "link", no_links)
    between("link", lambda: marks.append(mark_of("theirs", root=tmp_path)))
    mine = mark_of("mine", root=tmp_path)
    assert marks
    assert is_mark_of(mine, "mine", root=tmp_path)
    assert is_mark_of(marks[0], "theirs", root=tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="there a file is not locked while it is replaced")
def test_nobody_makes_a_mark_between_the_second_look_and_the_new_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: Between
) -> None:
    """Where what a power cut left is replaced, the other one waits its turn, and takes the key that it finds then."""
    import fcntl

    mark_key_file(tmp_path).write_bytes(b"")
    marks, is_at_it, lock = [], Event(), fcntl.flock

    def other() -> None:
        try:
            marks.append(mark_of("theirs", root=tmp_path))
        finally:
            is_at_it.set()

    def locked(*arguments: Any) -> None:
        is_at_it.set()
        lock(*arguments)

    thread = Thread(target=other)

    def meanwhile() -> None:
        monkeypatch.setattr(fcntl, "flock", locked)
        thread.start()
        is_at_it.wait()  # for its turn, or done without one

    between("replace", meanwhile)
    mine = mark_of("mine", root=tmp_path)
    thread.join()
    assert is_mark_of(mine, "mine", root=tmp_path)
    assert is_mark_of(marks[0], "theirs", root=tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="flushes are called otherwise elsewhere")
def test_the_key_is_on_the_device_before_it_has_its_name_and_that_before_there_is_a_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut between them would leave a mark that fits no more."""
    calls: list[str] = []

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments, **named: (calls.append(name), real(*arguments, **named))[1]

    for name in ("fdatasync", "link", "fsync"):
        monkeypatch.setattr(os, name, watched(name, getattr(os, name)))
    mark_of(root=tmp_path)
    assert calls == ["fdatasync", "link", "fsync"]


def test_where_no_key_can_be_kept_there_are_no_marks(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert mark_of(*FACTS, root=tmp_path / "file") is None
    assert not is_mark_of("0" * 64, *FACTS, root=tmp_path / "file")


def test_where_no_data_folder_can_be_named_there_are_no_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user of a container who has no home; downloads go on without."""
    monkeypatch.setenv("HLSDL_DATA", "~nobody-of-this-name/x")
    assert mark_of("a") is None
    assert not is_mark_of("0" * 64, "a")
    with pytest.raises(DiskError, match="no folder for this user"):
        data_folder()
