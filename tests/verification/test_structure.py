"""Verification finds every damage to a bundle, names the file, and calls a sound bundle sound."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from pathlib import Path

import pytest

from hlsdl.bundle.reading import Bundle
from hlsdl.errors import IntegrityError, UsageError
from hlsdl.planning.preferences import Preferences
from hlsdl.verification import Code, Severity, verify_bundle

from .bundles import (
    MEDIA,
    PRESENTATIONS,
    codes,
    files_in,
    first,
    flip,
    objects_in,
    planned,
    remanifested,
    store,
    writing,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")
# --- sound


@pytest.mark.parametrize("name", PRESENTATIONS)
def test_a_sound_bundle_has_no_findings(sealed: dict[str, Path], name: str) -> None:
    report = verify_bundle(sealed[name])
    assert (report.ok, report.findings) == (True, ())
    listed = objects_in(sealed[name])
    assert report.files == len(listed)
    assert report.bytes == sum((sealed[name] / path).stat().st_size for path in listed)


def test_the_document_has_the_promised_shape(film: Path) -> None:
    segment = first(film, "0-*/000000001.m4s")
    (film / segment).unlink()
    document = verify_bundle(film).to_document()
    assert document["schema"] == "hlsdl.verify/1"
    assert document["ok"] is False
    assert document["findings"] == [
        {"code": "missing", "severity": "error", "path": segment, "message": "`000000001.m4s` is missing"}
    ]
    assert json.loads(json.dumps(document)) == document


def test_a_bundle_that_was_moved_is_still_sound(film: Path) -> None:
    moved = film.rename(film.parent / "Ünder #1 a ? name.movpkg")
    assert verify_bundle(moved).findings == ()


def test_verification_changes_nothing(film: Path) -> None:
    before = {path: (film / path).stat().st_mtime_ns for path in files_in(film)}
    verify_bundle(film)
    assert {path: (film / path).stat().st_mtime_ns for path in files_in(film)} == before


# --- files


def test_one_flipped_bit_is_found_in_every_object_and_derived_file(aes: Path) -> None:
    for path in objects_in(aes):
        good = (aes / path).read_bytes()
        flip(aes / path)
        report = verify_bundle(aes)
        assert ("hash-mismatch", path) in codes(report)
        assert report.damaged == (path,)
        assert not report.ok
        (aes / path).write_bytes(good)
    assert verify_bundle(aes).findings == ()


FILM_FILES = {
    "video segment": "0-*/000000002.m4s",
    "init section": "0-*/000000000.init.mp4",
    "subtitle": "1-*/000000003.vtt",
    "source playlist": "0-*/source.m3u8",
    "stored master": "Data/master.m3u8",
    "session data": "Data/*.json",
    "local media playlist": "0-*/index.m3u8",
    "local multivariant playlist": "index.m3u8",
    "package file": "boot.xml",
}


@pytest.mark.parametrize("kind", FILM_FILES)
def test_damage_is_named_by_kind_and_place(film: Path, kind: str) -> None:
    path = first(film, FILM_FILES[kind])
    flip(film / path)
    assert ("hash-mismatch", path) in codes(verify_bundle(film))
    with (film / path).open("ab") as file:
        file.write(b"\0")
    assert ("size-mismatch", path) in codes(verify_bundle(film))
    os.truncate(film / path, 5)
    assert ("size-mismatch", path) in codes(verify_bundle(film))
    (film / path).unlink()
    report = verify_bundle(film)
    assert ("missing", path) in codes(report)
    assert report.damaged == (path,)


def test_several_damages_are_all_found_in_one_run(film: Path) -> None:
    gone, short, wrong = (first(film, f"0-*/00000000{number}.m4s") for number in (1, 2, 3))
    (film / gone).unlink()
    os.truncate(film / short, 100)
    flip(film / wrong)
    report = verify_bundle(film)
    assert codes(report) == {("missing", gone), ("size-mismatch", short), ("hash-mismatch", wrong)}
    assert set(report.damaged) == {gone, short, wrong}


@posix
def test_a_link_in_place_of_a_file_is_refused_although_its_content_is_right(film: Path) -> None:
    path = first(film, "0-*/000000001.m4s")
    outside = film.parent / "outside.m4s"
    (film / path).rename(outside)
    (film / path).symlink_to(outside)
    assert codes(verify_bundle(film)) == {("not-regular", path)}


@posix
def test_a_pipe_in_place_of_a_file_is_refused_without_waiting(film: Path) -> None:
    path = first(film, "0-*/000000001.m4s")
    (film / path).unlink()
    os.mkfifo(film / path)
    assert codes(verify_bundle(film)) == {("not-regular", path)}


def test_a_folder_in_place_of_a_file_is_a_missing_file(film: Path) -> None:
    path = first(film, "0-*/000000001.m4s")
    (film / path).unlink()
    (film / path).mkdir()
    assert codes(verify_bundle(film)) == {("missing", path)}


@posix
def test_a_stream_folder_that_is_a_link_is_not_followed(film: Path) -> None:
    folder = first(film, "1-*/000000003.vtt").partition("/")[0]
    (film / folder).rename(film.parent / "elsewhere")
    (film / folder).symlink_to(film.parent / "elsewhere")
    found = codes(verify_bundle(film))
    assert ("foreign", folder) in found
    assert ("missing", f"{folder}/000000003.vtt") in found


def test_a_read_error_damages_one_file_and_the_others_are_still_checked(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk reports EIO for the session data; a later file has a flipped bit."""
    refused, wrong = first(film, "Data/*.json"), first(film, "0-*/000000003.m4s")
    inode = (film / refused).stat().st_ino
    flip(film / wrong)

    class Failing(io.FileIO):
        def readinto(self, buffer: object) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    real = os.fdopen

    def fdopen(descriptor: int, *arguments: object, **options: object) -> object:
        if os.fstat(descriptor).st_ino == inode:
            return Failing(descriptor, "rb")
        return real(descriptor, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "fdopen", fdopen)
    assert codes(verify_bundle(film)) == {("unreadable", refused), ("hash-mismatch", wrong)}


# --- what does not belong


def test_every_foreign_file_is_told(film: Path) -> None:
    stream = first(film, "0-*/index.m3u8").partition("/")[0]
    foreign = ["Data/notes.txt", "new/folder/file.bin", f"{stream}/000000999.m4s"]
    for path in foreign:
        (film / path).parent.mkdir(parents=True, exist_ok=True)
        (film / path).write_bytes(b"x")
    report = verify_bundle(film)
    assert codes(report) == {("foreign", path) for path in foreign}
    assert not report.ok


def test_what_file_managers_leave_is_odd_and_no_damage(film: Path) -> None:
    for name in (".DS_Store", "Thumbs.db"):
        (film / name).write_bytes(b"x")
    report = verify_bundle(film)
    assert codes(report) == {("foreign", ".DS_Store"), ("foreign", "Thumbs.db")}
    assert report.ok


@pytest.mark.parametrize("field", ['"title": "A film"', '"bandwidth": '])
def test_a_change_in_the_manifest_itself_is_found(film: Path, field: str) -> None:
    text = (film / "manifest.json").read_text()
    changed = text.replace(field, field.replace("A film", "B film").replace('h": ', 'h": 1'), 1)
    assert changed != text
    (film / "manifest.json").write_text(changed)
    assert ("hash-mismatch", "manifest.json") in codes(verify_bundle(film))


@posix
def test_a_foreign_name_cannot_write_to_the_terminal(film: Path) -> None:
    (film / "evil\x1b[2J\nname").write_bytes(b"")
    (film / os.fsdecode(b"bad\xff")).write_bytes(b"")
    paths = sorted(finding.path for finding in verify_bundle(film).findings)
    assert paths == ["bad\\xdcff", "evil\\x1b[2J\\x0aname"]


def test_a_temporary_of_an_interrupted_run_is_a_leftover(film: Path) -> None:
    stream = first(film, "0-*/index.m3u8").partition("/")[0]
    path = f"{stream}/.000000009.m4s.0123abcd.part"
    (film / path).write_bytes(b"half")
    report = verify_bundle(film)
    assert codes(report) == {("leftover", path)}
    assert report.ok


# --- keys


@posix
def test_a_key_that_others_can_read_is_told(aes: Path) -> None:
    path = first(aes, "keys/*")
    (aes / path).chmod(0o644)
    report = verify_bundle(aes)
    assert codes(report) == {("exposed", path)}
    assert "0644" in report.findings[0].message
    assert report.ok


def test_a_stored_key_of_the_wrong_length_is_no_key(aes: Path) -> None:
    path = first(aes, "keys/*")
    with writing(aes) as writer:
        writer.put(path, b"0123456789abcde")
        assert writer.manifest is not None
        writer.seal(writer.manifest)
    report = verify_bundle(aes)
    assert codes(report) == {("bad-key", path)}
    assert report.damaged == (path,)


# --- journal and manifest


def test_a_changed_journal_is_found_wherever_the_change_is(aes: Path) -> None:
    journal = aes / "journal.jsonl"
    good = journal.read_bytes()
    for place in range(0, len(good), 97):
        data = bytearray(good)
        data[place] ^= 4
        journal.write_bytes(data)
        report = verify_bundle(aes)
        assert ("journal-damaged", "journal.jsonl") in codes(report)
        assert not report.ok


def test_a_missing_journal_is_found(aes: Path) -> None:
    (aes / "journal.jsonl").unlink()
    assert ("missing", "journal.jsonl") in codes(verify_bundle(aes))


def test_lines_after_the_seal_may_be_torn(aes: Path) -> None:
    """An interrupted start after sealing leaves half a line: nothing is lost."""
    with (aes / "journal.jsonl").open("ab") as file:
        file.write(b'00000000 {"t":"op')
    report = verify_bundle(aes)
    assert [(finding.code, finding.severity) for finding in report.findings] == [
        (Code.JOURNAL_DAMAGED, Severity.WARNING)
    ]


@pytest.mark.parametrize(("field", "value"), [("segments", 7), ("bytes", 1)])
def test_a_manifest_that_claims_other_counts_is_found(aes: Path, field: str, value: int) -> None:
    stream = Bundle.open(aes).streams[0].id

    def change(document: dict[str, object]) -> None:
        document["streams"][0][field] = value  # type: ignore[index]

    assert codes(remanifested(aes, change)) == {("count-mismatch", stream)}


@pytest.mark.parametrize("field", ["documents", "keys"])
def test_a_manifest_that_names_what_is_not_stored_is_found(aes: Path, field: str) -> None:
    def change(document: dict[str, object]) -> None:
        document[field].append({"path": "Data/gone", "url": "", "final_url": "", "category": "x"})  # type: ignore[attr-defined]

    assert codes(remanifested(aes, change)) == {("missing", "Data/gone")}


def test_a_playlist_that_the_seal_does_not_list_is_found(aes: Path) -> None:
    def change(document: dict[str, object]) -> None:
        document["files"] = [one for one in document["files"] if one["path"] != "index.m3u8"]  # type: ignore[attr-defined]

    assert ("unlisted", "index.m3u8") in codes(remanifested(aes, change))


def test_an_unreadable_manifest_is_an_integrity_error(aes: Path) -> None:
    (aes / "manifest.json").write_bytes(b"{")
    with pytest.raises(IntegrityError):
        verify_bundle(aes)


def test_what_is_no_bundle_is_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UsageError):
            verify_bundle(path)


# --- partial, absent, malformed


def test_a_partial_bundle_is_incomplete_and_what_is_there_is_checked(tmp_path: Path) -> None:
    plan = planned(MEDIA / "muxed-ts" / "master.m3u8", Preferences())
    stored, missing = plan.streams[0].resources[0].path, plan.streams[0].resources[-1].path
    bundle = store(MEDIA / "muxed-ts", tmp_path / "b.movpkg", preferences=Preferences(), skip=[missing], seal=False)
    assert codes(verify_bundle(bundle)) == {("incomplete", ""), ("incomplete", plan.streams[0].id)}
    flip(bundle / stored)
    report = verify_bundle(bundle)
    assert ("hash-mismatch", stored) in codes(report)
    assert report.damaged == (stored,)


def test_a_segment_that_the_origin_lost_is_a_warning(tmp_path: Path) -> None:
    plan = planned(MEDIA / "muxed-ts" / "master.m3u8", Preferences())
    lost = plan.streams[0].resources[1].path
    bundle = store(MEDIA / "muxed-ts", tmp_path / "b.movpkg", preferences=Preferences(), absent=[lost])
    report = verify_bundle(bundle)
    assert codes(report) == {("absent-segment", f"{plan.streams[0].id}/index.m3u8")}
    assert report.ok


def test_a_segment_that_was_served_cut_short_is_malformed(film: Path) -> None:
    """Its hash is right: the origin itself sent too little."""
    path = first(film, "0-*/000000001.m4s")
    with writing(film) as writer:
        writer.put(path, (film / path).read_bytes()[:-100])
        assert writer.manifest is not None
        writer.seal(writer.manifest)
    report = verify_bundle(film)
    assert ("malformed", path) in codes(report)
    assert path in report.damaged


def test_an_object_that_no_playlist_plays_is_unused(aes: Path) -> None:
    path = f"{first(aes, '0-*/index.m3u8').partition('/')[0]}/000000099.ts"
    with writing(aes) as writer:
        writer.put(path, b"G" * 188)
    report = verify_bundle(aes)
    assert ("unused", path) in codes(report)


def test_a_protected_stream_is_told(aes: Path) -> None:
    stream = Bundle.open(aes).streams[0].id

    def change(document: dict[str, object]) -> None:
        document["streams"][0]["protected"] = True  # type: ignore[index]

    report = remanifested(aes, change)
    assert codes(report) == {("protected", stream)}
    assert report.ok


def test_the_fixtures_exercise_what_they_promise(sealed: dict[str, Path]) -> None:
    """A gap without a file, two init sections, rotated keys, byte ranges and I-frames are all in the sound bundles."""
    odd = Bundle.open(sealed["odd"])
    assert odd.streams[0].gaps == 1
    assert len(list(sealed["odd"].glob("0-*/*.init.mp4"))) == 2
    assert len(list(sealed["aes128"].glob("keys/*.key"))) == 2
    assert len(list(sealed["byteranges"].glob("0-*/00000000?.mp4"))) == 6
    assert {stream.kind for stream in Bundle.open(sealed["film"]).streams} == {"video", "audio", "subtitles", "iframes"}
