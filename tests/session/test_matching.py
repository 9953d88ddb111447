"""No scene gets the pictures of another one: an address decides, a number helps, and what is doubtful is left out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hlsdl.bundle.movie_package import PackagedStream
from hlsdl.bundle.movpkg_reading import ListedObject, StreamListing
from hlsdl.planning.plan import StreamPlan
from hlsdl.planning.selection import StreamSource
from hlsdl.session.matching import objects_of, spelt, streams_of
from hlsdl.session.presentation import Document, choose, parse_root, plan_streams
from hlsdl.session.sources import Source

URL = "https://films.test/v/index.m3u8?token=1"
AT = "https://films.test/v/"


def planned(body: str, sequence: int = 0) -> StreamPlan:
    head = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-MEDIA-SEQUENCE:{sequence}\n"
    document = Document(data=f"{head}{body}#EXT-X-ENDLIST\n".encode(), url=URL, final_url=URL)
    root = parse_root(document, Source(url=URL))
    return plan_streams(root, choose(root, ()), ()).streams[0]


def segments(*uris: str) -> str:
    return "".join(f"#EXTINF:4,\n{uri}\n" for uri in uris)


def listed(path: str, url: str = "", sequence: int | None = None, offset: int = 0) -> ListedObject:
    return ListedObject(path=path, url=url, sequence=sequence, offset=offset, length=0)


def packaged(
    objects: Sequence[ListedObject], inits: Sequence[ListedObject] = (), *, url: str = URL, folder: str = "x"
) -> PackagedStream:
    listing = StreamListing(
        is_complete=True, network_url=None, local_playlist=None, segments=tuple(objects), inits=tuple(inits)
    )
    return PackagedStream(folder=folder, network_url=url, playlist=b"", listing=listing)


def found(plan: StreamPlan, objects: Sequence[ListedObject], inits: Sequence[ListedObject] = ()) -> list[str | None]:
    """The listed file of each object of the plan, in the plan's order."""
    there = objects_of(packaged(objects, inits), plan)
    return [there[one.path].path if one.path in there else None for one in plan.resources]


class TestByAddress:
    def test_the_whole_address_decides_whatever_the_numbers_say(self) -> None:
        plan = planned(segments("s.ts?n=0", "s.ts?n=1", "s.ts?n=2"))
        objects = [listed(f"{n}.frag", f"{AT}s.ts?n={n}", sequence=2 - n) for n in (2, 0, 1)]
        assert found(plan, objects) == ["0.frag", "1.frag", "2.frag"]

    def test_a_token_may_have_changed_where_the_path_is_one_of_its_own(self) -> None:
        plan = planned(segments("a.ts?t=1", "b.ts?t=1"))
        assert found(plan, [listed("0", f"{AT}b.ts?t=9"), listed("1", f"{AT}a.ts?t=9")]) == ["1", "0"]

    def test_segments_that_differ_in_their_query_only_are_not_guessed(self) -> None:
        plan = planned(segments("s.ts?n=0&t=1", "s.ts?n=1&t=1"))
        objects = [listed(str(n), f"{AT}s.ts?n={n}&t=9", sequence=n) for n in range(2)]
        assert found(plan, objects[:1]) == [None, None]

    def test_a_byte_range_begins_where_the_playlist_says_and_a_whole_file_at_its_beginning(self) -> None:
        plan = planned(
            "#EXTINF:4,\n#EXT-X-BYTERANGE:10@0\nall.ts\n#EXTINF:4,\n#EXT-X-BYTERANGE:10\nall.ts\n#EXTINF:4,\nb.ts\n"
        )
        all_ts, b = f"{AT}all.ts", f"{AT}b.ts"
        assert found(plan, [listed("1", all_ts, offset=10), listed("0", all_ts), listed("2", b)]) == ["0", "1", "2"]
        assert found(plan, [listed("0", all_ts), listed("1", all_ts, offset=11), listed("2", b, offset=188)]) == [
            "0",
            None,
            None,
        ]

    @pytest.mark.parametrize("there", ["film%c3%a9.ts", "film%C3%A9.ts", "filmé.ts", "./x/../filmé.ts"])
    def test_an_address_may_be_spelt_in_any_way(self, there: str) -> None:
        assert found(planned(segments("filmé.ts")), [listed("0", there)]) == ["0"]
        assert spelt("https://h/%c3") == "https://h/%C3"

    def test_a_segment_that_is_missing_is_not_filled_with_the_one_that_is_like_it(self) -> None:
        plan = planned(segments("a.ts?p=1", "a.ts?p=2", "b.ts?p=1", "b.ts?p=2"))
        there = ("a.ts?p=1", "b.ts?p=1", "b.ts?p=2")
        assert found(plan, [listed(one, f"{AT}{one}") for one in there]) == ["a.ts?p=1", None, "b.ts?p=1", "b.ts?p=2"]

    def test_an_address_says_more_than_a_number(self) -> None:
        objects = [listed("right", f"{AT}a.ts", 0), listed("wrong", sequence=0)]
        assert found(planned(segments("a.ts")), objects) == ["right"]

    def test_two_files_at_one_address_are_told_apart_by_their_number(self) -> None:
        plan = planned(segments("a.ts", "b.ts"))
        objects = [listed("0", f"{AT}a.ts", 0), listed("9", f"{AT}a.ts", 1), listed("1", f"{AT}b.ts", 1)]
        assert found(plan, objects) == ["0", "1"]
        assert found(plan, [listed("0", f"{AT}a.ts", 5), listed("9", f"{AT}a.ts", 6)]) == [None, None]

    def test_another_segment_with_the_number_of_one_is_not_it(self) -> None:
        plan = planned(segments("a.ts", "b.ts"))
        assert found(plan, [listed("0", f"{AT}a.ts", 0), listed("1", f"{AT}c.ts", 1)]) == ["0", None]


class TestWhereItWasRedirected:
    def test_number_and_name_tell_the_segments_of_a_playlist_that_led_elsewhere(self) -> None:
        plan = planned(segments("1.ts?a", "2.ts?a"), sequence=1)
        cdn = [listed(f"{n}.frag", f"https://cdn.test/far/{n}.ts", n) for n in (1, 2)]
        assert found(plan, cdn) == ["1.frag", "2.frag"]
        assert found(plan, [listed("x", "https://cdn.test/far/2.ts", 1), *cdn[1:]]) == [None, "2.frag"]

    def test_a_playlist_that_was_pointed_at_the_files_leads_to_them(self) -> None:
        assert found(planned(segments("0 a.frag")), [listed("0 a.frag", "https://o.test/1.ts", 7)]) == ["0 a.frag"]


class TestWithoutAddresses:
    def test_numbers_tell_segments(self) -> None:
        plan = planned(segments("a.ts", "b.ts"), sequence=7)
        assert found(plan, [listed("y", sequence=8), listed("x", sequence=7)]) == ["x", "y"]

    def test_a_number_that_two_have_is_nobodys(self) -> None:
        plan = planned(segments("a.ts", "b.ts"))
        assert found(plan, [listed("x", sequence=0), listed("y", sequence=1), listed("z", sequence=1)]) == ["x", None]

    @pytest.mark.parametrize("count", [2, 3])
    def test_without_numbers_it_is_the_order_with_or_without_the_gaps(self, count: int) -> None:
        plan = planned(segments("a.ts") + "#EXT-X-GAP\n" + segments("b.ts", "c.ts"))
        names = ["a", "c"] if count == 2 else ["a", "gap", "c"]
        assert found(plan, [listed(name) for name in names]) == ["a", "c"]

    def test_an_order_of_another_length_says_nothing(self) -> None:
        assert found(planned(segments("a.ts", "b.ts")), [listed("x")]) == [None, None]


class TestInitSections:
    BODY = '#EXT-X-MAP:URI="a"\n{}#EXT-X-MAP:URI="b"\n{}#EXT-X-MAP:URI="a"\n{}'.format(
        segments("0.m4s"), segments("1.m4s"), segments("2.m4s")
    )

    def inits(self, *inits: ListedObject) -> list[str | None]:
        plan = planned(self.BODY)
        there = objects_of(packaged([], inits), plan)
        wanted = [one.path for one in plan.resources if one.kind == "init"]
        return [there[path].path if path in there else None for path in wanted]

    def test_an_address_tells_them(self) -> None:
        assert self.inits(listed("B", f"{AT}b", 0), listed("A", f"{AT}a", 0)) == ["A", "B"]

    def test_each_applies_from_its_number_on(self) -> None:
        assert self.inits(listed("B", sequence=1), listed("A", sequence=0)) == ["A", "B"]
        assert self.inits(listed("A", sequence=0)) == ["A", "A"]

    def test_without_numbers_it_is_the_order_or_nothing(self) -> None:
        assert self.inits(listed("A"), listed("B")) == ["A", "B"]
        assert self.inits(listed("A"), listed("B"), listed("A2")) == [None, None]
        assert self.inits(listed("A", sequence=0), listed("B", sequence=0)) == [None, None]


class TestStreams:
    def offered(self, *urls: str, copies: Sequence[str] = ()) -> list[StreamSource]:
        return [StreamSource(id=str(n), kind="video", url=url, alternates=tuple(copies)) for n, url in enumerate(urls)]

    def folders(self, offered: Sequence[StreamSource], *streams: PackagedStream) -> dict[str, str]:
        return {key: one.folder for key, one in streams_of(streams, offered).items()}

    def test_a_copy_will_do_and_of_two_the_one_with_more(self) -> None:
        offered = self.offered("https://a.test/v.m3u8", copies=["https://b.test/v.m3u8"])
        poor = packaged([listed("0")], url="https://a.test/v.m3u8", folder="poor")
        rich = packaged([listed("0"), listed("1")], url="https://b.test/v.m3u8", folder="rich")
        assert self.folders(offered, poor, rich) == {"0": "rich"}
        assert self.folders(offered, poor) == {"0": "poor"}
        assert self.folders(offered, packaged([], url="https://c.test/v.m3u8", folder="moved")) == {"0": "moved"}

    @pytest.mark.parametrize(
        "url",
        [
            "https://a.test/x/v.m3u8?t=2",
            "https://b.test/x/v.m3u8",
            "https://b.test/y/x/v.m3u8",
            "https://b.test/v.m3u8",
        ],
    )
    def test_a_stream_whose_address_changed_is_found_where_no_other_is_like_it(self, url: str) -> None:
        offered = self.offered("https://a.test/x/v.m3u8?t=1", "https://a.test/x/w.m3u8?t=1")
        assert self.folders(offered, packaged([], url=url)) == {"0": "x"}

    def test_a_stream_that_is_not_offered_any_more_is_nobodys(self) -> None:
        """Not even where it is the last one that is left, and of one that is offered there is no file."""
        offered = self.offered("https://a.test/en/i.m3u8", "https://a.test/fr/i.m3u8")
        streams = [packaged([], url=f"https://a.test/{name}/i.m3u8", folder=name) for name in ("en", "de")]
        assert self.folders(offered, *streams) == {"0": "en"}

    def test_streams_that_are_alike_are_not_guessed(self) -> None:
        offered = self.offered("https://a.test/v/i.m3u8?q=1", "https://a.test/v/i.m3u8?q=2")
        assert self.folders(offered, packaged([], url="https://a.test/v/i.m3u8?q=3")) == {}
        twice = [packaged([], url=f"https://b.test/{n}/v.m3u8", folder=n) for n in "12"]
        assert self.folders(self.offered("https://a.test/v.m3u8"), *twice) == {}
