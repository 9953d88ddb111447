"""Flags on their way into the session: none gets lost, and those that were not given say nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.terminals import piped
from hlsdl.cli.downloads import Wishes
from hlsdl.cli.flags import CommonFlags, PlanFlags, SelectionFlags, SourceFlags, StoreFlags, TransferFlags, given
from hlsdl.cli.parameters import later_wins
from hlsdl.session.configuration import FetchOptions


def test_only_flags_that_were_given_are_passed_on() -> None:
    assert given(SelectionFlags(), TransferFlags(), StoreFlags(), CommonFlags()) == {}
    assert given(SelectionFlags(hdr=False, codec=["hvc1"]), CommonFlags(verbose=2)) == {
        "hdr": False,
        "codec": ["hvc1"],
        "verbose": 2,
    }


def test_a_flag_after_the_command_wins_over_one_before() -> None:
    early, late = CommonFlags(json=True, progress="bar", verbose=1), CommonFlags(progress="none")
    assert later_wins(early, late) == CommonFlags(json=True, progress="none", verbose=1)


def test_every_flag_of_fetch_reaches_the_session(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.touch()
    wishes = Wishes(
        common=CommonFlags(no_config=True),
        selection=SelectionFlags(
            where=["width>1"], variant="v1", iframes=True, variants="all", bitrate_basis="average", lossless=True
        ),
        source=SourceFlags(base_url="https://b.example/"),
        plan=PlanFlags(title="T", keep_protected=True, allow_gaps=True),
        store=StoreFlags(output=Path("o.movpkg"), dir="films", artwork=picture, force=True, no_resume=True),
        transfer=TransferFlags(connections="3"),
    )
    options = wishes.options(piped())
    assert (options.output, options.directory, options.artwork) == (Path("o.movpkg"), Path("films"), picture)
    assert (options.title, options.base_url) == ("T", "https://b.example/")
    assert (options.force, options.resume, options.keep_protected, options.allow_gaps) == (True, False, True, True)
    assert (options.preferences.variant, options.preferences.variants) == ("v1", "all")
    assert options.preferences.where == ("width > 1",)
    assert (options.preferences.iframes, options.preferences.lossless) == (True, True)
    assert (options.preferences.bitrate_basis, options.transfer.connections) == ("average", 3)


def test_no_flags_are_the_defaults_of_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("HLSDL_")]:
        monkeypatch.delenv(name)
    wishes = Wishes(common=CommonFlags(no_config=True), transfer=TransferFlags())
    assert wishes.options(piped()) == FetchOptions()
