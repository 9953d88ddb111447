"""A bundle may come from anybody: what it says of its source opens no file and no address of the local network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from commands import Done, hlsdl

import hlsdl as library
from hlsdl.bundle.journal import Entry, entry_line
from hlsdl.library.places import mark_key_file
from hlsdl.testing import ScriptedOrigin

MASTER = "#EXTM3U\n{}#EXT-X-STREAM-INF:BANDWIDTH=800000\nindex.m3u8\n"
TAKEN = '#EXT-X-SESSION-DATA:DATA-ID="com.example.taken",URI="{}"\n'
SECRET = b'{"secret": "of this machine"}'


@pytest.fixture
def origin(film: Path) -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as server:
        server.add_folder(film / "aac-en", at="/film")
        yield server


@pytest.fixture
def playlist(film: Path, tmp_path: Path) -> Path:
    """A multivariant playlist file of the user's own."""
    shutil.copytree(film / "aac-en", tmp_path / "own")
    master = tmp_path / "own" / "master.m3u8"
    master.write_text(MASTER.format(""))
    return master


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that no bundle may have."""
    file = tmp_path / "elsewhere" / "secret.json"
    file.parent.mkdir()
    file.write_bytes(SECRET)
    return file


def received(bundle: Path, place: Path, texts: dict[str, str] | None = None) -> Path:
    """The bundle as somebody else gives it: unsealed, at another place, some of its playlists written anew."""
    shutil.copytree(bundle, place)
    for path, text in (texts or {}).items():
        (place / path).write_text(text)
        entry = Entry(path=path, size=len(text), sha256=sha256(text.encode()).hexdigest())
        with (place / "journal.jsonl").open("ab") as journal:
            journal.write(entry_line(entry))
    manifest = json.loads((place / "manifest.json").read_text())
    manifest |= {"state": "partial", "checksum": None, "journal_bytes": None, "journal_sha256": None}
    (place / "manifest.json").write_text(json.dumps(manifest))
    return place


def fetched(source: str | Path, bundle: Path, *more: str) -> Path:
    done = hlsdl("fetch", source, "-o", bundle, *more)
    assert done.code == 0, done.err
    return bundle


def damage(bundle: Path) -> None:
    min(bundle.glob("0-*/0*.m4s")).unlink()


def nothing_taken(bundle: Path) -> bool:
    return not any(SECRET[:16] in file.read_bytes() for file in bundle.rglob("*") if file.is_file())


def refused(done: Done) -> bool:
    return done.code == 10 and "hint:" in done.err


@pytest.mark.parametrize("command", [("repair",), ("add", "--title", "Mine"), ("add", "--audio", "all")])
def test_a_received_bundle_opens_no_file_of_this_machine(
    playlist: Path, secret: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Asking again changes nothing: what was written to the bundle meanwhile proves nothing of its source."""
    theirs = {"Data/master.m3u8": MASTER.format(TAKEN.format(secret.as_uri()))}
    bundle = received(fetched(playlist, tmp_path / "a.movpkg"), tmp_path / "b.movpkg", theirs)
    for _ in range(2):
        done = hlsdl(command[0], bundle, *command[1:])
        assert refused(done), done
        assert "hlsdl fetch FILE" in done.err
        assert nothing_taken(bundle)


def test_whoever_names_the_playlist_file_gets_what_is_in_it_and_not_what_a_bundle_says(
    playlist: Path, secret: Path, tmp_path: Path
) -> None:
    theirs = {"Data/master.m3u8": MASTER.format(TAKEN.format(secret.as_uri()))}
    bundle = received(fetched(playlist, tmp_path / "a.movpkg"), tmp_path / "b.movpkg", theirs)
    damage(bundle)
    fetched(playlist, bundle)
    assert nothing_taken(bundle)
    assert hlsdl("verify", bundle).code == 0


def test_a_bundle_of_my_own_playlist_file_is_repaired_as_ever_also_where_it_was_moved(
    playlist: Path, tmp_path: Path
) -> None:
    bundle = fetched(playlist, tmp_path / "a.movpkg")
    damage(bundle)
    assert hlsdl("repair", bundle).code == 0
    moved = bundle.rename(tmp_path / "moved.movpkg")
    damage(moved)
    assert hlsdl("repair", moved).code == 0
    assert hlsdl("add", moved, "--title", "Mine").code == 0


def test_a_copy_is_repaired_once_its_playlist_file_is_named_again(playlist: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.movpkg"
    shutil.copytree(fetched(playlist, tmp_path / "a.movpkg"), copy)
    damage(copy)
    assert refused(hlsdl("repair", copy))
    fetched(playlist, copy)
    damage(copy)
    assert hlsdl("repair", copy).code == 0


@pytest.mark.parametrize("command", [("repair",), ("add", "--title", "Mine")])
def test_a_received_bundle_sends_no_packet_into_the_local_network(
    origin: ScriptedOrigin, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Not at the second time either; who allows private addresses for this job has allowed them."""
    bundle = received(fetched(origin.url("/film/index.m3u8"), tmp_path / "a.movpkg"), tmp_path / "b.movpkg")
    damage(bundle)
    origin.clear_requests()
    for _ in range(2):
        done = hlsdl(command[0], bundle, *command[1:])
        assert refused(done), done
        assert "--allow-private" in done.err
    assert not origin.requests
    assert hlsdl(command[0], bundle, *command[1:], "--allow-private").code == 0
    assert hlsdl("verify", bundle).code == 0


def test_a_playlist_from_the_network_opens_no_more_files_when_a_bundle_has_it(
    origin: ScriptedOrigin, secret: Path, tmp_path: Path
) -> None:
    """The run that goes on reads it from the bundle, and it is still none of the user's."""
    master = tmp_path / "own" / "master.m3u8"
    master.parent.mkdir()
    master.write_text(MASTER.format("").replace("index.m3u8", origin.url("/film/index.m3u8")))
    bundle = fetched(master, tmp_path / "a.movpkg", "--allow-private")
    [stored] = bundle.glob("*/source.m3u8")
    secret.write_bytes(SECRET[:16])  # as long as a key
    key = f'#EXT-X-KEY:METHOD=AES-128,URI="{secret.as_uri()}"\n#EXTINF'
    theirs = {str(stored.relative_to(bundle)): stored.read_text().replace("#EXTINF", key, 1)}
    copy = received(bundle, tmp_path / "b.movpkg", theirs)
    damage(copy)
    assert hlsdl("fetch", master, "-o", copy, "--allow-private").code == 10
    assert nothing_taken(copy)


async def test_a_task_on_a_received_bundle_opens_no_file_of_this_machine_either(
    playlist: Path, secret: Path, tmp_path: Path
) -> None:
    """Neither is its asset loaded from one."""
    theirs = {"Data/master.m3u8": MASTER.format(TAKEN.format(secret.as_uri()))}
    bundle = received(fetched(playlist, tmp_path / "a.movpkg"), tmp_path / "b.movpkg", theirs)
    damage(bundle)
    async with library.AssetDownloadSession() as session:
        task = session.make_asset_download_task(library.DownloadConfiguration(library.Asset(bundle)))
        task.resume()
        with pytest.raises(library.PolicyError):
            await task
    assert nothing_taken(bundle)
    (bundle / "Data" / "master.m3u8").write_bytes(b"#EXTM3U\n")
    with pytest.raises(library.PolicyError):
        await library.Asset(bundle).load()


def test_a_whole_copy_is_known_again_once_its_source_was_named_for_it(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """There is nothing to fetch, and still something to do."""
    url = origin.url("/film/index.m3u8")
    whole = fetched(url, tmp_path / "a.movpkg")
    strange, known = (Path(shutil.copytree(whole, tmp_path / name)) for name in ("b.movpkg", "c.movpkg"))
    origin.clear_requests()
    fetched(url, known)
    assert origin.requests == []
    for copy in (strange, known):
        damage(copy)
    assert refused(hlsdl("repair", strange))
    assert hlsdl("repair", known).code == 0


@pytest.mark.parametrize("kind", ["url", "file"])
def test_a_whole_bundle_is_known_again_once_its_source_was_named_after_the_key_was_lost(
    origin: ScriptedOrigin, playlist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("HLSDL_DATA", str(tmp_path / "data"))
    source = origin.url("/film/index.m3u8") if kind == "url" else playlist
    strange, known = (fetched(source, tmp_path / name) for name in ("a.movpkg", "b.movpkg"))
    mark_key_file().unlink()
    fetched(source, known)
    for bundle in (strange, known):
        damage(bundle)
    assert refused(hlsdl("repair", strange))
    assert hlsdl("repair", known).code == 0
