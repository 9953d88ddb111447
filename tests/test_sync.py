"""The blocking front door does what the async one does."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from recording import serve_held

import hlsdl
import hlsdl.sync
from hlsdl.errors import SelectionError
from hlsdl.testing import ScriptedOrigin


def test_a_script_fetches_plans_inspects_and_opens_without_async(film: Path, tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add_folder(film)
        url = origin.url("/master.m3u8")
        assert hlsdl.sync.inspect(url).document()["kind"] == "multivariant"
        assert hlsdl.sync.plan(url, hdr=False).segments > 0
        bundle = hlsdl.sync.fetch(url, hdr=False, output=tmp_path)
        with pytest.raises(SelectionError):
            hlsdl.sync.fetch(url, audio="ja", output=tmp_path / "other")
    assert hlsdl.sync.open(bundle.path).is_playable_offline
    told: list[hlsdl.Event] = []
    copy = hlsdl.sync.import_package(bundle.path, output=tmp_path / "copies", title="A copy", emit=told.append)
    assert (copy.title, copy.path.name, copy.is_playable_offline) == ("A copy", "A copy.movpkg", True)
    assert [one.imported for one in told if isinstance(one, hlsdl.WillDownloadTo | hlsdl.DidFinishDownloading)] == [
        True,
        True,
    ]


async def test_it_works_where_a_loop_is_running(film: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add_folder(film)
        assert hlsdl.sync.inspect(origin.url("/master.m3u8")).duration > 0


NOTEBOOK = """
import asyncio, sys
import hlsdl.sync

async def cell():
    hlsdl.sync.fetch(sys.argv[1], output=sys.argv[2], connections=1)

loop = asyncio.new_event_loop()
try:
    loop.run_until_complete(cell())
except KeyboardInterrupt:
    print("interrupted")
"""


def test_interrupted_where_a_loop_is_running_it_stops_and_keeps_what_it_has(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        command = [sys.executable, "-c", NOTEBOOK, url, str(tmp_path / "a.movpkg")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as notebook:
            origin.wait_for("/v/2.ts")
            notebook.send_signal(signal.SIGINT)
            told, _ = notebook.communicate(timeout=30)
        gate.set()
    assert (told, notebook.returncode) == ("interrupted\n", 0)
    assert hlsdl.open(tmp_path / "a.movpkg").segments == 2


def test_a_checker_knows_every_name_and_no_other(tmp_path: Path) -> None:
    """What is loaded when it is asked for must not make each misspelt name anything at all."""
    script = tmp_path / "app.py"
    lines = [*(f"hlsdl.{name}" for name in hlsdl.__all__), "hlsdl.fetchh", "hlsdl.sync.fetchh"]
    script.write_text("\n".join(["import hlsdl, hlsdl.sync", *lines, "hlsdl.open(1)", ""]))
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--no-error-summary", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300)
    first = len(hlsdl.__all__) + 2
    assert [line.split(":")[1] for line in done.stdout.splitlines()] == [str(first), str(first + 1), str(first + 2)]


def test_every_public_name_can_be_imported() -> None:
    for name in hlsdl.__all__:
        assert getattr(hlsdl, name) is not None
    assert set(hlsdl.__all__) <= set(dir(hlsdl))
    with pytest.raises(AttributeError, match="no attribute `nothing`"):
        hlsdl.nothing  # noqa: B018
