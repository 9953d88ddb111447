"""Verification finds every damage to a bundle, names the file, and calls a sound bundle sound."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hlsdl.bundle.manifest import Manifest
from hlsdl.bundle.reading import Bundle
from hlsdl.errors import IntegrityError, UsageError
from hlsdl.planning.preferences import Preferences
from hlsdl.verification import Code, Report, Severity, verify_bundle

from .bundles import MEDIA, planned, store, writing

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")
PRESENTATIONS = ("film", "muxed-ts", "byteranges", "aes128", "odd")


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One sealed bundle of each presentation; tests copy what they change."""
    folder = tmp_path_factory.mktemp("sealed")
    return {name: store(MEDIA / name, folder / f"{name}.movpkg") for name in PRESENTATIONS}


@pytest.fixture
def aes(sealed: dict[str, Path], tmp_path: Path) -> Path:
    return copied(sealed["aes128"], tmp_path)


@pytest.fixture
def film(sealed: dict[str, Path], tmp_path: Path) -> Path:
    return copied(sealed["film"], tmp_path)


def copied(bundle: Path, folder: Path) -> Path:
    shutil.copytree(bundle, folder / bundle.name)
    return folder / bundle.name


def codes(report: Report) -> set[tuple[str, str]]:
    return {(str(finding.code), finding.path) for finding in report.findings}


def files_in(bundle: Path) -> list[str]:
    return sorted(path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file())


def objects_in(bundle: Path) -> list[str]:
    return [path for path in files_in(bundle) if path not in {"manifest.json", "journal.jsonl", "lock"}]


def first(bundle: Path, pattern: str) -> str:
    """The first file of the bundle that matches, relative to it."""
    return min(path.relative_to(bundle).as_posix() for path in bundle.glob(pattern))


def flip(file: Path, *, bit: int = 3) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1 << bit
    file.write_bytes(data)


def resealed(bundle: Path, file: str, change: Callable[[str], str]) -> Report:
    """Verify after a derived file was changed and sealed again, so that its hash is right and only its content tells."""
    with writing(bundle) as writer:
        before = (bundle / file).read_bytes().decode()
        after = change(before)
        assert after != before
        writer.write_text_file(file, after.encode())
        assert writer.manifest is not None
        writer.seal(writer.manifest)
    return verify_bundle(bundle)


def remanifested(bundle: Path, change: Callable[[dict[str, object]], None]) -> Report:
    document = json.loads((bundle / "manifest.json").read_bytes())
    change(document)
    (bundle / "manifest.json").write_bytes(Manifest.decode(json.dumps(document).encode()).encode())
    return verify_bundle(bundle)


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


# --- closure


OPEN_LINES = [
    "https://example.com/segment.ts",
    "HTTP://example.com/segment.ts",
    "//example.com/segment.ts",
    "/etc/passwd",
    "file:///etc/passwd",
    "../../outside.ts",
    "a/../../../outside.ts",
    "\\\\host\\share.ts",
    '#EXT-X-MAP:URI="https://example.com/init.mp4"',
    '#EXT-X-KEY:METHOD=AES-128,URI="https://example.com/key"',
    '#EXT-X-DATERANGE:ID="ad",START-DATE="2024-01-01T00:00:00Z",X-ASSET-URI="https://example.com/ad.m3u8"',
    '#EXT-X-DATERANGE:ID="ad",START-DATE="2024-01-01T00:00:00Z",X-ASSET-LIST="https://example.com/ads.json"',
    '#EXT-X-CONTENT-STEERING:SERVER-URI="/steering"',
    '#EXT-X-NOBODY-KNOWS-THIS:A=1,URI="ws://example.com/"',
    '#EXT-X-PART:DURATION=1,URI="../../part.ts"',
]


@pytest.mark.parametrize("line", OPEN_LINES)
@pytest.mark.parametrize("file", ["index.m3u8", "stream"])
def test_a_way_out_of_the_bundle_is_found_in_any_line(aes: Path, line: str, file: str) -> None:
    path = first(aes, "0-*/index.m3u8") if file == "stream" else file
    if file == "index.m3u8" and line.startswith(("../../", "a/../")):
        line = line.removeprefix("../")
    report = resealed(aes, path, lambda text: f"{text}{line}\n")
    opened = [finding for finding in report.findings if finding.code is Code.OPEN_URI]
    assert [(finding.path, finding.severity) for finding in opened] == [(path, Severity.ERROR)]


CLOSED_LINES = [
    "# a comment: https://example.com/",
    '#EXT-X-VENDOR:NOTE="https://example.com/"',
    '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://asset",KEYFORMAT="com.apple.streamingkeydelivery"',
    '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="urn:uuid:1",KEYFORMAT="urn:uuid:2"',
    '#EXT-X-VENDOR:URI="data:text/plain,https://example.com"',
    '#EXT-X-VENDOR:URI="clearkey:1"',
]


@pytest.mark.parametrize("line", CLOSED_LINES)
def test_text_and_schemes_without_a_network_are_no_way_out(aes: Path, line: str) -> None:
    report = resealed(aes, first(aes, "0-*/index.m3u8"), lambda text: f"{text}{line}\n")
    assert Code.OPEN_URI not in {finding.code for finding in report.findings}
    assert Code.UNLISTED not in {finding.code for finding in report.findings}


def test_a_licence_server_of_a_key_system_is_a_warning(aes: Path) -> None:
    line = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="https://licence.example.com/",KEYFORMAT="urn:uuid:edef8ba9"\n'
    report = resealed(aes, first(aes, "0-*/index.m3u8"), lambda text: text + line)
    opened = [finding for finding in report.findings if finding.code is Code.OPEN_URI]
    assert [finding.severity for finding in opened] == [Severity.WARNING]


def test_messages_never_repeat_an_address(aes: Path) -> None:
    """Its query may be a token."""
    line = "https://user:secret@example.com/segment.ts?token=secret\n"
    report = resealed(aes, first(aes, "0-*/index.m3u8"), lambda text: text + line)
    assert "secret" not in json.dumps(report.to_document())


def test_a_playlist_that_names_a_file_that_is_not_stored_is_found(aes: Path) -> None:
    path = first(aes, "0-*/index.m3u8")
    report = resealed(aes, path, lambda text: text.replace("000000008.ts", "000000099.ts"))
    assert ("unlisted", path) in codes(report)
    assert ("unused", f"{path.partition('/')[0]}/000000008.ts") in codes(report)


def test_a_file_that_lies_there_without_an_entry_is_not_stored(aes: Path) -> None:
    """A foreign file under a name that the playlist gives is told once, with the playlist."""
    path = first(aes, "0-*/index.m3u8")
    stranger = f"{path.partition('/')[0]}/000000099.ts"
    (aes / stranger).write_bytes(b"G" * 188)
    report = resealed(aes, path, lambda text: text.replace("000000008.ts", "000000099.ts"))
    assert ("unlisted", path) in codes(report)
    assert ("foreign", stranger) not in codes(report)


def test_a_stream_that_the_index_does_not_offer_is_unused(film: Path) -> None:
    subtitles = next(stream for stream in Bundle.open(film).streams if stream.kind == "subtitles")

    def change(text: str) -> str:
        return "".join(line for line in text.splitlines(keepends=True) if subtitles.id not in line)

    report = resealed(film, "index.m3u8", change)
    assert codes(report) == {("unused", subtitles.playlist)}


@pytest.mark.parametrize("file", ["index.m3u8", "stream"])
def test_a_local_playlist_that_is_none_is_found(aes: Path, file: str) -> None:
    path = first(aes, "0-*/index.m3u8") if file == "stream" else file
    assert ("bad-playlist", path) in codes(resealed(aes, path, lambda _text: "<html>"))


@pytest.mark.parametrize("line", ["#EXT-X-ENDLIST\n", "#EXT-X-PLAYLIST-TYPE:VOD\n"])
def test_a_local_playlist_must_say_that_it_is_finished(aes: Path, line: str) -> None:
    path = first(aes, "0-*/index.m3u8")
    report = resealed(aes, path, lambda text: text.replace(line, ""))
    assert codes(report) == {("not-sealed", path)}


# --- order


def swapped(text: str) -> str:
    return text.replace("000000008.ts", "?").replace("000000009.ts", "000000008.ts").replace("?", "000000009.ts")


DISORDER: dict[str, Callable[[str], str]] = {
    "two segments swapped": swapped,
    "another duration": lambda text: text.replace("#EXTINF:1.000000,\n000000008.ts", "#EXTINF:1.5,\n000000008.ts"),
    "another media sequence": lambda text: text.replace("MEDIA-SEQUENCE:7", "MEDIA-SEQUENCE:8"),
    "a key line dropped": lambda text: text.replace(text[text.rindex("#EXT-X-KEY") :].split("\n", 1)[0] + "\n", ""),
    "a segment dropped": lambda text: text.replace("#EXTINF:1.000000,\n000000012.ts\n", ""),
    "a discontinuity added": lambda text: text.replace("#EXTINF:1.000000,\n000000009", "#EXT-X-DISCONTINUITY\n#EXTINF:1.000000,\n000000009"),
}  # fmt: skip


@pytest.mark.parametrize("change", DISORDER)
def test_a_local_playlist_plays_what_its_source_plays(aes: Path, change: str) -> None:
    path = first(aes, "0-*/index.m3u8")
    report = resealed(aes, path, DISORDER[change])
    assert ("order-mismatch", path) in codes(report)


def test_the_init_section_must_be_the_one_of_the_source(sealed: dict[str, Path], tmp_path: Path) -> None:
    odd = copied(sealed["odd"], tmp_path)
    path = first(odd, "0-*/index.m3u8")
    report = resealed(odd, path, lambda text: text.replace("000000103.init.mp4", "000000100.init.mp4"))
    assert ("order-mismatch", path) in codes(report)


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
