"""Where the bundle of a source is, and where a new one goes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hlsdl.bundle.manifest import Manifest, StoredDocument
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError, IntegrityError, UsageError
from hlsdl.session import places
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.places import find_bundle, is_called, place_for
from hlsdl.session.sources import Source

URL = "https://films.test/big-film/master.m3u8?token=1"


def bundle(path: Path, url: str) -> Path:
    with BundleWriter.open(path) as writer:
        writer.save_manifest(Manifest(title=path.stem, source_url=url, final_url=url))
    return path


def test_a_second_run_finds_the_bundle_of_the_same_source(tmp_path: Path) -> None:
    place = bundle(tmp_path / "big-film.movpkg", URL)
    assert find_bundle(Source(url=URL), FetchOptions(directory=tmp_path)) == place


def test_a_bundle_named_by_the_stream_itself_is_found_too(tmp_path: Path) -> None:
    place = bundle(tmp_path / "A film.movpkg", URL)
    assert find_bundle(Source(url=URL), FetchOptions(directory=tmp_path)) == place


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_bundle_that_somebody_named_otherwise_is_not_meant(tmp_path: Path, *, is_stored: bool) -> None:
    """Not to add to, and with `--force` not to start over: only `-o` or `--title` mean it."""
    master = b'#EXTM3U\n#EXT-X-SESSION-DATA:DATA-ID="a.title",VALUE="A film"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n'
    for name in ("mine", "A film 2"):
        with BundleWriter.open(tmp_path / f"{name}.movpkg") as writer:
            document = StoredDocument(path="Data/source.m3u8", url=URL, final_url=URL, category="master")
            documents = (document,) if is_stored else ()
            writer.save_manifest(Manifest(title="A film", source_url=URL, final_url=URL, documents=documents))
            writer.put(document.path, master)
    assert find_bundle(Source(url=URL), FetchOptions(directory=tmp_path)) == tmp_path / "A film 2.movpkg"
    (tmp_path / "A film 2.movpkg").rename(tmp_path / "another.movpkg")
    for options in (FetchOptions(directory=tmp_path), FetchOptions(directory=tmp_path, force=True)):
        assert find_bundle(Source(url=URL), options) is None


def test_who_starts_over_wants_a_proof_of_the_name(tmp_path: Path) -> None:
    """Where the playlist is not there to say how the stream is called, the bundle's title may be one that was typed."""
    place = bundle(tmp_path / "Mine.movpkg", URL)
    assert find_bundle(Source(url=URL), FetchOptions(directory=tmp_path)) == place
    assert find_bundle(Source(url=URL), FetchOptions(directory=tmp_path, force=True)) is None


def test_an_empty_title_is_none(tmp_path: Path) -> None:
    place = bundle(tmp_path / "A film.movpkg", URL)
    assert find_bundle(Source(url=URL), FetchOptions(directory=tmp_path, title="")) == place


def test_a_bundle_is_found_behind_a_name_that_is_free_by_now(tmp_path: Path) -> None:
    """Somebody deleted the one before it; one that was called otherwise is not meant."""
    place = bundle(tmp_path / "X 2.movpkg", URL)
    bundle(tmp_path / "Y.movpkg", URL)
    assert find_bundle(Source(url=URL), FetchOptions(directory=tmp_path, title="X")) == place
    assert find_bundle(Source(url=URL), FetchOptions(directory=tmp_path, title="Z")) is None


@pytest.mark.parametrize(
    ("name", "title", "is_so"),
    [
        ("X.movpkg", "X", True), ("X 2.movpkg", "X", True), ("X 9999.movpkg", "X", True), ("X 2.movpkg", "X 2", True),
        ("X 2 3.movpkg", "X 2", True), ("X 1.movpkg", "X", False), ("X 0.movpkg", "X", False), ("XX.movpkg", "X", False),
        ("X 02.movpkg", "X", False), ("X 2 3.movpkg", "X", False), ("X2.movpkg", "X", False),
    ],
)  # fmt: skip
def test_a_name_is_that_of_a_title_with_or_without_a_number(name: str, title: str, is_so: bool) -> None:
    assert is_called(Path(name), title) is is_so


def test_another_source_under_the_name_gets_a_number_appended(tmp_path: Path) -> None:
    bundle(tmp_path / "big-film.movpkg", "https://other.test/x.m3u8")
    options = FetchOptions(directory=tmp_path)
    assert find_bundle(Source(url=URL), options) is None
    assert place_for("big-film", options) == tmp_path / "big-film 2.movpkg"
    second = bundle(tmp_path / "big-film 2.movpkg", URL)
    assert find_bundle(Source(url=URL), options) == second


def test_another_source_at_an_explicit_path_is_a_usage_error(tmp_path: Path) -> None:
    place = bundle(tmp_path / "x.movpkg", "https://other.test/x.m3u8")
    with pytest.raises(UsageError, match="another source"):
        find_bundle(Source(url=URL), FetchOptions(output=place))


def test_a_folder_that_is_no_bundle_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x.movpkg").mkdir()
    (tmp_path / "x.movpkg" / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(UsageError, match="no bundle"):
        find_bundle(Source(url=URL), FetchOptions(output=tmp_path / "x.movpkg"))


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "x.movpkg").mkdir()
    assert find_bundle(Source(url=URL), FetchOptions(output=tmp_path / "x.movpkg")) is None


def test_a_disk_that_cannot_say_what_is_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken for a free place, the next step would start over on top of a bundle."""
    bundle = tmp_path / "film.movpkg"
    bundle.mkdir()
    for name in ("stat", "lstat"):
        real = getattr(os, name)

        def broken(path: object, *arguments: object, real: Callable[..., object] = real, **named: object) -> object:
            if path == bundle:
                raise OSError(errno.EIO, "Input/output error")
            return real(path, *arguments, **named)

        monkeypatch.setattr(os, name, broken)
    with pytest.raises(DiskError):
        find_bundle(Source(url=URL), FetchOptions(output=bundle))


def test_a_name_gets_so_many_numbers_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST_NUMBERED_NAMES", 3)
    options = FetchOptions(directory=tmp_path)
    bundle(tmp_path / "a.movpkg", "https://other.test/1.m3u8")
    assert place_for("a", options).name == "a 2.movpkg"
    bundle(tmp_path / "a 2.movpkg", "https://other.test/2.m3u8")
    with pytest.raises(UsageError, match="too many bundles"):
        place_for("a", options)


@pytest.mark.parametrize("left", ["boot.xml", "root.xml", "index.m3u8"])
def test_what_starting_over_left_behind_is_taken_over(tmp_path: Path, left: str) -> None:
    """Killed after the manifest was gone: the journal says that the folder is ours, and nothing says of which source."""
    place = bundle(tmp_path / "big-film.movpkg", URL)
    (place / "manifest.json").unlink()
    (place / "journal.jsonl").write_bytes(b"")
    (place / left).write_bytes(b"")
    assert find_bundle(Source(url=URL), FetchOptions(output=place)) is None
    assert place_for("big-film", FetchOptions(directory=tmp_path)) == place
    for journal in (b"not empty", None):
        (place / "journal.jsonl").write_bytes(journal) if journal else (place / "journal.jsonl").unlink()
        with pytest.raises(UsageError):
            find_bundle(Source(url=URL), FetchOptions(output=place))


def test_who_names_a_damaged_bundle_and_insists_may_start_it_over(tmp_path: Path) -> None:
    place = bundle(tmp_path / "x.movpkg", URL)
    (place / "manifest.json").write_text("{")
    with pytest.raises(IntegrityError) as caught:
        find_bundle(Source(url=URL), FetchOptions(output=place))
    assert "--force" in (caught.value.hint or "")
    assert find_bundle(Source(url=URL), FetchOptions(output=place, force=True)) == place
