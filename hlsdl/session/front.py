"""The front door: fetch, plan, inspect, repair, add, drop and import, as the command line and `keywords` call them.

Each function takes what a person would type and gives back a value that can write its own JSON document (contract §3).
The work itself is in `download`, `outline`, `description`, `restoration`, `augmenting`, `dropping` and `importing`,
each loaded when it is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hlsdl.session.configuration import FetchOptions
from hlsdl.session.events import Emit, ignore

if TYPE_CHECKING:
    from hlsdl.session.description import StreamDescription
    from hlsdl.session.outcome import Downloaded
    from hlsdl.session.outline import PlanOutcome
    from hlsdl.verification.findings import Report


async def fetch(source: str | Path, options: FetchOptions, *, emit: Emit = ignore) -> Downloaded:
    """Fetch one source into a sealed bundle; run again, it goes on where it stopped.

    Args:
        source: an http(s) URL, or the path of a playlist file.
        options: what to store and how to get it.
        emit: hears every event.

    Raises:
        HlsdlError: with the exit code that says what stopped it.
    """
    from hlsdl.session.ahead import asked_ahead
    from hlsdl.session.sources import parse_source

    named = parse_source(source, base_url=options.base_url)
    async with asked_ahead(named, options) as client:
        from hlsdl.session.download import download  # with `client`, it was loaded while the source was asked for

        return await download(named, options, emit, opened=client)


async def plan(source: str | Path, options: FetchOptions, *, goes_on: bool = False) -> PlanOutcome:
    """Choose, and say what would be downloaded and why; no segment is asked for.

    `goes_on`: as `fetch` would, with the bundle that an earlier run left.
    """
    from hlsdl.session.outline import outline
    from hlsdl.session.sources import parse_source

    return await outline(parse_source(source, base_url=options.base_url), options, goes_on=goes_on)


async def inspect(source: str | Path, options: FetchOptions) -> StreamDescription:
    """Everything the stream offers."""
    from hlsdl.session.description import describe
    from hlsdl.session.sources import parse_source

    return await describe(parse_source(source, base_url=options.base_url), options)


async def repair(path: Path, options: FetchOptions, *, emit: Emit = ignore) -> Report:
    """Fetch again what `verify` finds damaged or missing, and verify once more."""
    from hlsdl.session.restoration import restore

    return await restore(path, options, emit)


async def drop(path: Path, ids: Sequence[str]) -> None:
    """Remove stored streams from a bundle, and keep the rest playable."""
    from hlsdl.bundle.threads import in_thread
    from hlsdl.session import dropping

    await in_thread(dropping.drop, path, ids)


async def add(path: Path, options: FetchOptions, named: Collection[str], *, emit: Emit = ignore) -> Downloaded:
    """Add what was named to a bundle; what is stored is not fetched again."""
    from hlsdl.session.augmenting import augment

    return await augment(path, options, named, emit)


async def import_package(path: Path, options: FetchOptions, *, emit: Emit = ignore) -> Downloaded:
    """Bring a package that was made elsewhere into a bundle, without a network."""
    from hlsdl.session import importing

    return await importing.import_package(path, options, emit)
