"""What a stranger's package holds is found by its playlists, and each object by more than its number."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from packages import MASTER_FILE, write_package

import hlsdl.sync
from hlsdl.bundle.movie_package import PackageFolder
from hlsdl.errors import HlsdlError, IntegrityError, LimitError, PolicyError
from hlsdl.session.received import EVERYTHING, MOST_WISHES, Received, all_of, receive

STREAMS = ("sdr-180/index.m3u8", "aac-en/index.m3u8")
URL = "https://films.invalid/a/"


@pytest.fixture
def package(film: Path, tmp_path: Path) -> Path:
    return write_package(tmp_path / "theirs.movpkg", film, URL, STREAMS)


def received(package: Path) -> Received:
    with PackageFolder.open(package) as folder:
        return receive(folder)


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def video_info(package: Path) -> Path:
    return min(package.glob("0-*/StreamInfoBoot.xml"))


def lacking(found: Received) -> list[str]:
    return [one.path for one in all_of(found.contents.plan) if one.path not in found.places and one.kind != "data"]


def test_everything_that_it_has_is_asked_for_and_the_rest_counts_as_dropped(package: Path) -> None:
    found = received(package)
    asked = found.contents.asked
    assert asked.wishes == (EVERYTHING,)
    ids = {stream.id for stream in found.contents.plan.streams}
    assert len(ids) == 2
    assert not ids & asked.dropped
    assert len(asked.dropped) > 5
    assert lacking(found) == []


def test_nothing_in_it_counts_as_named_here(package: Path) -> None:
    assert not received(package).contents.source.is_named


@pytest.mark.parametrize("spelling", ["film name", "film%20name", "film%20NAME/../film name"])
def test_addresses_may_be_spelt_in_any_way(film: Path, tmp_path: Path, spelling: str) -> None:
    origin = tmp_path / "origin"
    (origin / "film name").mkdir(parents=True)
    for file in (film / "aac-en").iterdir():
        (origin / "film name" / file.name).write_bytes(file.read_bytes())
    (origin / "x").mkdir()
    (origin / "master.m3u8").write_text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{spelling}/index.m3u8\n")
    package = write_package(tmp_path / "theirs.movpkg", origin, URL, ["film name/index.m3u8"])
    assert lacking(received(package)) == []


def test_of_several_multivariant_playlists_the_one_with_its_streams_counts(package: Path) -> None:
    other = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nelsewhere.m3u8\n"
    half = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nsdr-180/index.m3u8\n"
    for name, text in (("a.data", other), ("b.data", half), ("c.data", "no playlist")):
        (package / "Data" / name).write_text(text)
    item = "<DataItem><Category>Playlist</Category><DataPath>{}.data</DataPath></DataItem>"
    items = "".join(item.format(name) for name in "abc")
    rewrite(
        package / "boot.xml",
        lambda text: text.replace('<DataItems Directory="Data">', f"<DataItems Directory='Data'>{items}"),
    )
    assert len(received(package).contents.plan.streams) == 2


def test_without_a_multivariant_playlist_several_streams_belong_to_nothing(package: Path) -> None:
    (package / "Data" / MASTER_FILE).unlink()
    with pytest.raises(IntegrityError, match="no multivariant playlist"):
        received(package)


def test_a_package_of_nothing_complete_says_what_it_has(package: Path) -> None:
    rewrite(package / "boot.xml", lambda text: text.replace(">YES<", ">NO<"))
    with pytest.raises(IntegrityError, match="that are not complete"):
        received(package)


def test_addresses_that_are_none_are_no_source(package: Path) -> None:
    for url in ("http://[x/m.m3u8", "file:///etc/passwd", "https://user:pw@films.invalid/m.m3u8", "master.m3u8"):
        rewrite(
            package / "boot.xml", lambda text, url=url: re.sub("(<MasterPlaylist><NetworkURL>)[^<]*", rf"\1{url}", text)
        )
        with pytest.raises(IntegrityError, match="no multivariant playlist"):
            received(package)


def test_a_stream_that_lost_its_multivariant_playlist_is_imported_alone_and_said_to_be(
    film: Path, tmp_path: Path
) -> None:
    package = write_package(tmp_path / "theirs.movpkg", film, URL, ["aac-en/index.m3u8"])
    (package / "Data" / MASTER_FILE).unlink()
    found = received(package)
    assert found.contents.root.master is None
    assert any("imported alone" in one for one in found.remarks)


def test_session_data_comes_under_its_file_name(package: Path, film: Path) -> None:
    (package / "Data" / "x.data").write_bytes((film / "credits.json").read_bytes())
    item = "<DataItem><Category>SessionData</Category><Name>credits.json</Name><DataPath>x.data</DataPath></DataItem>"
    rewrite(
        package / "boot.xml",
        lambda text: text.replace('<DataItems Directory="Data">', f'<DataItems Directory="Data">{item}'),
    )
    found = received(package)
    (data,) = found.contents.plan.data
    assert found.places[data.path].path == "Data/x.data"


def test_session_data_that_two_languages_call_the_same_is_not_guessed(package: Path, film: Path) -> None:
    one = '#EXT-X-SESSION-DATA:DATA-ID="x",LANGUAGE="{0}",URI="{0}/t.json"\n'
    master = (film / "master.m3u8").read_text().replace("#EXTM3U\n", "#EXTM3U\n" + one.format("en") + one.format("fr"))
    (package / "Data" / MASTER_FILE).write_text(master)
    (package / "Data" / "x.data").write_text("[]")
    item = "<DataItem><Category>SessionData</Category><Name>t.json</Name><DataPath>x.data</DataPath></DataItem>"
    rewrite(
        package / "boot.xml",
        lambda text: text.replace('<DataItems Directory="Data">', f'<DataItems Directory="Data">{item}'),
    )
    assert not {one.path for one in received(package).places.values()} & {"Data/x.data"}


class TestBundles:
    """A bundle of hlsdl is believed as far as it agrees with itself."""

    @pytest.fixture
    def bundle(self, film: Path, tmp_path: Path) -> Path:
        return hlsdl.sync.fetch(film / "master.m3u8", output=tmp_path / "theirs.movpkg").path

    def change(self, bundle: Path, **fields: object) -> None:
        manifest = json.loads((bundle / "manifest.json").read_text())
        (bundle / "manifest.json").write_text(json.dumps({**manifest, "checksum": None, **fields}))

    def refused(self, bundle: Path) -> HlsdlError:
        with pytest.raises(HlsdlError) as error:
            received(bundle)
        return error.value

    def test_a_damaged_manifest_is_refused(self, bundle: Path) -> None:
        self.change(bundle, checksum="0" * 64)
        assert "damaged" in self.refused(bundle).message

    def test_a_broken_seal_is_told(self, bundle: Path) -> None:
        self.change(bundle, journal_sha256="0" * 64)
        assert any("not what was sealed" in one for one in received(bundle).remarks)

    @pytest.mark.parametrize("url", ["http://[x/a.m3u8", "javascript:alert(1)", "data:,x"])
    def test_a_source_that_is_no_address_is_refused(self, bundle: Path, url: str) -> None:
        self.change(bundle, source_url=url)
        assert isinstance(self.refused(bundle), PolicyError)

    def test_fifty_wishes_are_believed_and_one_more_is_not(self, bundle: Path) -> None:
        (wish,) = json.loads((bundle / "manifest.json").read_text())["choices"]["wishes"]
        self.change(bundle, choices={"wishes": [wish] * MOST_WISHES})
        received(bundle)
        self.change(bundle, choices={"wishes": [wish] * (MOST_WISHES + 1)})
        assert isinstance(self.refused(bundle), LimitError)

    @pytest.mark.parametrize("wish", [{"where": ["nothing =="]}, {"variant": "none"}, {"max_bitrate": 1}])
    def test_wishes_that_lead_nowhere_are_damage(self, bundle: Path, wish: dict[str, object]) -> None:
        self.change(bundle, choices={"wishes": [wish]})
        assert isinstance(self.refused(bundle), IntegrityError)

    @pytest.mark.parametrize("name", ["manifest.json", "journal.jsonl", "Data/master.m3u8", "Data"])
    def test_links_are_refused_wherever_they_are(self, bundle: Path, tmp_path: Path, name: str) -> None:
        (bundle / name).rename(tmp_path / "away")
        (bundle / name).symlink_to(tmp_path / "away")
        assert isinstance(self.refused(bundle), PolicyError)

    def test_gaps_that_its_source_had_are_gaps(self, bundle: Path) -> None:
        """Those that the manifest says and no others: else they are missing."""
        manifest = json.loads((bundle / "manifest.json").read_text())
        journal = (bundle / "journal.jsonl").read_text().splitlines(keepends=True)
        gone = next(line for line in journal if '/000000002.m4s"' in line and '"path":"0-' in line)
        (bundle / "journal.jsonl").write_text("".join(line for line in journal if line != gone))
        assert received(bundle).absent == frozenset()
        path = json.loads(gone.partition(" ")[2])["path"]
        stored = path.replace("000000002", "000000001")
        self.change(bundle, choices={**manifest["choices"], "gaps": [path, stored, "../none"]})
        assert received(bundle).absent == {path}
