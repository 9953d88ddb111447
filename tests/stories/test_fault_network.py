"""Faults of the network itself, between two network namespaces: packets are dropped, links cut, addresses changed.

Each fault is injected into the kernel and seen to have happened; the tests wait for what it causes, not for time.
The numbers are those of docs/faults.md.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from commands import Done
from faults import PHASES, SEGMENTS, TRUTH, asked, begun, body, finished, playlist, require_told, require_whole, serve
from lan import FAR, FAR6, NEAR, Lan, inside, until, wait

from hlsdl.testing import Answer, Close, Hold, Request, ScriptedOrigin, Status

QUICK = ("--timeout", "1", "--stall-timeout", "1", "--json")
HELD = 3
"""The segment that has half arrived when the fault comes."""
SLOW = ("tbf", "burst", "4kb", "latency", "2s", "rate")
AAAA = 28
"""The DNS type of IPv6 addresses."""
SERVFAIL, NXDOMAIN = 2, 3


@dataclass(frozen=True)
class UnderWay:
    """A download in its middle."""

    origin: ScriptedOrigin
    url: str
    before: set[int]
    """Segments that are finished."""
    go: threading.Event
    """Lets the origin send the rest of the held one."""
    process: subprocess.Popen[str]

    def is_asked_again(self) -> bool:
        """Whether the held segment was asked for a second time."""
        return self.origin.count(f"/v/{HELD}.ts") > 1


def begin(lan: Lan, origin: ScriptedOrigin, url: str, bundle: Path) -> set[int]:
    """A first run on the near machine that the origin ends at its third segment; what was finished."""
    return inside(lan.near, lambda: asyncio.run(begun(origin, url, bundle)))


@contextmanager
def under_way(lan: Lan, bundle: Path, *flags: str, phase: str = "middle") -> Iterator[UnderWay]:
    """In the middle of a first run, or of the one that goes on."""
    with lan.origin() as origin:
        url, go = serve(origin), threading.Event()
        if phase == "resume":
            begin(lan, origin, url, bundle)
        origin.script(f"/v/{HELD}.ts", Hold(go, after=3000))
        process = lan.start("fetch", url, "-o", bundle, "-N", "1", *QUICK, *flags)
        until(lambda: finished(bundle) == {0, 1, 2} and origin.count(f"/v/{HELD}.ts"), "three segments and a half")
        yield UnderWay(origin, url, finished(bundle), go, process)


def require_done(done: Done, bundle: Path) -> None:
    assert done.code == 0, (done.out, done.err)
    assert "Traceback" not in done.err
    require_whole(bundle, TRUTH)


def nothing_twice(story: UnderWay) -> None:
    """No finished segment was asked for again, counted from the beginning."""
    counts = Counter(request.path for request in story.origin.requests)
    assert {counts[f"/v/{number}.ts"] for number in story.before} <= {0, 1}, counts


def sent_again(lan: Lan) -> int:
    """Packets that the far machine's TCP had to send again."""
    lines = [line.split() for line in lan.on(lan.far, "cat", "/proc/net/snmp").splitlines()]
    names, values = (line for line in lines if line[0] == "Tcp:")
    return int(values[names.index("RetransSegs")])


def test_what_falls_into_a_black_hole_is_asked_for_again(lan: Lan, tmp_path: Path) -> None:
    """Row 52: packets vanish in the middle of a body, and after a while they do not."""
    bundle = tmp_path / "b.movpkg"
    with under_way(lan, bundle) as story:
        lan.black_hole()
        story.go.set()
        until(lambda: lan.met(1) >= 1, "attempts to connect that fall into the hole")
        lan.heal()
        require_done(wait(story.process), bundle)
        assert story.is_asked_again()
        nothing_twice(story)


def test_a_hole_that_stays_ends_resumably(lan: Lan, tmp_path: Path) -> None:
    """Row 52."""
    bundle = tmp_path / "b.movpkg"
    with under_way(lan, bundle, "--retries", "1") as story:
        lan.black_hole()
        told = require_told(wait(story.process), 3)
        assert told["resumable"] is True
        lan.heal()
        require_done(lan.hlsdl("fetch", story.url, "-o", bundle, *QUICK), bundle)
        nothing_twice(story)


def test_resets_of_every_connection_end_resumably(lan: Lan, tmp_path: Path) -> None:
    """Row 53: a firewall that answers everything with RST, until it no longer does."""
    bundle = tmp_path / "b.movpkg"
    with under_way(lan, bundle, "--retries", "2") as story:
        reset_everything(lan)
        lan.firewall("-p", "tcp", "--tcp-flags", "RST", "NONE", "-j", "DROP", chain="OUTPUT")
        story.go.set()
        told = require_told(wait(story.process), 3)
        assert told["resumable"] is True
        assert lan.met(1) >= 3
        lan.heal()
        require_done(lan.hlsdl("fetch", story.url, "-o", bundle, *QUICK), bundle)
        nothing_twice(story)


def reset_everything(lan: Lan) -> None:
    """Answer each attempt to connect with RST."""
    lan.firewall("-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")


@pytest.mark.parametrize("phase", ["fresh", "resume"])
@pytest.mark.parametrize("name", ["52 black hole", "53 resets"])
def test_a_network_that_fails_from_the_first_request_ends_resumably(
    lan: Lan, tmp_path: Path, name: str, phase: str
) -> None:
    """Rows 52 and 53: for the source itself, on a fresh start and in the run that goes on."""
    bundle = tmp_path / "b.movpkg"
    with lan.origin() as origin:
        url = serve(origin)
        before = begin(lan, origin, url, bundle) if phase == "resume" else set()
        lan.black_hole() if name.startswith("52") else reset_everything(lan)
        told = require_told(lan.hlsdl("fetch", url, "-o", bundle, "--retries", "0", *QUICK), 3)
        assert told["resumable"] is True
        assert lan.met(1) >= 1
        assert bundle.exists() is (phase == "resume")
        lan.heal()
        require_done(lan.hlsdl("fetch", url, "-o", bundle, *QUICK), bundle)
        assert not before & asked(origin)


def test_a_link_that_is_down_for_a_moment_costs_no_request(lan: Lan, tmp_path: Path) -> None:
    """Row 54: TCP itself sends what was lost again."""
    bundle = tmp_path / "b.movpkg"
    with under_way(lan, bundle, "--stall-timeout", "60") as story:
        lan.link("down")
        story.go.set()
        until(lambda: sent_again(lan) >= 1, "packets sent again into the cut cable")
        lan.link("up")
        require_done(wait(story.process), bundle)
        assert not story.is_asked_again()


@pytest.mark.parametrize("phase", ["middle", "resume"])
def test_a_link_that_is_down_for_long_is_outlasted(lan: Lan, tmp_path: Path, phase: str) -> None:
    """Row 54: the near machine has no route meanwhile, and every attempt fails at once."""
    bundle = tmp_path / "b.movpkg"
    with under_way(lan, bundle, phase=phase) as story:
        lan.link("down")
        until(lambda: lan.connections() == 0, "the end of the old connection")
        lan.link("up")
        require_done(wait(story.process), bundle)
        assert story.is_asked_again()
        nothing_twice(story)


@pytest.mark.parametrize("phase", ["middle", "resume"])
def test_a_machine_that_changes_its_address_goes_on(lan: Lan, tmp_path: Path, phase: str) -> None:
    """Row 54a: another network in the middle of a body, as with a laptop that is carried home."""
    bundle = tmp_path / "b.movpkg"
    with under_way(lan, bundle, phase=phase) as story:
        lan.on(lan.near, "ip", "addr", "del", f"{NEAR}/24", "dev", "eth0")
        lan.on(lan.near, "ip", "addr", "add", "10.77.0.9/24", "dev", "eth0")
        story.go.set()
        require_done(wait(story.process), bundle)
        assert story.is_asked_again()
        nothing_twice(story)


@pytest.mark.parametrize("phase", ["middle", "resume"])
def test_large_packets_that_no_longer_fit_are_a_stall_like_any_other(lan: Lan, tmp_path: Path, phase: str) -> None:
    """Row 54b: the path takes shorter packets than before, and nobody says so."""
    bundle = tmp_path / "b.movpkg"
    with under_way(lan, bundle, phase=phase) as story:
        lan.on(lan.near, "ip", "link", "set", "eth0", "mtu", "600")
        story.go.set()
        require_done(wait(story.process), bundle)
        assert story.is_asked_again()
        nothing_twice(story)


@pytest.mark.parametrize(("share", "phase"), [("0.05", "fresh"), ("0.20", "fresh"), ("0.05", "resume")])
def test_lost_packets_lose_no_byte(lan: Lan, tmp_path: Path, share: str, phase: str) -> None:
    """Row 55."""
    bundle, truth = tmp_path / "b.movpkg", [body(number, packets=100) for number in range(8)]
    with lan.origin() as origin:
        url = serve(origin, truth)
        before = begin(lan, origin, url, bundle) if phase == "resume" else set()
        for chain in ("INPUT", "OUTPUT"):
            lan.firewall("-m", "statistic", "--mode", "random", "--probability", share, "-j", "DROP", chain=chain)
        done = lan.hlsdl("fetch", url, "-o", bundle, "--json")
        assert done.code == 0, (done.out, done.err)
        assert lan.met(1) + lan.met(1, chain="OUTPUT") > 0
        assert not before & asked(origin)
    require_whole(bundle, truth)


@pytest.mark.parametrize(("rate", "phase"), [("1mbit", "fresh"), ("64kbit", "fresh"), ("1mbit", "resume")])
def test_a_slow_line_is_no_stall(lan: Lan, tmp_path: Path, rate: str, phase: str) -> None:
    """Row 56: eight connections share it, and none is given up while bytes come."""
    bundle, truth = tmp_path / "b.movpkg", [body(number, packets=12) for number in range(10)]
    with lan.origin() as origin:
        url = serve(origin, truth)
        before = begin(lan, origin, url, bundle) if phase == "resume" else set()
        lan.on(lan.far, "tc", "qdisc", "add", "dev", "eth0", "root", *SLOW, rate)
        done = lan.hlsdl("fetch", url, "-o", bundle, "--stall-timeout", "4", "--json")
        assert done.code == 0, (done.out, done.err)
        counts = Counter(request.path for request in origin.requests)
        assert set(counts.values()) == {1}, counts
        assert not before & asked(origin)
    require_whole(bundle, truth)


@pytest.mark.parametrize("name", ["55 lost packets-middle", "56 slow line-middle"])
def test_a_line_that_becomes_bad_in_the_middle_costs_no_finished_segment(lan: Lan, tmp_path: Path, name: str) -> None:
    bundle = tmp_path / "b.movpkg"
    with under_way(lan, bundle) as story:
        if name.startswith("55"):
            lan.firewall("-m", "statistic", "--mode", "random", "--probability", "0.05", "-j", "DROP")
        else:
            lan.on(lan.far, "tc", "qdisc", "add", "dev", "eth0", "root", *SLOW, "1mbit")
        story.go.set()
        require_done(wait(story.process), bundle)
        nothing_twice(story)


@pytest.mark.parametrize("phase", PHASES)
def test_a_far_and_unsteady_origin_gets_more_requests_at_once(lan: Lan, tmp_path: Path, phase: str) -> None:
    """Row 57: 0.2 to 0.4 s for each answer. The kernel cannot delay packets here, so the origin does."""
    bundle, truth = tmp_path / "b.movpkg", [body(number) for number in range(60)]
    chance, moments = random.Random(57), list[float]()

    class Unsteady:
        def apply(self, request: Request, answer: Answer) -> Answer:
            if phase == "middle" and (not asked(origin) or max(asked(origin)) < 8):
                return answer
            moments.append(time.monotonic())
            return replace(answer, delay=0.2 + 0.2 * chance.random())

    with lan.origin() as origin:
        url = serve(origin, truth)
        before = begin(lan, origin, url, bundle) if phase == "resume" else set()
        origin.always("*", Unsteady())
        assert lan.hlsdl("fetch", url, "-o", bundle, "--json").code == 0
        assert not before & asked(origin)
    # What was asked for within 0.2 s was waited for at once.
    assert max(sum(first <= moment < first + 0.2 for moment in moments) for first in moments) >= 16
    require_whole(bundle, truth)


@pytest.mark.parametrize("phase", ["fresh", "resume"])
def test_a_broken_ipv6_is_passed_over(lan: Lan, tmp_path: Path, phase: str) -> None:
    """Row 58: the name has both kinds of address, and the first kind leads nowhere."""
    bundle = tmp_path / "b.movpkg"

    def answer(name: str, kind: int) -> Sequence[str]:
        return [FAR6] if kind == AAAA else [FAR]

    with lan.origin() as origin, lan.names(answer) as looked_up:
        serve(origin)
        url = origin.url("/v/index.m3u8", host="films.test")
        if phase == "resume":  # nobody listens on IPv6 then, and says so
            origin.always(f"/v/{HELD}.ts", Status(451))
            require_told(lan.hlsdl("fetch", url, "-o", bundle, "-N", "1", *QUICK), 4)
            origin.always(f"/v/{HELD}.ts")
            origin.clear_requests()
        before = finished(bundle)
        lan.firewall("-p", "tcp", "-j", "DROP", six=True)
        require_done(lan.hlsdl("fetch", url, "-o", bundle, "--retries", "0", "--timeout", "20", "--json"), bundle)
        assert asked(origin) == set(range(SEGMENTS)) - before
        assert ("films.test", AAAA) in looked_up
        assert lan.met(1, six=True) >= 1, "IPv6 was never tried"


def test_an_ipv6_that_breaks_in_the_middle_is_left(lan: Lan, tmp_path: Path) -> None:
    """Row 58: the first half comes by IPv6, and then its packets vanish."""
    bundle, go = tmp_path / "b.movpkg", threading.Event()

    def answer(name: str, kind: int) -> Sequence[str]:
        return [FAR6] if kind == AAAA else [FAR]

    with lan.origin() as origin, lan.names(answer):
        serve(origin)
        lan.relay(origin.port)
        url = origin.url("/v/index.m3u8", host="films.test")
        origin.script(f"/v/{HELD}.ts", Hold(go, after=3000))
        process = lan.start("fetch", url, "-o", bundle, "-N", "1", *QUICK)
        until(lambda: finished(bundle) == {0, 1, 2} and origin.count(f"/v/{HELD}.ts"), "three segments and a half")
        assert (lan.connections(), lan.connections("-6")) == (1, 1), "all of it comes by IPv6"
        for chain in ("INPUT", "OUTPUT"):
            lan.firewall("-p", "tcp", "-j", "DROP", chain=chain, six=True)
        go.set()
        require_done(wait(process), bundle)
        assert lan.met(1, six=True) >= 1
        counts = Counter(request.path for request in origin.requests)
        assert [counts[f"/v/{number}.ts"] for number in range(SEGMENTS)] == [1, 1, 1, 2, 1, 1]


@pytest.mark.parametrize(
    "failure", [NXDOMAIN, SERVFAIL, None, ()], ids=["no such name", "server failure", "silence", "no address"]
)
def test_a_name_server_that_fails_is_told_and_when_it_works_the_work_goes_on(
    lan: Lan, tmp_path: Path, failure: Sequence[str] | int | None
) -> None:
    """Row 46: for the source itself, in the middle for the host of the later segments, and in the run that goes on."""
    bundle = tmp_path / "b.movpkg"
    known: set[str] = set()

    def answer(name: str, kind: int) -> Sequence[str] | int | None:
        if name not in known:
            return failure
        return [] if kind == AAAA else [FAR]

    with lan.origin() as origin, lan.names(answer) as looked_up:
        serve(origin)
        cdn = [origin.url(f"/v/{number}.ts", host="cdn.test") for number in range(HELD, SEGMENTS)]
        origin.add("/v/index.m3u8", playlist([*(f"{number}.ts" for number in range(HELD)), *cdn]))
        url = origin.url("/v/index.m3u8", host="films.test")
        retries = "0" if failure is None else "1"  # silence costs a time-out each time
        fetch = ("fetch", url, "-o", bundle, "--allow-private", "--retries", retries, *QUICK)
        require_told(lan.hlsdl(*fetch), 3)
        assert not bundle.exists()
        known.add("films.test")
        told = require_told(lan.hlsdl(*fetch), 3)
        assert told["resumable"] is True
        assert "cdn.test" in told["message"]
        before = finished(bundle)
        origin.clear_requests()
        known.clear()
        require_told(lan.hlsdl(*fetch), 3)
        assert origin.requests == []
        known.update({"films.test", "cdn.test"})
        require_done(lan.hlsdl(*fetch), bundle)
        assert asked(origin) == set(range(SEGMENTS)) - before
        assert {name for name, _ in looked_up} == {"films.test", "cdn.test"}


def test_a_name_server_that_dies_in_the_middle_costs_nothing(lan: Lan, tmp_path: Path) -> None:
    """Row 46: each request needs a new connection, and none needs the name again."""
    bundle = tmp_path / "b.movpkg"
    works = [True]

    def answer(name: str, kind: int) -> Sequence[str] | int:
        if not works[0]:
            return SERVFAIL
        return [] if kind == AAAA else [FAR]

    with lan.origin() as origin, lan.names(answer) as looked_up:
        serve(origin)
        url, go = origin.url("/v/index.m3u8", host="films.test"), threading.Event()
        origin.always("*", Close())
        origin.script("/v/2.ts", Hold(go))
        process = lan.start("fetch", url, "-o", bundle, "-N", "1", "--retries", "0", *QUICK)
        until(lambda: origin.count("/v/2.ts"), "the third segment")
        works[0], so_far = False, len(looked_up)
        go.set()
        require_done(wait(process), bundle)
        assert (so_far > 0, len(looked_up)) == (True, so_far)
