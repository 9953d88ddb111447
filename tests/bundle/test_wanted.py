"""Damaged objects stay until their like has come, and nothing else ever takes their place, whatever interrupts it."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hlsdl.bundle import durable, ledger
from hlsdl.bundle.journal import entry_line
from hlsdl.bundle.manifest import StoredDocument
from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError, IntegrityError

from .shelves import body, sealed, segment_path


def test_what_is_wanted_stays_where_it_is_and_counts_as_missing(tmp_path: Path) -> None:
    """Also for the next writer, and however that ends; a reader sees what there is."""
    path, whole = sealed(tmp_path / "A.movpkg"), body(0)
    was = hashlib.sha256(whole).hexdigest()
    (path / segment_path(0)).write_bytes(damaged := whole[:-1] + b"!")
    with BundleWriter.open(path) as writer:
        writer.want(segment_path(0), was)
    for clean in (True, False):
        writer = BundleWriter.open(path)
        assert not writer.is_stored(segment_path(0))
        assert (writer.wanted.keys(), writer.expected) == ({segment_path(0)}, {segment_path(0): was})
        with pytest.raises(IntegrityError, match="not whole"):
            writer.seal(Bundle.open(path).manifest)
        writer.close(clean=clean)
        seen = Bundle.open(path)
        assert (seen.state, seen.is_seal_intact, seen.journal.wanted) == ("complete", True, {segment_path(0)})
        assert (path / segment_path(0)).read_bytes() == damaged
        assert segment_path(0) in seen.entries


def test_nothing_else_is_stored_in_the_place_of_what_is_wanted(tmp_path: Path) -> None:
    """It is refused before a word of it is written down, alone and among others."""
    path, whole = sealed(tmp_path / "A.movpkg"), body(0)
    with BundleWriter.open(path) as writer:
        writer.want(segment_path(0), hashlib.sha256(whole).hexdigest())
        journal = (path / "journal.jsonl").read_bytes()
        with pytest.raises(IntegrityError, match="other bytes"):
            writer.put(segment_path(0), b"other bytes")
        (tmp_path / "file").write_bytes(b"other bytes")
        with (tmp_path / "file").open("rb") as file, pytest.raises(IntegrityError, match="other bytes"):
            writer.put_file(segment_path(0), file, size=11)
        assert (path / "journal.jsonl").read_bytes() == journal
        assert (path / segment_path(0)).read_bytes() == whole
        writer.put(segment_path(0), whole)
        assert (writer.is_stored(segment_path(0)), writer.wanted) == (True, {})
        writer.seal(Bundle.open(path).manifest)
    assert Bundle.open(path).journal.expected == {}
    assert list(path.rglob("*.part")) == []


def test_what_is_wanted_and_nobody_asks_for_goes_with_the_seal(tmp_path: Path) -> None:
    path = sealed(tmp_path / "A.movpkg")
    with BundleWriter.open(path) as writer:
        writer.put("Data/x.json", b"{}")
        writer.want("Data/x.json")
        writer.seal(Bundle.open(path).manifest)
    assert not (path / "Data" / "x.json").exists()
    assert Bundle.open(path).shortfalls() == ()


@pytest.mark.parametrize("damage", ["flipped", "cut", "grown"])
def test_damage_in_a_bundle_that_was_copied_stays_and_is_wanted(tmp_path: Path, damage: str) -> None:
    """Everything is hashed there; what was whole once must come again as it was."""
    path = Path(shutil.copytree(sealed(tmp_path / "A.movpkg"), tmp_path / "B.movpkg"))
    whole = body(0)
    left = {"flipped": whole[:-1] + b"!", "cut": whole[:-1], "grown": whole + b"!"}[damage]
    (path / segment_path(0)).write_bytes(left)
    BundleWriter.open(path).close(clean=False)
    with BundleWriter.open(path) as writer:
        assert writer.expected == {segment_path(0): hashlib.sha256(whole).hexdigest()}
        assert writer.wanted.keys() == {segment_path(0)}
    assert (path / segment_path(0)).read_bytes() == left
    (path / segment_path(0)).unlink()
    with BundleWriter.open(path) as writer:
        assert (set(writer.expected), writer.wanted) == ({segment_path(0)}, {})


@pytest.mark.parametrize("must_have", [True, False])
@pytest.mark.parametrize("step", ["rename", "flush"])
def test_what_cannot_be_replaced_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, must_have: bool
) -> None:
    """Readers see what is there, and not what should have come."""
    path, whole = sealed(tmp_path / "A.movpkg"), body(0)
    before = Bundle.open(path).entries[segment_path(0)]
    new, was = (whole, hashlib.sha256(whole).hexdigest()) if must_have else (b"another", None)

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with BundleWriter.open(path) as writer:
        writer.want(segment_path(0), was)
        if step == "rename":
            monkeypatch.setattr(durable.Folder, "rename", broken)
        else:
            monkeypatch.setattr(ledger, "flush", broken)
        with pytest.raises(DiskError):
            writer.put(segment_path(0), new)
        monkeypatch.undo()
        assert writer.wanted == {segment_path(0): before}
        assert writer.expected == ({segment_path(0): was} if was else {})
        writer.close(clean=False)
    seen = Bundle.open(path)
    assert (seen.entries[segment_path(0)], seen.journal.wanted) == (before, {segment_path(0)})
    assert (path / segment_path(0)).read_bytes() == whole
    with BundleWriter.open(path) as writer:  # where that is what must come, it is seen to be here
        assert writer.wanted.keys() == (set() if must_have else {segment_path(0)})


@pytest.mark.parametrize("must_have", [True, False])
def test_a_replacement_that_a_power_cut_emptied_leaves_what_was_there(tmp_path: Path, must_have: bool) -> None:
    path, whole = sealed(tmp_path / "A.movpkg"), body(0)
    before = Bundle.open(path).entries[segment_path(0)]
    was = before.sha256 if must_have else None
    with BundleWriter.open(path) as writer:
        writer.want(segment_path(0), was)
        writer.close(clean=False)
    new = before if must_have else replace(before, size=7, sha256="1" * 64)
    with (path / "journal.jsonl").open("ab") as journal:
        journal.write(entry_line(new))
    folder, name = segment_path(0).split("/")
    (path / folder / f".{name}.0123abcd.part").write_bytes(b"")
    left = whole if not must_have else whole[:-1] + b"!"
    (path / segment_path(0)).write_bytes(left)
    with BundleWriter.open(path) as writer:
        assert writer.wanted == {segment_path(0): before}
        assert writer.expected == ({segment_path(0): was} if was else {})
    assert (path / segment_path(0)).read_bytes() == left
    assert list(path.rglob("*.part")) == []


def test_what_somebody_has_put_back_is_stored_again(tmp_path: Path) -> None:
    path, whole = sealed(tmp_path / "A.movpkg"), body(0)
    with BundleWriter.open(path) as writer:
        writer.want(segment_path(0), hashlib.sha256(whole).hexdigest())
        writer.want(segment_path(1))  # of this nobody knows what it should be
    with BundleWriter.open(path) as writer:
        assert (writer.is_stored(segment_path(0)), writer.wanted.keys()) == (True, {segment_path(1)})
    assert Bundle.open(path).journal.wanted == {segment_path(1)}


def test_a_damaged_document_that_stays_is_still_wanted_after_the_seal(tmp_path: Path) -> None:
    path = sealed(tmp_path / "A.movpkg")
    picture = StoredDocument(path="Data/artwork.png", url="", final_url="", category="artwork")
    with BundleWriter.open(path) as writer:
        writer.put(picture.path, b"a picture")
        manifest = Bundle.open(path).manifest
        writer.want(picture.path)
        writer.seal(replace(manifest, documents=(*manifest.documents, picture)))
    seen = Bundle.open(path)
    assert (seen.state, seen.is_seal_intact, seen.journal.wanted) == ("complete", True, {picture.path})
    assert seen.read(picture.path) == b"a picture"
