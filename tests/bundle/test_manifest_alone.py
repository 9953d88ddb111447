"""The manifest is replaced alone: for a mark, or to let a bundle count as sealed again that nothing has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hlsdl.bundle.manifest_alone import put_back, save_choices
from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import LockedError

from .shelves import body, sealed, segment_path


def test_choices_are_replaced_in_a_complete_bundle_and_nothing_else_is(tmp_path: Path) -> None:
    path = sealed(tmp_path / "A.movpkg")
    before = Bundle.open(path)
    save_choices(path, before.manifest, {"named": "a mark"})
    after = Bundle.open(path)
    assert after.manifest == replace(before.manifest, choices={"named": "a mark"}, checksum=after.manifest.checksum)
    assert (after.state, after.is_seal_intact, after.shortfalls()) == ("complete", True, before.shortfalls())


def test_choices_are_not_replaced_beside_a_writer_nor_over_what_it_wrote(tmp_path: Path) -> None:
    path = sealed(tmp_path / "A.movpkg")
    before = Bundle.open(path).manifest
    with BundleWriter.open(path) as writer:
        with pytest.raises(LockedError, match="works on"):
            save_choices(path, before, {})
        writer.seal(replace(before, title="Another title"))
    with pytest.raises(LockedError, match="changed"):
        save_choices(path, before, {})
    assert Bundle.open(path).title == "Another title"


def test_work_that_changed_nothing_leaves_a_sealed_bundle(tmp_path: Path) -> None:
    path = sealed(tmp_path / "A.movpkg")
    before = Bundle.open(path)
    with BundleWriter.open(path) as writer:
        writer.save_manifest(before.manifest)
        writer.put(segment_path(0), body(0))  # the same once more
    now = Bundle.open(path)
    assert now.state == "partial"
    assert put_back(path, before.manifest, now.manifest)
    after = Bundle.open(path)
    assert (after.state, after.is_seal_intact, after.shortfalls()) == ("complete", True, before.shortfalls())


def test_a_seal_that_is_gone_does_not_come_back(tmp_path: Path) -> None:
    """Where the journal was written anew, the old manifest would speak of another one."""
    path = sealed(tmp_path / "A.movpkg")
    before = Bundle.open(path)
    with BundleWriter.open(path) as writer:
        writer.put(segment_path(0), b"other")
        writer.seal(before.manifest)
        writer.save_manifest(before.manifest)
    now = Bundle.open(path).manifest
    assert not put_back(path, before.manifest, now)
    assert Bundle.open(path).manifest == now
