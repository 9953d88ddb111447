"""Where a user's data is."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from hlsdl.library.places import data_folder, index_file, library_folder, sessions_folder


def test_the_variable_names_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything is below it; nothing is created by asking."""
    monkeypatch.setenv("HLSDL_DATA", str(tmp_path / "here"))
    assert data_folder() == tmp_path / "here"
    assert {place.parent for place in (library_folder(), sessions_folder(), index_file())} == {tmp_path / "here"}
    assert list(tmp_path.iterdir()) == []


def test_a_relative_variable_is_relative_to_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It stays the same place when the program changes its folder afterwards; `~` is the home folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HLSDL_DATA", "here")
    assert data_folder() == tmp_path / "here"
    monkeypatch.setenv("HLSDL_DATA", "~/here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder() == tmp_path / "here"


def test_without_it_the_systems_folder_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable counts as not set."""
    monkeypatch.setenv("HLSDL_DATA", "")
    assert data_folder() == platformdirs.user_data_path("hlsdl", appauthor=False)
    assert library_folder(Path("/other")) == Path("/other/library")
