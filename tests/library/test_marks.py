"""By a mark this machine knows again what was done on it; nobody else can make one."""

from __future__ import annotations

from pathlib import Path

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
