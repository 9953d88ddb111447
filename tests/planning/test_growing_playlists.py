"""A local playlist that grows only gets longer, keeps its promises to players, and ends up as the finished one."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hlsdl.planning.growing_playlists import EVENT, FROM_THE_START, GrowingPlaylist, growing_playlist
from hlsdl.planning.local_playlists import local_media_playlist
from hlsdl.planning.plan import StreamPlan, make_plan
from hlsdl.planning.selection import StreamSource
from hlsdl.playlist.models import MediaPlaylist
from hlsdl.playlist.parsing import parse_playlist

URL = "https://films.test/v/index.m3u8"
FILM = """\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:17
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-KEY:METHOD=AES-128,URI="a.key",IV=0x00000000000000000000000000000001
#EXT-X-MAP:URI="a.mp4"
#EXTINF:4,
1.m4s
#EXTINF:4,
2.m4s
#EXT-X-DISCONTINUITY
#EXT-X-KEY:METHOD=NONE
#EXT-X-MAP:URI="b.mp4"
#EXT-X-GAP
#EXTINF:4,
3.m4s
#EXTINF:2.5,
4.m4s
#EXT-X-DATERANGE:ID="end",START-DATE="2026-01-01T00:00:00Z"
#EXT-X-ENDLIST
"""


def planned(text: str = FILM) -> StreamPlan:
    playlist = parse_playlist(text.encode(), URL)
    assert isinstance(playlist, MediaPlaylist)
    return make_plan([(StreamSource(id="0-A-1", kind="video", url=URL), playlist)]).streams[0]


def grown(text: str = FILM) -> GrowingPlaylist:
    return growing_playlist(planned(text))


def read(text: str) -> MediaPlaylist:
    playlist = parse_playlist(text.encode(), URL)
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def test_it_is_an_event_from_its_start_without_an_end() -> None:
    text = grown().text(1)
    assert text.splitlines()[:4] == ["#EXTM3U", "#EXT-X-TARGETDURATION:4", EVENT, FROM_THE_START]
    assert "ENDLIST" not in text
    assert "VOD" not in text
    assert text.endswith("000000017.m4s\n")
    assert (read(text).media_sequence, read(text).playlist_type, read(text).is_live) == (17, "EVENT", True)


def test_each_text_begins_with_the_one_before_and_the_last_has_every_segment() -> None:
    playlist = grown()
    texts = [playlist.text(ready) for ready in range(1, playlist.segments + 1)]
    for shorter, longer in pairwise(texts):
        assert longer.startswith(shorter)
    finished = read(local_media_playlist(planned()))
    assert [one.uri for one in read(texts[-1]).segments] == [one.uri for one in finished.segments]
    assert [one.keys for one in read(texts[-1]).segments][2:] == [(), ()]


def test_a_segment_needs_its_init_section_and_its_key_and_a_gap_needs_nothing() -> None:
    playlist = grown()
    everything = {path for needs in playlist.needs for path in needs}
    assert {path.rpartition("/")[2] for path in everything if path.startswith("0-A-1/")} == {
        "000000017.m4s",
        "000000017.init.mp4",
        "000000018.m4s",
        "000000020.m4s",
        "000000019.init.mp4",
    }
    (key,) = {path for path in everything if path.startswith("keys/")}
    assert playlist.ready((everything - {key}).__contains__) == 0
    assert playlist.ready((everything - {"0-A-1/000000017.init.mp4"}).__contains__) == 0
    assert playlist.ready((everything - {"0-A-1/000000020.m4s"}).__contains__) == 3
    assert playlist.ready(everything.__contains__) == 4


def test_what_was_ready_is_not_asked_about_again() -> None:
    asked: list[str] = []

    def is_stored(path: str) -> bool:
        asked.append(path)
        return False

    assert grown().ready(is_stored, 1) == 1
    assert asked == ["0-A-1/000000018.m4s"]


def test_the_target_duration_is_one_that_every_segment_to_come_keeps() -> None:
    short = FILM.replace("TARGETDURATION:4", "TARGETDURATION:3")
    assert "#EXT-X-TARGETDURATION:4\n" in grown(short).text(1)
    assert grown(short).text(4).count("TARGETDURATION") == 1


def test_a_start_of_its_own_stays() -> None:
    own = FILM.replace("#EXT-X-VERSION:7", "#EXT-X-VERSION:7\n#EXT-X-START:TIME-OFFSET=3")
    assert grown(own).text(1).count("#EXT-X-START") == 1


def test_line_endings_are_those_of_the_source() -> None:
    text = grown(FILM.replace("\n", "\r\n")).text(2)
    assert text.count("\n") == text.count("\r\n")


def test_a_segment_that_is_listed_twice_is_ready_when_it_is_stored() -> None:
    twice = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n"
    assert grown(twice).ready({"0-A-1/000000000.ts"}.__contains__) == 2


@given(st.sets(st.integers(0, 29)))
def test_only_what_follows_without_a_hole_is_listed(stored: set[int]) -> None:
    segments = "".join(f"#EXTINF:2,\n{number}.ts\n" for number in range(30))
    playlist = grown(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{segments}#EXT-X-ENDLIST\n")
    ready = playlist.ready({f"0-A-1/{number:09d}.ts" for number in stored}.__contains__)
    assert ready == next((number for number in range(30) if number not in stored), 30)
    if ready:
        assert len(read(playlist.text(ready)).segments) == ready


def test_nothing_ready_is_no_text() -> None:
    assert grown().text(0) == ""
