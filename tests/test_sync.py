"""The blocking front door does what the async one does."""

from __future__ import annotations

from pathlib import Path

import pytest

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


async def test_it_works_where_a_loop_is_running(film: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add_folder(film)
        assert hlsdl.sync.inspect(origin.url("/master.m3u8")).duration > 0


def test_every_public_name_can_be_imported() -> None:
    for name in hlsdl.__all__:
        assert getattr(hlsdl, name) is not None
    assert set(hlsdl.__all__) <= set(dir(hlsdl))
    with pytest.raises(AttributeError, match="no attribute `nothing`"):
        hlsdl.nothing  # noqa: B018
