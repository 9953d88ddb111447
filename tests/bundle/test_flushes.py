"""Flushes that nothing but a power cut would miss: what must be on the device, before which name, and after it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hlsdl.bundle.durable import Folder, replace_durably
from hlsdl.bundle.plain_file import PlainFile
from hlsdl.bundle.writing import BundleWriter

from .shelves import body, manifest, sealed, segment_path, stream, write_derived

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at descriptors as Linux shows them")

Calls = list[tuple[str, str]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Every flush and every new name, with the name of the file or folder that it was of."""
    made: Calls = []

    def watched(name: str, real: Callable[..., Any], target: Callable[..., str]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            made.append((name, target(*arguments)))
            return real(*arguments, **named)

        return call

    def of_descriptor(descriptor: int) -> str:
        return Path(os.readlink(f"/proc/self/fd/{descriptor}")).name

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, watched(name, getattr(os, name), of_descriptor))
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, watched("name", getattr(os, name), lambda _old, new: Path(new).name))
    return made


def test_what_is_put_in_anothers_place_is_flushed_and_then_its_name(tmp_path: Path, calls: Calls) -> None:
    with Folder.open(tmp_path) as folder:
        replace_durably(folder, "manifest.json", b"{}")
    (content, _), named, (last, where) = calls
    assert (content, named, last, where) == ("fdatasync", ("name", "manifest.json"), "fsync", tmp_path.name)


def test_the_name_of_a_new_bundle_is_flushed(tmp_path: Path, calls: Calls) -> None:
    BundleWriter.open(tmp_path / "A.movpkg").close()
    assert ("fsync", tmp_path.name) in calls


def test_a_clean_end_is_on_the_device_when_the_bundle_is_closed(tmp_path: Path, calls: Calls) -> None:
    writer = BundleWriter.open(tmp_path / "A.movpkg")
    writer.put(segment_path(1), body(1))
    writer.checkpoint()
    calls.clear()
    writer.close()
    assert ("fdatasync", "journal.jsonl") in calls


def test_a_seal_ends_with_the_flush_of_the_manifests_name(tmp_path: Path, calls: Calls) -> None:
    with BundleWriter.open(tmp_path / "A.movpkg") as writer:
        for number in range(3):
            writer.put(segment_path(number), body(number))
        writer.put("keys/K.key", bytes(16))
        draft = manifest(stream(3))
        writer.save_manifest(draft)
        write_derived(writer)
        calls.clear()
        writer.seal(draft)
        after = calls[calls.index(("name", "manifest.json")) :]
        assert ("fsync", "A.movpkg") in after


@pytest.mark.anyio
async def test_a_plain_file_gets_its_name_when_its_bytes_are_on_the_device(tmp_path: Path, calls: Calls) -> None:
    file = PlainFile(tmp_path / "a.bin", limit=100)
    await file.write(b"abc")
    calls.clear()
    await file.finish()
    names = [name for name, _ in calls]
    assert names.index("fdatasync") < names.index("name") < names.index("fsync")


def test_what_replaces_a_damaged_object_is_named_after_its_line_is_on_the_device(tmp_path: Path, calls: Calls) -> None:
    """Else the old line would vouch, by its size alone, for whatever a power cut leaves under the name."""
    path = sealed(tmp_path / "A.movpkg")
    with BundleWriter.open(path) as writer:
        writer.want(segment_path(0))
        writer.put(segment_path(9), body(9))
        writer.checkpoint()  # of that other one
        calls.clear()
        writer.put(segment_path(0), body(1))
        name = segment_path(0).rpartition("/")[2]
        assert calls.index(("fdatasync", "journal.jsonl")) < calls.index(("name", name))
