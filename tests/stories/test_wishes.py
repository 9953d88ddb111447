"""Running the command again: the same wish is done, another one adds, and nothing stored is fetched twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import hlsdl
from conftest import FIXTURES
from oracle import local_playlists

import hlsdl as library
from hlsdl.errors import UsageError
from hlsdl.library.bundles import BundleIndex
from hlsdl.library.places import index_file
from hlsdl.session import events
from hlsdl.testing import Redirect, ScriptedOrigin, Status


@pytest.fixture
def origin(film: Path) -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as server:
        server.add_folder(film, at="/film")
        yield server


def kinds(bundle: library.Bundle) -> list[tuple[str, str | None]]:
    return [(one.kind, one.language) for one in bundle.streams]


async def test_the_library_fetches_with_the_flags_as_keywords(origin: ScriptedOrigin, tmp_path: Path) -> None:
    heard: list[events.Event] = []
    bundle = await library.fetch(
        origin.url("/film/master.m3u8"), hdr=False, audio=["fr"], multichannel=False, output=tmp_path, emit=heard.append
    )
    assert bundle.path == tmp_path / "A film.movpkg"
    assert bundle.is_playable_offline
    assert kinds(bundle) == [("video", None), ("audio", "fr")]
    assert library.open(bundle.path).title == "A film"
    names = [one.name for one in heard]
    assert names[0] == "will-download-to"
    assert names[-1] == "did-finish-downloading-to"
    assert names.count("progress") >= 2
    last = [one for one in heard if isinstance(one, events.Progressed)][-1]
    assert (last.segments_done, last.fraction) == (last.segments_total, 1.0)


async def test_another_wish_adds_and_fetches_only_what_is_new(origin: ScriptedOrigin, tmp_path: Path) -> None:
    url = origin.url("/film/master.m3u8")
    first = await library.fetch(url, hdr=False, multichannel=False, output=tmp_path)
    origin.clear_requests()
    second = await library.fetch(url, hdr=False, multichannel=False, audio=["en", "fr"], output=tmp_path)
    assert second.path == first.path
    asked = {request.path.split("/")[2] for request in origin.requests}
    assert asked == {"aac-fr"}
    assert ("audio", "fr") in kinds(second)
    index = (second.path / "index.m3u8").read_text()
    assert index.count("TYPE=AUDIO") == 2
    assert second.is_playable_offline


async def test_the_same_wish_again_asks_for_nothing(origin: ScriptedOrigin, tmp_path: Path) -> None:
    url = origin.url("/film/master.m3u8")
    await library.fetch(url, hdr=False, output=tmp_path)
    origin.clear_requests()
    assert (await library.fetch(url, hdr=False, output=tmp_path)).is_playable_offline
    assert origin.requests == []


@pytest.mark.parametrize("lost", ["0-*/*.m4s", "journal.jsonl", "index.m3u8", "1-*/index.m3u8"])
def test_the_same_wish_brings_back_what_was_lost(origin: ScriptedOrigin, tmp_path: Path, lost: str) -> None:
    """A bundle that says of itself that it is complete is believed when all is there."""
    url, bundle = origin.url("/film/master.m3u8"), tmp_path / "a.movpkg"
    assert hlsdl("fetch", url, "-o", bundle, "--no-hdr").code == 0
    files = sorted(bundle.glob(lost))
    assert files
    for file in files:
        file.unlink()
    origin.clear_requests()
    done = hlsdl("fetch", url, "-o", bundle, "--no-hdr", "--json")
    assert (done.code, done.document["state"], done.document["playable_offline"]) == (0, "complete", True)
    asked = [one.path for one in origin.requests if one.path.endswith((".m4s", ".mp4"))]
    assert len(asked) == (len(files) if lost.endswith(".m4s") else 0)
    assert hlsdl("verify", bundle).code == 0


def test_starting_over_may_be_killed_and_mixes_nothing(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """After the manifest is gone nobody can say whose the objects are: nothing of them is believed."""
    url, bundle = origin.url("/film/master.m3u8"), tmp_path / "a.movpkg"
    assert hlsdl("fetch", url, "-o", bundle, "--no-hdr").code == 0
    (bundle / "journal.jsonl").write_bytes(b"")
    (bundle / "manifest.json").unlink()
    origin.add("/film/sdr-360/3.m4s", (bundle / "root.xml").read_bytes() + bytes(99))
    origin.clear_requests()
    assert hlsdl("fetch", url, "-o", bundle, "--no-hdr").code == 0
    assert origin.count("/film/sdr-360/3.m4s") == origin.count("/film/sdr-360/0.m4s") == 1
    assert hlsdl("info", bundle, "--json").document["playable_offline"] is True


def test_starting_over_may_be_killed_and_leaves_nothing_of_before(
    origin: ScriptedOrigin, film: Path, tmp_path: Path
) -> None:
    """Keys, session data and the picture are known by their names when nothing lists them any more."""
    url, bundle = origin.url("/film/master.m3u8"), tmp_path / "a.movpkg"
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(60))
    assert hlsdl("fetch", url, "-o", bundle, "--artwork", tmp_path / "a.png").code == 0
    (bundle / "keys").mkdir()
    (bundle / "keys" / f"{'A' * 32}.key").write_bytes(bytes(16))
    (bundle / "Data" / f"{'A' * 32}.json").write_bytes(b"{}")
    mine = bundle / "Data" / "notes.txt"
    mine.write_text("mine")
    (bundle / "journal.jsonl").write_bytes(b"")
    (bundle / "manifest.json").unlink()
    assert hlsdl("fetch", url, "-o", bundle, "--no-hdr", "--force").code == 0
    assert not list(bundle.glob("keys/*"))
    assert [one["path"] for one in hlsdl("verify", bundle, "--json").document["findings"]] == ["Data/notes.txt"]
    assert mine.read_text() == "mine"


async def test_the_library_remembers_the_size_that_the_bundle_has(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """However it came to be: fetched, there already, or added to; and whatever else lies in it."""
    url, place = origin.url("/film/master.m3u8"), tmp_path / "A.movpkg"

    def remembered(*arguments: str | Path) -> int:
        done = hlsdl(*arguments)
        assert done.code == 0, done.err
        with BundleIndex.open(index_file()) as index:
            known = index.get(place)
        assert known is not None
        assert known.bytes == sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
        return known.bytes

    first = remembered("fetch", url, "-o", place, "--no-hdr", "--no-multichannel")
    (place / "notes.txt").write_text("watch this")
    assert remembered("fetch", url, "-o", place, "--no-hdr", "--no-multichannel") == first + 10
    assert remembered("add", place, "--audio", "fr") > first


async def test_force_starts_over(origin: ScriptedOrigin, tmp_path: Path) -> None:
    url = origin.url("/film/master.m3u8")
    await library.fetch(url, hdr=False, audio=["fr"], multichannel=False, output=tmp_path)
    origin.clear_requests()
    again = await library.fetch(url, hdr=False, multichannel=False, output=tmp_path, force=True)
    assert kinds(again)[1] == ("audio", "en")
    assert ("audio", "fr") not in kinds(again)
    assert origin.count("/film/master.m3u8") == 1


async def test_a_plan_downloads_no_segment_and_says_why(origin: ScriptedOrigin) -> None:
    plan = await library.plan(origin.url("/film/master.m3u8"), max_size=(320, 180), hdr=False)
    document = plan.document()
    assert document["schema"] == "hlsdl.plan/1"
    assert document["streams"][0]["resolution"] == [320, 180]
    variant = document["choices"][0]
    assert variant["because"]
    assert all(one["because"] for one in variant["rejected"])
    assert not [request for request in origin.requests if request.path.endswith((".m4s", ".mp4", ".vtt"))]


async def test_inspect_says_what_is_offered(origin: ScriptedOrigin) -> None:
    offered = (await library.inspect(origin.url("/film/master.m3u8"))).document()
    assert offered["kind"] == "multivariant"
    assert (len(offered["variants"]), len(offered["renditions"]), len(offered["iframes"])) == (12, 9, 2)
    assert offered["duration"] == pytest.approx(10, abs=0.5)
    assert not offered["live"]


async def test_an_unknown_keyword_is_a_usage_error(origin: ScriptedOrigin) -> None:
    with pytest.raises(UsageError):
        await library.fetch(origin.url("/film/master.m3u8"), quality="best")


async def test_a_media_playlist_is_a_source_with_a_measured_bandwidth(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await library.fetch(origin.url("/film/sdr-180/index.m3u8"), output=tmp_path)
    assert bundle.path.name == "sdr-180.movpkg"
    index = (bundle.path / "index.m3u8").read_text()
    sizes = [len((origin_file).read_bytes()) for origin_file in sorted(bundle.path.glob("0-*/0*.m4s"))]
    peak = int(index.split("BANDWIDTH=")[1].split(",")[0])
    assert peak == pytest.approx(max(sizes) * 8 / 2, rel=0.05)
    assert len(local_playlists(bundle.path)) == 1


async def test_a_playlist_file_on_this_machine_is_a_source(film: Path, tmp_path: Path) -> None:
    bundle = await library.fetch(str(film / "master.m3u8"), hdr=False, output=tmp_path)
    assert bundle.is_playable_offline


async def test_a_playlist_file_may_have_its_children_elsewhere(
    origin: ScriptedOrigin, film: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copied.m3u8"
    copy.write_bytes((film / "master.m3u8").read_bytes())
    bundle = await library.fetch(
        str(copy), hdr=False, output=tmp_path, base_url=origin.url("/film/master.m3u8"), title="Elsewhere"
    )
    assert bundle.is_playable_offline
    assert origin.count("/film/sdr-360/index.m3u8") == 1


async def test_children_are_relative_to_where_a_redirect_led(origin: ScriptedOrigin, tmp_path: Path) -> None:
    origin.add("/short", b"")
    origin.always("/short", Redirect(origin.url("/film/master.m3u8")))
    bundle = await library.fetch(origin.url("/short"), hdr=False, output=tmp_path)
    assert bundle.is_playable_offline
    assert bundle.manifest.source_url.endswith("/short")
    assert bundle.manifest.final_url.endswith("/film/master.m3u8")


async def test_a_lost_segment_becomes_a_gap_when_that_is_allowed(origin: ScriptedOrigin, tmp_path: Path) -> None:
    origin.always("/film/sdr-360/3.m4s", Status(404))
    heard: list[events.Event] = []
    bundle = await library.fetch(
        origin.url("/film/master.m3u8"), hdr=False, allow_gaps=True, retries=1, output=tmp_path, emit=heard.append
    )
    video = bundle.streams[0]
    assert (video.segments, video.gaps) == (4, 1)
    text = (bundle.path / video.playlist).read_text()
    assert "#EXT-X-GAP\n000000003.m4s" in text
    assert any(isinstance(one, events.Warned) and "gap" in one.message for one in heard)
    assert hlsdl("verify", bundle.path).code == 0


async def test_session_data_comes_along_and_is_optional(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await library.fetch(origin.url("/film/master.m3u8"), hdr=False, output=tmp_path)
    index = (bundle.path / "index.m3u8").read_text()
    data = bundle.path / index.split('DATA-ID="com.example.credits",URI="')[1].split('"')[0]
    assert data.read_bytes().startswith(b"{")
    origin.always("/film/credits.json", Status(404))
    heard: list[events.Event] = []
    other = await library.fetch(
        origin.url("/film/master.m3u8"), hdr=False, output=tmp_path / "b.movpkg", emit=heard.append
    )
    assert other.is_playable_offline
    assert "com.example.credits" not in (other.path / "index.m3u8").read_text()
    assert any("session data" in one.message for one in heard if isinstance(one, events.Warned))


def test_session_data_that_is_gone_is_left_out_and_a_repair_asks_for_it_again(
    origin: ScriptedOrigin, tmp_path: Path
) -> None:
    """A film plays without it: that a file was lost, which nobody has any more, must not keep it from that."""
    url, bundle = origin.url("/film/master.m3u8"), tmp_path / "a.movpkg"
    assert hlsdl("fetch", url, "-o", bundle, "--no-hdr").code == 0
    (data,) = bundle.glob("Data/*.json")
    data.unlink()
    origin.always("/film/credits.json", Status(404))
    done = hlsdl("repair", bundle)
    assert (done.code, "session data is left out" in done.err) == (0, True)
    assert hlsdl("info", bundle, "--json").document["playable_offline"] is True
    assert "session data is left out" in hlsdl("repair", bundle).err
    origin.always("/film/credits.json")
    assert hlsdl("repair", bundle).code == 0
    assert data.is_file()
    asked = len(origin.requests)
    assert (hlsdl("repair", bundle).code, len(origin.requests)) == (0, asked)


def test_a_picture_that_is_lost_is_told(origin: ScriptedOrigin, tmp_path: Path) -> None:
    url, bundle = origin.url("/film/master.m3u8"), tmp_path / "a.movpkg"
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(60))
    assert hlsdl("fetch", url, "-o", bundle, "--no-hdr", "--artwork", tmp_path / "a.png").code == 0
    (bundle / "Data/artwork.png").unlink()
    assert "`Data/artwork.png` is missing and left out" in hlsdl("add", bundle, "--audio", "fr").err
    assert "artwork" not in hlsdl("add", bundle, "--audio", "de").err


def test_what_a_bundle_does_not_offer_is_said_to_be_looked_for_in_its_own_playlist(
    origin: ScriptedOrigin, tmp_path: Path
) -> None:
    url, bundle = origin.url("/film/master.m3u8"), tmp_path / "a.movpkg"
    own = "the bundle's own playlist"
    assert own not in hlsdl("fetch", url, "-o", bundle, "--no-hdr", "--audio", "it").err
    assert hlsdl("fetch", url, "-o", bundle, "--no-hdr").code == 0
    for command in (("fetch", url, "-o", bundle), ("add", bundle)):
        done = hlsdl(*command, "--audio", "it")
        assert (done.code, own in done.err) == (6, True)


@pytest.mark.parametrize("source", ["/subs.m3u8", "/film.m3u8"])
def test_an_empty_webvtt_segment_is_stored_and_stays_fine(origin: ScriptedOrigin, tmp_path: Path, source: str) -> None:
    """Packagers write them where nobody speaks; also where the subtitles are the whole source."""
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n"
    origin.add("/subs.m3u8", f"{head}#EXTINF:4,\n0.vtt\n#EXTINF:4,\n1.vtt\n#EXT-X-ENDLIST\n".encode())
    origin.add("/0.vtt", b"WEBVTT\n\n00:00:00.000 --> 00:00:00.900\nhi\n")
    origin.add("/1.vtt", b"")
    origin.add(
        "/film.m3u8",
        b'#EXTM3U\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="x",LANGUAGE="en",URI="subs.m3u8",DEFAULT=YES\n'
        b'#EXT-X-STREAM-INF:BANDWIDTH=800000,SUBTITLES="s"\nfilm/sdr-180/index.m3u8\n',
    )
    bundle = tmp_path / "a.movpkg"
    assert hlsdl("fetch", origin.url(source), "--subs", "all", "-o", bundle).code == 0
    assert [file.stat().st_size for file in bundle.glob("*/000000001.vtt")] == [0]
    assert hlsdl("verify", bundle, "--json").document["findings"] == []


def test_repair_fetches_only_what_is_damaged(origin: ScriptedOrigin, tmp_path: Path) -> None:
    url = origin.url("/film/master.m3u8")
    bundle = Path(hlsdl("fetch", url, "--no-hdr", "-P", tmp_path).out.strip())
    segments = sorted(bundle.glob("0-*/0*.m4s"))
    before = [one.read_bytes() for one in segments]
    flipped = bytearray(before[1])
    flipped[100] ^= 1
    segments[1].write_bytes(flipped)
    segments[2].unlink()
    segments[3].write_bytes(before[3][:50])
    (bundle / "index.m3u8").write_text("#EXTM3U\nhttps://elsewhere.test/\n")
    found = hlsdl("verify", bundle, "--json")
    assert found.code == 8
    assert {one["path"].rpartition("/")[2] for one in found.document["findings"]} >= {
        "000000001.m4s",
        "000000002.m4s",
        "000000003.m4s",
        "index.m3u8",
    }
    origin.clear_requests()
    repaired = hlsdl("repair", bundle, "--json")
    assert repaired.code == 0, repaired.err
    assert repaired.document["ok"] is True
    assert sorted(request.path for request in origin.requests) == [f"/film/sdr-360/{n}.m4s" for n in (1, 2, 3)]
    assert [one.read_bytes() for one in segments] == before


def test_repair_does_not_accept_other_bytes_than_were_stored(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = Path(hlsdl("fetch", origin.url("/film/master.m3u8"), "--no-hdr", "-P", tmp_path).out.strip())
    damaged = sorted(bundle.glob("0-*/0*.m4s"))[2]
    other = min(bundle.glob("0-*/0*.m4s")).read_bytes()
    damaged.unlink()
    whole = (FIXTURES / "media" / "film" / "sdr-360" / "2.m4s").read_bytes()
    origin.add("/film/sdr-360/2.m4s", other)
    # However often, and after a failure of another kind as well.
    origin.script("/film/sdr-360/2.m4s", *[Status(503)] * 2)
    assert hlsdl("repair", bundle, "--json", "--retries", "1").code == 3
    for words in (("repair", bundle), ("repair", bundle), ("fetch", origin.url("/film/master.m3u8"), "-o", bundle)):
        done = hlsdl(*words, "--json")
        assert done.code == 8, words
        assert "other bytes" in done.document["message"]
        assert not damaged.exists()
    origin.add("/film/sdr-360/2.m4s", whole)
    assert hlsdl("repair", bundle).code == 0
    assert damaged.read_bytes() == whole


def test_repair_does_not_accept_another_key_than_was_stored(origin: ScriptedOrigin, tmp_path: Path) -> None:
    origin.add_folder(FIXTURES / "media" / "aes128", at="/a")
    bundle = Path(hlsdl("fetch", origin.url("/a/master.m3u8"), "-P", tmp_path).out.strip())
    for key in (bundle / "keys").iterdir():
        key.write_bytes(bytes(16))
    for name in ("one", "two"):
        origin.add(f"/a/keys/{name}.key", b"another key, yes")
    for _ in range(2):
        done = hlsdl("repair", bundle, "--json")
        assert done.code == 8
        assert "other bytes" in done.document["message"]
    for name in ("one", "two"):
        origin.remove(f"/a/keys/{name}.key")
    assert hlsdl("repair", bundle).code == 0


def test_several_sources_give_one_line_each_and_the_first_failure_as_code(
    origin: ScriptedOrigin, tmp_path: Path
) -> None:
    good, bad = origin.url("/film/sdr-180/index.m3u8"), origin.url("/nothing.m3u8")
    done = hlsdl("fetch", good, bad, origin.url("/film/pq-180/index.m3u8"), "-P", tmp_path, "--retries", "1")
    assert done.code == 4
    assert [Path(line).name for line in done.out.splitlines()] == ["sdr-180.movpkg", "pq-180.movpkg"]
