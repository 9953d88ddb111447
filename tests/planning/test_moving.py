"""Matching a stream with itself under other URLs, and refusing another encode."""

from __future__ import annotations

import pytest

from hlsdl.errors import IntegrityError
from hlsdl.planning.moving import QUICK_SAMPLE, moved, same_urls, samples, telling
from hlsdl.planning.plan import DownloadPlan, make_plan
from hlsdl.planning.selection import StreamSource
from hlsdl.playlist.models import MediaPlaylist
from hlsdl.playlist.parsing import parse_playlist

HEAD = '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:5\n#EXT-X-KEY:METHOD=AES-128,URI="k{0}"\n'
BODY = '#EXT-X-MAP:URI="i.mp4{0}",BYTERANGE="9@0"\n#EXTINF:4,\na.m4s{0}\n#EXTINF:3.5,\nb.m4s{0}\n'


def plan(text: str, host: str = "one", **source: object) -> DownloadPlan:
    url = f"https://{host}.test/v/index.m3u8"
    playlist = parse_playlist((text + "#EXT-X-ENDLIST\n").encode(), url)
    assert isinstance(playlist, MediaPlaylist)
    values: dict[str, object] = {"id": "0-X-1", "kind": "video", "url": url, **source}
    return make_plan([(StreamSource(**values), playlist)])  # type: ignore[arg-type]


THEN = plan(
    (
        HEAD.replace("#EXT-X-KEY", "#EXT-X-KEY") + BODY.replace("#EXT-X-MAP", "#EXT-X-KEY:METHOD=NONE\n#EXT-X-MAP")
    ).format("?t=1")
)


def again(text: str = "?t=2", **how: object) -> DownloadPlan:
    return plan((HEAD + BODY.replace("#EXT-X-MAP", "#EXT-X-KEY:METHOD=NONE\n#EXT-X-MAP")).format(text), **how)  # type: ignore[arg-type]


def test_objects_keep_their_paths_and_get_the_urls_of_now() -> None:
    now = moved(THEN, again(host="two"))
    assert [one.path for one in now.resources] == [one.path for one in THEN.resources]
    assert [one.url for one in now.resources] == [
        f"https://two.test/v/{name}?t=2" for name in ("i.mp4", "a.m4s", "b.m4s")
    ]


def test_a_key_keeps_its_path_under_its_new_url() -> None:
    keyed = plan((HEAD + "#EXTINF:4,\na.ts\n").format("?t=1"))
    now = moved(keyed, plan((HEAD + "#EXTINF:4,\na.ts\n").format("?t=2")))
    assert now.keys[0].path == keyed.keys[0].path
    assert now.keys[0].url.endswith("k?t=2")


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("#EXTINF:3.5,", "#EXTINF:3.6,"),
        ("MEDIA-SEQUENCE:5", "MEDIA-SEQUENCE:6"),
        ('"9@0"', '"9@1"'),
        ("#EXTINF:3.5,", "#EXT-X-DISCONTINUITY\n#EXTINF:3.5,"),
        ("#EXTINF:3.5,", "#EXT-X-GAP\n#EXTINF:3.5,"),
        ("#EXTINF:3.5,", "#EXTINF:1,\nc.m4s\n#EXTINF:3.5,"),
    ],
)
def test_another_encode_is_never_mixed_in(change: str, to: str) -> None:
    text = (HEAD + BODY.replace("#EXT-X-MAP", "#EXT-X-KEY:METHOD=NONE\n#EXT-X-MAP")).format("?t=2")
    assert change in text
    with pytest.raises(IntegrityError, match="changed since its download began") as caught:
        moved(THEN, plan(text.replace(change, to)))
    assert "--force" in str(caught.value.hint)


def test_a_stream_that_is_described_differently_is_another_one() -> None:
    with pytest.raises(IntegrityError):
        moved(THEN, again(resolution=(640, 360)))


def test_a_missing_stream_is_a_change() -> None:
    with pytest.raises(IntegrityError):
        moved(THEN, make_plan([]))


def test_same_urls_are_noticed_since_asking_again_would_change_nothing() -> None:
    paths = [one.path for one in THEN.resources]
    assert same_urls(THEN, THEN, paths)
    assert not same_urls(THEN, moved(THEN, again()), paths)


def sampled(
    now: DownloadPlan, stored: dict[str, int], *, then: DownloadPlan = THEN, is_a_copy: bool = False
) -> list[str]:
    """The names of what is compared."""
    there = moved(then, now)
    return [one.path.rpartition("/")[2] for one in samples(then, there, stored, is_a_copy=is_a_copy)]


INIT, A, B = (one.path for one in THEN.resources)


def test_another_token_is_the_same_place_and_another_host_is_not() -> None:
    assert sampled(again(), {A: 10, B: 20}) == []
    assert sampled(again(host="two"), {A: 10, B: 20}) == [B.rpartition("/")[2]]


@pytest.mark.parametrize(
    "how", [{"bandwidth": 1000}, {"url": "https://one.test/low/index.m3u8"}, {"is_a_copy": True}], ids=str
)
def test_another_query_proves_nothing_where_something_else_says_that_it_may_be_another_encode(
    how: dict[str, object],
) -> None:
    is_a_copy = bool(how.get("is_a_copy"))
    source = {name: value for name, value in how.items() if name != "is_a_copy"}
    assert sampled(again(**source), {A: 10}, is_a_copy=is_a_copy) == [A.rpartition("/")[2]]
    assert sampled(again("?t=1", **source), {A: 10}, is_a_copy=is_a_copy) == []  # under their very URLs


def test_without_a_finished_segment_it_is_the_init_section_that_is_compared() -> None:
    assert sampled(again(host="two"), {INIT: 10}) == [INIT.rpartition("/")[2]]
    assert sampled(again(host="two"), {INIT: 10, A: 5}) == [A.rpartition("/")[2]]
    assert sampled(again(host="two"), {}) == []


def test_what_is_compared_is_large_but_quickly_asked_for() -> None:
    """Silence and empty subtitles are the same in every encode."""
    segments = THEN.resources[1:]
    assert telling(segments, {A: 10, B: 20}).path == B
    assert telling(segments, {A: QUICK_SAMPLE, B: QUICK_SAMPLE + 1}).path == A
    assert telling(segments, {A: QUICK_SAMPLE + 2, B: QUICK_SAMPLE + 1}).path == B


def test_tokens_that_make_one_key_look_like_two_change_nothing() -> None:
    """Its second URL, in either reading, leads to the same key."""
    keyed = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n" + "".join(
        f'#EXT-X-KEY:METHOD=AES-128,URI="k?exp={{{number}}}"\n#EXTINF:4,\n{number}.ts\n' for number in range(2)
    )
    one, two = plan(keyed.format(1, 1)), plan(keyed.format(2, 3))
    assert [key.url for key in moved(one, two).keys] == ["https://one.test/v/k?exp=2"]
    assert [key.url for key in moved(two, one).keys] == ["https://one.test/v/k?exp=1"] * 2


def test_keys_that_change_at_other_places_are_another_encode() -> None:
    """What was encrypted with one key is encrypted with two now; whose tokens differ is no other key."""
    keyed = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n" + "".join(
        f'#EXT-X-KEY:METHOD=AES-128,URI="{{{number}}}"\n#EXTINF:4,\n{number}.ts\n' for number in range(2)
    )
    one = plan(keyed.format("k1.bin", "k1.bin"))
    with pytest.raises(IntegrityError, match="change at other places"):
        moved(one, plan(keyed.format("k1.bin", "k2.bin")))
    assert moved(one, plan(keyed.format("token1/k1.bin", "token2/k1.bin"))).keys[0].url.endswith("/token1/k1.bin")
