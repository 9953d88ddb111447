"""A package that was made elsewhere becomes a bundle of ours, without a word to the network, or is refused whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import pytest
from commands import hlsdl, start
from packages import MASTER_FILE, write_package

from hlsdl.bundle.layout import is_media
from hlsdl.testing import ScriptedOrigin

STREAMS = ("sdr-360/index.m3u8", "aac-en/index.m3u8", "aac-fr/index.m3u8", "subs-en/index.m3u8")
URL = "https://films.invalid/a/"


@pytest.fixture
def package(film: Path, tmp_path: Path) -> Path:
    """One stream with its sound and text, and another one that was only begun, as Apple's systems leave it."""
    return write_package(tmp_path / "theirs.movpkg", film, URL, STREAMS, begun="sdr-180/index.m3u8")


def stream_infos(package: Path) -> list[Path]:
    return sorted(package.glob("*/StreamInfoBoot.xml"))


def stored(bundle: Path) -> list[bytes]:
    return sorted(one.read_bytes() for one in bundle.rglob("*") if is_media(str(one.relative_to(bundle))))


def of_origin(film: Path, *playlists: str) -> list[bytes]:
    folders = [film / Path(one).parent for one in playlists]
    return sorted(
        one.read_bytes() for folder in folders for one in folder.iterdir() if one.suffix in (".m4s", ".mp4", ".vtt")
    )


def test_a_package_of_another_program_plays_here(package: Path, film: Path, tmp_path: Path) -> None:
    """What was complete in it is here byte for byte; what was only begun is left out, and said to be."""
    done = hlsdl("import", package, "-P", tmp_path / "films", "--json")
    assert done.code == 0, done.err
    document = done.document
    assert (document["title"], document["state"], document["playable_offline"]) == ("A film", "complete", True)
    assert sorted(one["kind"] for one in document["streams"]) == ["audio", "audio", "subtitles", "video"]
    assert "streams that are not complete are left out" in done.err
    bundle = Path(document["path"])
    assert stored(bundle) == of_origin(film, *STREAMS)
    assert hlsdl("verify", "--deep", bundle).code == 0
    assert "sdr-180" not in (bundle / "index.m3u8").read_text()


def test_nobody_is_asked_for_anything(film: Path, tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/")
        package = write_package(tmp_path / "theirs.movpkg", film, origin.url("/"), STREAMS)
        assert hlsdl("import", package, "-o", tmp_path / "ours.movpkg").code == 0
        assert not origin.requests


@pytest.mark.parametrize("kind", ["byteranges", "muxed-ts"])
def test_byte_ranges_and_transport_streams_come_too(kind: str, film: Path, tmp_path: Path) -> None:
    folder = film.parent / kind
    playlist = next(one for one in (folder / "master.m3u8").read_text().splitlines() if one and one[0] != "#")
    package = write_package(tmp_path / "theirs.movpkg", folder, URL, [playlist])
    done = hlsdl("import", package, "-o", tmp_path / "ours.movpkg")
    assert done.code == 0, done.err
    assert hlsdl("verify", "--deep", tmp_path / "ours.movpkg").code == 0


def test_a_package_of_one_media_playlist_needs_no_multivariant_one(film: Path, tmp_path: Path) -> None:
    package = write_package(tmp_path / "theirs.movpkg", film, URL, ["aac-en/index.m3u8"])
    boot = (package / "boot.xml").read_text()
    (package / "boot.xml").write_text(boot[: boot.index("<MasterPlaylist>")] + "</HLSMoviePackage>")
    (package / "root.xml").unlink()
    assert hlsdl("import", package, "-o", tmp_path / "ours.movpkg").code == 0
    assert hlsdl("verify", tmp_path / "ours.movpkg").code == 0


def test_a_bundle_of_hlsdl_comes_as_it_was(film: Path, tmp_path: Path) -> None:
    """With its choices, keys and session data; the copy is its own, and the second time there is nothing to do."""
    theirs, ours = tmp_path / "theirs.movpkg", tmp_path / "ours.movpkg"
    assert hlsdl("fetch", film / "master.m3u8", "-o", theirs, "--audio", "en,fr", "--subs", "all").code == 0
    assert hlsdl("import", theirs, "-o", ours).code == 0
    assert hlsdl("verify", ours).code == 0
    for name in ("index.m3u8", "Data/master.m3u8", "boot.xml"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    before, after = (json.loads((one / "manifest.json").read_text()) for one in (theirs, ours))
    assert before["choices"].pop("named")
    assert after["choices"].pop("imported")
    assert before["choices"] == after["choices"]
    assert before["id"] != after["id"]
    again = hlsdl("import", theirs, "-o", ours, "--json")
    assert (again.code, again.document["fetched"]["segments"]) == (0, 0)


def test_encrypted_bundles_of_hlsdl_bring_their_keys(film: Path, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.movpkg", tmp_path / "ours.movpkg"
    assert hlsdl("fetch", film.parent / "aes128" / "master.m3u8", "-o", theirs).code == 0
    assert hlsdl("import", theirs, "-o", ours).code == 0
    assert hlsdl("verify", "--deep", ours).code == 0


def test_keys_that_a_package_has_not_are_said_and_its_source_gives_them(film: Path, tmp_path: Path) -> None:
    folder, bundle = film.parent / "aes128", tmp_path / "ours.movpkg"
    playlist = next(one for one in (folder / "master.m3u8").read_text().splitlines() if one and one[0] != "#")
    with ScriptedOrigin() as origin:
        origin.add_folder(folder, at="/")
        package = write_package(tmp_path / "theirs.movpkg", folder, origin.url("/"), [playlist])
        done = hlsdl("import", package, "-o", bundle)
        assert (done.code, "has not got" in done.err) == (7, True), done
        assert hlsdl("fetch", origin.url("/master.m3u8"), "-o", bundle).code == 0
        assert {Path(one.path).suffix for one in origin.requests} <= {".key", ".m3u8"}
    assert hlsdl("verify", "--deep", bundle).code == 0


def test_what_is_missing_is_said_and_its_source_brings_that_alone(film: Path, tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/")
        package = write_package(tmp_path / "theirs.movpkg", film, origin.url("/"), STREAMS)
        min(package.glob("0-*/*.frag")).unlink()
        done = hlsdl("import", package, "-o", tmp_path / "ours.movpkg")
        assert done.code == 8
        assert "it is missing" in done.err
        assert "`hlsdl repair` there brings the rest" in done.err
        streams = hlsdl("info", tmp_path / "ours.movpkg", "--json").document["streams"]
        assert hlsdl("repair", tmp_path / "ours.movpkg", "--allow-private").code == 0
        assert len(hlsdl("info", tmp_path / "ours.movpkg", "--json").document["streams"]) == len(streams)
        media = [one.path for one in origin.requests if one.path.endswith((".m4s", ".mp4", ".vtt"))]
    assert len([one for one in media if "sdr-360" in one]) <= 2  # the one that is missing, and a proof of the others
    assert hlsdl("verify", tmp_path / "ours.movpkg").code == 0


def test_damage_in_a_bundle_of_hlsdl_is_not_brought_in(film: Path, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.movpkg", tmp_path / "ours.movpkg"
    assert hlsdl("fetch", film / "master.m3u8", "-o", theirs).code == 0
    victim = min(theirs.glob("0-*/0*.m4s"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"!")
    done = hlsdl("import", theirs, "-o", ours)
    assert (done.code, "damaged" in done.err) == (8, True)
    assert not (ours / victim.relative_to(theirs)).exists()


Trick = Callable[[Path, Path], None]


def a_link(package: Path, secret: Path) -> None:
    victim = min(package.glob("0-*/*.frag"))
    victim.unlink()
    victim.symlink_to(secret)


def a_hard_link(package: Path, secret: Path) -> None:
    victim = min(package.glob("0-*/*.frag"))
    victim.unlink()
    victim.hardlink_to(secret)


def a_pipe(package: Path, _secret: Path) -> None:
    victim = min(package.glob("0-*/*.frag"))
    victim.unlink()
    os.mkfifo(victim)


def a_linked_folder(package: Path, secret: Path) -> None:
    folder = min(package.glob("0-*"))
    folder.rename(secret.parent / "away")
    folder.symlink_to(secret.parent / "away")


def a_linked_playlist(package: Path, secret: Path) -> None:
    (package / "Data" / MASTER_FILE).unlink()
    (package / "Data" / MASTER_FILE).symlink_to(secret)


def a_climbing_path(package: Path, secret: Path) -> None:
    for info in stream_infos(package):
        info.write_text(info.read_text().replace('PATH="0.frag"', f'PATH="../../elsewhere/{secret.name}"'))


def an_absolute_path(package: Path, secret: Path) -> None:
    for info in stream_infos(package):
        info.write_text(info.read_text().replace('PATH="0.frag"', f'PATH="{secret}"'))


def an_outside_entity(package: Path, secret: Path) -> None:
    boot = (package / "boot.xml").read_text()
    head, _, rest = boot.partition("?>")
    declared = f'{head}?><!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]>{rest}'
    (package / "boot.xml").write_text(declared.replace("<Name>master.m3u8", "<Name>&e;"))


def entities_by_the_billion(package: Path, _secret: Path) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    info = stream_infos(package)[0]
    text = info.read_text()
    declared = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>'
    info.write_text(text.replace("?>", f"?>{declared}", 1).replace("Main", "&l11;"))


@pytest.mark.parametrize(
    "trick",
    [
        a_link,
        a_hard_link,
        a_pipe,
        a_linked_folder,
        a_linked_playlist,
        a_climbing_path,
        an_absolute_path,
        an_outside_entity,
        entities_by_the_billion,
    ],
)
def test_a_package_that_reaches_out_is_refused_whole(package: Path, tmp_path: Path, trick: Trick) -> None:
    secret = tmp_path / "elsewhere" / "secret.txt"
    secret.parent.mkdir()
    secret.write_bytes(b"of this machine")
    trick(package, secret)
    done = hlsdl("import", package, "-P", tmp_path / "films", "--json")
    assert (done.code, done.document["code"]) == (10, 10), done
    assert not (tmp_path / "films").exists()


def test_all_that_reaches_out_is_listed(package: Path, tmp_path: Path) -> None:
    for victim in sorted(package.glob("0-*/*.frag"))[:5]:
        victim.unlink()
        victim.symlink_to("/etc/passwd")
    done = hlsdl("import", package, "-P", tmp_path)
    assert done.code == 10
    assert done.err.count(".frag`") == 3
    assert "and 2 more" in done.err


def test_a_segment_that_is_larger_than_any_is_refused(package: Path, tmp_path: Path) -> None:
    """A sparse file of a tebibyte takes no room where it comes from."""
    victim = min(package.glob("0-*/*.frag"))
    os.truncate(victim, 1 << 40)
    info = victim.parent / "StreamInfoBoot.xml"
    info.write_text(info.read_text().replace(' Len="', ' LenOfOld="'))
    done = hlsdl("import", package, "-o", tmp_path / "ours.movpkg")
    assert done.code in (9, 12), done  # whichever is seen first: there is no room for it, or it may not be so large


def test_playlists_and_pages_that_lie_lead_nowhere(film: Path, tmp_path: Path) -> None:
    """Addresses of files and of this machine in a package are text; a web page is no segment."""
    theirs = tmp_path / "site"
    shutil.copytree(film, theirs)
    (theirs / "aac-en" / "index.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nfile:///etc/passwd\n#EXTINF:6,\nhttp://127.0.0.1:1/x.ts\n#EXT-X-ENDLIST\n"
    )
    package = write_package(tmp_path / "theirs.movpkg", film, URL, STREAMS)
    folder = min(package.glob("1-*"))
    (folder / "remote.m3u8").write_text((theirs / "aac-en" / "index.m3u8").read_text())
    page = min(package.glob("0-*/*.frag"))
    body = b"<html><script>fetch('//evil')</script>"
    page.write_bytes(body.ljust(page.stat().st_size))
    done = hlsdl("import", package, "-o", tmp_path / "ours.movpkg")
    assert (done.code, "an HTML page" in done.err) == (8, True), done
    files = [one for one in (tmp_path / "ours.movpkg").rglob("*") if one.is_file()]
    assert not any(b"root:" in one.read_bytes() or body in one.read_bytes() for one in files)


def test_what_is_no_package_is_no_package(film: Path, tmp_path: Path) -> None:
    for path in (tmp_path, film / "master.m3u8", tmp_path / "nothing"):
        assert hlsdl("import", path, "-P", tmp_path).code == 2


def test_what_is_there_already_stays(package: Path, tmp_path: Path) -> None:
    """Without `-o` a number is appended; with it, the bundle of something else is left alone."""
    other = tmp_path / "A film.movpkg"
    other.mkdir()
    (other / "manifest.json").write_text("{}")
    assert hlsdl("import", package, "-o", other).code == 2
    done = hlsdl("import", package, "-P", tmp_path)
    assert (done.code, Path(done.out.strip()).name) == (0, "A film 2.movpkg")
    inside = hlsdl("import", Path(done.out.strip()), cwd=tmp_path)
    assert (inside.code, inside.out.strip()) == (0, "A film 3.movpkg")


def twin(bundle: Path, place: Path) -> Path:
    """A bundle that says the same of itself and has other pictures: whoever has the one can make the other."""
    shutil.copytree(bundle, place)
    journal = (place / "journal.jsonl").read_text().splitlines()
    for number, line in enumerate(journal):
        entry = json.loads(line[9:])
        if entry["t"] == "seg" and entry["path"].startswith("0-") and entry["path"].endswith(".m4s"):
            file = place / entry["path"]
            file.write_bytes(data := file.read_bytes()[:-4] + b"evil")
            text = json.dumps({**entry, "sha256": sha256(data).hexdigest()})
            journal[number] = f"{crc32(text.encode()):08x} {text}"
    (place / "journal.jsonl").write_text("\n".join(journal) + "\n")
    return place


@pytest.mark.parametrize("damage", ["none", "a segment", "playlists"])
def test_nobodys_package_writes_to_a_bundle_that_was_here(damage: str, film: Path, tmp_path: Path) -> None:
    """Not even where that lacks something which the package has: it is imported under another name."""
    films = tmp_path / "films"
    done = hlsdl("fetch", film / "master.m3u8", "-P", films)
    assert done.code == 0, done.err
    mine = Path(done.out.strip())
    evil = twin(mine, tmp_path / "evil.movpkg")
    if damage == "a segment":
        min(mine.glob("1-*/0*.m4s")).unlink()
    if damage == "playlists":
        for one in (*mine.glob("*/source.m3u8"), mine / "Data" / "master.m3u8"):
            one.write_bytes(b"#" + one.read_bytes()[1:-1] + b"#")
    before = {one: one.read_bytes() for one in mine.rglob("*") if one.is_file()}
    done = hlsdl("import", evil, "-P", films)
    assert (done.code, Path(done.out.strip()).name) == (0, "A film 2.movpkg")
    assert {one: one.read_bytes() for one in mine.rglob("*") if one.is_file()} == before
    assert hlsdl("import", evil, "-o", mine).code == 2


def test_an_import_goes_on_with_what_is_there_and_mends_its_playlists(package: Path, tmp_path: Path) -> None:
    ours, victim = tmp_path / "ours.movpkg", min(package.glob("0-*/*.frag"))
    away = victim.rename(tmp_path / "away.frag")
    assert hlsdl("import", package, "-o", ours).code == 8
    master = ours / "Data" / "master.m3u8"
    master.write_bytes(master.read_bytes()[:-1] + b"#")
    away.rename(victim)
    done = hlsdl("import", package, "-o", ours, "--json")
    assert (done.code, done.document["fetched"]["segments"]) == (0, 1), done
    assert hlsdl("verify", ours).code == 0


def test_what_was_found_damaged_since_is_imported_again(package: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours.movpkg"
    assert hlsdl("import", package, "-o", ours).code == 0
    victim = min(ours.glob("0-*/0*.m4s"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1] + b"!")
    assert hlsdl("repair", ours, "--retries", "0").code == 3
    assert hlsdl("import", package, "-o", ours).code == 0
    assert victim.read_bytes() == whole
    assert hlsdl("verify", ours).code == 0


def test_a_film_of_nothing_but_gaps_is_none(film: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.movpkg"
    assert hlsdl("fetch", film / "aac-en" / "index.m3u8", "-o", theirs).code == 0
    lines = (theirs / "journal.jsonl").read_text().splitlines(keepends=True)
    (theirs / "journal.jsonl").write_text("".join(one for one in lines if '.m4s"' not in one))
    manifest = json.loads((theirs / "manifest.json").read_text())
    folder = manifest["streams"][0]["id"]
    manifest["choices"]["gaps"] = [f"{folder}/{number:09}.m4s" for number in range(99)]
    (theirs / "manifest.json").write_text(json.dumps({**manifest, "checksum": None}))
    done = hlsdl("import", theirs, "-o", tmp_path / "ours.movpkg")
    assert (done.code, "nothing to import" in done.err) == (8, True)


def test_nothing_is_written_into_the_package(package: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(package)
    before = sorted(package.rglob("*"))
    for place in (package, package / "Data", tmp_path / "link"):
        assert hlsdl("import", package, "-P", place).code == 2
        assert hlsdl("import", package, "-o", place / "x.movpkg").code == 2
    assert hlsdl("import", ".", cwd=package).code == 2
    assert sorted(package.rglob("*")) == before
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked.movpkg").symlink_to(tmp_path / "empty")
    assert hlsdl("import", package, "-o", tmp_path / "linked.movpkg").code == 2


def test_a_live_stream_that_had_not_ended_is_none_to_import(package: Path, tmp_path: Path) -> None:
    for playlist in package.glob("*/remote.m3u8"):
        playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST", "").replace("#EXT-X-PLAYLIST-TYPE:VOD", ""))
    assert hlsdl("import", package, "-o", tmp_path / "ours.movpkg").code == 13


def test_an_import_that_was_killed_goes_on(film: Path, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.movpkg", tmp_path / "ours.movpkg"
    assert hlsdl("fetch", film / "master.m3u8", "-o", theirs, "--audio", "all", "--subs", "all").code == 0
    kills = 0
    for pause in (0.25, 0.3, 0.35, 0.4, 0.5):
        process = start("import", theirs, "-o", ours)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        kills += process.wait(timeout=30) == -signal.SIGKILL
        process.communicate()
    assert kills
    done = hlsdl("import", theirs, "-o", ours)
    assert done.code == 0, done.err
    assert hlsdl("verify", ours).code == 0
    assert stored(ours) == stored(theirs)
