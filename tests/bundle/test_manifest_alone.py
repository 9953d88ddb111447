"""The manifest is replaced alone, and the bundle stays as whole as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hlsdl.bundle.manifest_alone import save_choices
from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import LockedError

from .shelves import sealed


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
