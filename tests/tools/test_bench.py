"""`tools/bench` reads sizes, makes inputs that are what they say, measures, and writes a page; tiny runs only."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

from benching.cases import CASES  # noqa: E402
from benching.figures import Figures, ratio  # noqa: E402
from benching.goals import goals  # noqa: E402
from benching.inputs import INPUTS, make_input, read_sizes, spoken_size  # noqa: E402
from benching.media import NULL_PACKET, PACKET, noise_clip  # noqa: E402
from benching.page import replace_part, versions_table, write_page  # noqa: E402
from benching.profiling import count_samples  # noqa: E402
from benching.serving import distant  # noqa: E402

from hlsdl.playlist import MediaPlaylist, MultivariantPlaylist, parse_playlist  # noqa: E402

PAGE = TOOLS.parent / "docs" / "performance.md"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A copy of the page to write to."""
    copy = tmp_path / "performance.md"
    copy.write_text(PAGE.read_text())
    return copy


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the tool as `make bench` does."""
    command = [sys.executable, str(TOOLS / "bench"), "--no-install", *(str(one) for one in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("text", "segments", "size"),
    [("large=256x8MiB", 256, 8 << 20), ("small=2,000×50kB", 2000, 50_000), ("ladder=3x0.5MB", 3, 500_000)],
)
def test_sizes_are_read_as_people_write_them(text: str, segments: int, size: int) -> None:
    """A count, a cross and a size with its unit replace an input."""
    wanted = read_sizes(text)
    assert (wanted.segments, wanted.size) == (segments, size)
    assert wanted.kind == INPUTS[text.partition("=")[0]].kind


@pytest.mark.parametrize("text", ["large", "huge=1x1MB", "large=0x8MiB", "small=5x100B", "small=5x1parsec"])
def test_sizes_that_make_no_sense_are_refused(text: str) -> None:
    """The sentence quotes what was given."""
    with pytest.raises(ValueError, match=text):
        read_sizes(text)


def test_a_size_is_spoken_with_the_largest_unit_that_divides_it() -> None:
    """8 MiB is not 8,388,608 bytes to a person."""
    assert [spoken_size(one) for one in (8 << 20, 50_000, 1001)] == ["8 MiB", "50 kB", "1,001 B"]


@pytest.mark.parametrize("name", ["small", "ranges", "ladder"])
def test_an_input_is_what_it_says(name: str, tmp_path: Path) -> None:
    """Its playlists parse, and lead to as many bytes as are announced."""
    wanted = read_sizes(f"{name}=30x18.8kB")
    made = make_input(wanted, tmp_path, noise_clip)
    media = parse_playlist((tmp_path / made.media_playlist).read_bytes(), f"http://127.0.0.1/{made.media_playlist}")
    assert isinstance(media, MediaPlaylist)
    assert len(media.segments) == 30
    assert sum((tmp_path / one).stat().st_size for one in made.objects) == made.payload >= 30 * 18_800
    if name == "ladder":
        master = parse_playlist((tmp_path / made.playlist).read_bytes(), "http://127.0.0.1/ladder/master.m3u8")
        assert isinstance(master, MultivariantPlaylist)
        assert len(master.variants) == 3


def test_segments_of_a_clip_follow_one_another_in_time(tmp_path: Path, any_tool: Callable[..., str]) -> None:
    """ffmpeg reads them as one stream without a complaint, and they have exactly the size asked for."""
    from benching.media import encoded_clip

    ffmpeg = any_tool("ffmpeg")
    clip = encoded_clip(ffmpeg, 60_000, tmp_path)
    whole = tmp_path / "whole.ts"
    whole.write_bytes(b"".join(clip.segment(number) for number in range(5)))
    assert whole.stat().st_size == 5 * (60_000 // PACKET) * PACKET
    assert clip.segment(0).endswith(NULL_PACKET)
    copy = [ffmpeg, "-nostdin", "-v", "warning", "-i", str(whole), "-c", "copy", "-f", "framecrc", "-"]
    done = subprocess.run(copy, capture_output=True, text=True, check=True)
    times = [int(line.split(",")[1]) for line in done.stdout.splitlines() if not line.startswith("#")]
    assert times == sorted(times)
    assert times[-1] - times[0] > 4 * clip.seconds * 90_000 * 0.9
    assert not done.stderr


def test_only_what_is_between_its_markers_is_replaced() -> None:
    """Prose stays, whoever wrote it."""
    text = "a\n<!-- bench:x -->\nold\n<!-- bench:end -->\nb <!-- bench:y --> <!-- bench:end -->"
    assert replace_part(text, "x", "new") == text.replace("old", "new")
    with pytest.raises(SystemExit, match="bench:z"):
        replace_part(text, "z", "new")


def test_the_page_can_be_written_before_anything_was_measured(page: Path) -> None:
    """Every part has its place, and says that nothing is known."""
    write_page(page, Figures())
    assert page.read_text().count("Not measured yet.") >= 5
    assert (page.parent / "images" / "performance-cases.svg").read_text().startswith("<svg")


def test_a_ratio_is_taken_round_by_round() -> None:
    """A machine that is slow for one round is slow for both."""
    case = {"results": {"a": {"wall": [1.0, 10.0, 2.0]}, "b": {"wall": [2.0, 20.0, 4.0]}}}
    assert ratio(case, "b", "a") == 2.0
    assert ratio(case, "c", "a") is None


def test_goals_are_judged_by_what_was_measured() -> None:
    """Too many instructions per segment are a goal that is not reached."""
    (found,) = goals(Figures(instructions={"per_segment": 5_000_000, "allowed": 4_000_000}))
    assert (found.found, found.wanted, found.is_reached) == (5.0, 4.0, False)


def test_samples_count_for_the_innermost_owner() -> None:
    """A library called by hlsdl counts for the library; a thread that waits counts for nobody."""
    loop = "thread (1): MainThread;main (/x/hlsdl/cli/app.py:1);send (/v/site-packages/httpx/_client.py:2)"
    shares = count_samples(
        [
            f"{loop} 3",
            f"{loop};dumps (/usr/lib/python3/json/encoder.py:7) 2",
            "thread (2): hlsdl-disk-1;Worker._work (/x/hlsdl/bundle/workers.py:70) 9",
            "thread (2): hlsdl-disk-1;Worker._work (/x/hlsdl/bundle/workers.py:70);f (/x/hlsdl/bundle/partial.py:1) 4",
        ]
    )
    assert shares == {("loop", "httpx"): 5, ("disk", "hlsdl: bundle"): 4}


def test_a_case_ends_as_a_table_on_the_page(page: Path, any_tool: Callable[..., str]) -> None:
    """Two programs, twenty segments, one round: the figures are kept and the page shows both."""
    for name in ("nginx", "curl"):
        any_tool(name)
    kept = page.with_suffix(".json")
    done = bench(
        "--case", "small", "--input", "small=20x20kB", "--rounds", "1", "--peers", "curl", "--page", page,
        "--figures", kept,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(kept.read_text())["cases"]["small"]["results"]
    assert set(results) == {"hlsdl", "curl -Z 8"}
    assert all(one["wall"][0] > 0 and 1 <= one["connections"][0] <= 20 for one in results.values())
    assert "### small: 20 × 20 kB, small segments" in page.read_text()


def test_the_distant_link_delays_and_counts(page: Path, any_tool: Callable[..., str]) -> None:
    """Eight connections bring sixteen segments in two turns, each of which takes its round trips."""
    for name in ("nginx", "curl"):
        any_tool(name)
    assert CASES["far-small"].curl[0] == 8
    kept = page.with_suffix(".json")
    done = bench(
        "--case", "far-small", "--input", "far-small=16x20kB", "--rounds", "1", "--peers", "curl", "--page", page,
        "--figures", kept,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    curl = json.loads(kept.read_text())["cases"]["far-small"]["results"]["curl -Z 8"]
    # Two turns of eight: a handshake, then for each a round trip, and another since 20 kB is more than ten packets.
    assert curl["wall"][0] >= 0.05 + 2 * 0.05
    assert curl["connections"] == [8]


def test_datagrams_cross_the_distant_link_late_in_order_and_not_faster_than_it(tmp_path: Path) -> None:
    """Each way takes its 25 ms, and what comes back shares 200 Mbit/s."""
    words = [number.to_bytes(4, "big") + bytes(1196) for number in range(60)]
    with socket.socket(type=socket.SOCK_DGRAM) as origin, socket.socket(type=socket.SOCK_DGRAM) as client:
        for one in (origin, client):
            one.bind(("127.0.0.1", 0))
            one.settimeout(10)
        with distant(f"http://127.0.0.1:{origin.getsockname()[1]}", tmp_path) as link:
            client.connect(("127.0.0.1", link.port))
            began = time.monotonic()
            client.send(b"hello")
            asked, end_of_link = origin.recvfrom(2000)
            reached = time.monotonic()
            for word in words:
                origin.sendto(word, end_of_link)
            got = [client.recv(2000) for _ in words]
            ended = time.monotonic()
    assert (asked, got) == (b"hello", words)
    assert reached - began >= 0.025
    assert ended - reached >= 0.025 + (60 * 1200 / 25e6 - 0.005)


def test_versions_are_a_table_with_the_middle_of_their_runs() -> None:
    runs = {"wall": [3.0, 1.0, 2.0], "cpu": [0.5, 0.5, 0.9]}
    figures = Figures(versions={"2 × 1 MB, nearby": {"HTTP/1.1": runs, "HTTP/3": {**runs, "wall": [9.0]}}})
    text = versions_table(figures)
    assert "| HTTP/1.1 | HTTP/3 |" in text
    assert "| 2 × 1 MB, nearby | 2.00 s, 0.5 CPU s | 9.00 s, 0.5 CPU s |" in text
