"""Requests that the other system never gets, and nobody is told.

The numbers are those of docs/faults.md.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from faults import PHASES, SEGMENTS, TRUTH, asked, finished, require_whole, serve
from lan import Lan, until, wait

from hlsdl.testing import Hold, Status

LAST = SEGMENTS - 1


@pytest.mark.parametrize("phase", PHASES[1:])
def test_connections_that_a_router_has_forgotten_cost_one_try_together(lan: Lan, tmp_path: Path, phase: str) -> None:
    """Row 50a: four are kept, and of none of them anything arrives any more; new ones are fine."""
    bundle, go = tmp_path / "b.movpkg", threading.Event()
    with lan.origin() as origin:
        url = serve(origin)
        if phase == "resume":
            for number in (0, LAST):
                origin.always(f"/v/{number}.ts", Status(451))
            assert lan.hlsdl("fetch", url, "-o", bundle, "-N", "4").code == 4
            for number in (0, LAST):
                origin.always(f"/v/{number}.ts")
            origin.clear_requests()
        before = finished(bundle)
        for number in set(range(SEGMENTS)) - before:
            origin.script(f"/v/{number}.ts", Hold(go) if number < LAST else Hold(threading.Event()))
        # One failure for the answer that does not come, and one for all kept connections.
        patience = ("--retries", "2", "--stall-timeout", "3", "--progress", "json")
        process = lan.start("fetch", url, "-o", bundle, "-N", "4", *patience)
        go.set()
        until(lambda: finished(bundle) == set(range(LAST)) and origin.count(f"/v/{LAST}.ts"), "all but the last one")
        kept = lan.ports()
        for port in kept:
            for place, chain in (("--sport", "INPUT"), ("--dport", "OUTPUT")):
                lan.firewall("-p", "tcp", place, port, "-j", "DROP", chain=chain)
        done = wait(process)
        assert done.code == 0, done.err
        assert asked(origin) == set(range(SEGMENTS)) - before
        assert origin.count(f"/v/{LAST}.ts") == 2
        assert sum(lan.met(rule) for rule in range(1, len(kept) + 1)) > 0
    require_whole(bundle, TRUTH)
