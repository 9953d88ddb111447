"""The front door for scripts without async: the same functions, which block until they are done.

    import hlsdl.sync
    bundle = hlsdl.sync.fetch("https://example.com/film/master.m3u8", min_bitrate=2_000_000)

Called where an event loop is already running (a notebook), the work runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hlsdl.session import keywords
from hlsdl.session.bundles import Bundle
from hlsdl.session.description import StreamDescription
from hlsdl.session.events import Emit, ignore
from hlsdl.session.keywords import open_bundle as open  # noqa: A004 - the contract's name for it
from hlsdl.session.outline import PlanOutcome

if TYPE_CHECKING:
    from hlsdl.sync.session import AssetDownloadSession as AssetDownloadSession

__all__ = ["AssetDownloadSession", "add", "drop", "fetch", "import_package", "inspect", "open", "plan"]

T = TypeVar("T")


def fetch(source: str | Path, *, output: str | Path | None = None, emit: Emit = ignore, **flags: Any) -> Bundle:
    """Fetch a stream for offline use; see `hlsdl.fetch`."""
    return _blocking(lambda: keywords.fetch(source, output=output, emit=emit, **flags))


def add(bundle: str | Path | Bundle, *, emit: Emit = ignore, **flags: Any) -> Bundle:
    """Add sound, text or another picture to a bundle; see `hlsdl.add`."""
    return _blocking(lambda: keywords.add(bundle, emit=emit, **flags))


def drop(bundle: str | Path | Bundle, *ids: str) -> Bundle:
    """Take streams out of a bundle; see `hlsdl.drop`."""
    return _blocking(lambda: keywords.drop(bundle, *ids))


def import_package(package: str | Path, *, emit: Emit = ignore, **flags: Any) -> Bundle:
    """Bring in a `.movpkg` that was made elsewhere; see `hlsdl.import_package`."""
    return _blocking(lambda: keywords.import_package(package, emit=emit, **flags))


def plan(source: str | Path, **flags: Any) -> PlanOutcome:
    """Say what `fetch` with the same flags would store, and why; see `hlsdl.plan`."""
    return _blocking(lambda: keywords.plan(source, **flags))


def inspect(source: str | Path, **flags: Any) -> StreamDescription:
    """Say what a stream offers; see `hlsdl.inspect`."""
    return _blocking(lambda: keywords.inspect(source, **flags))


def _blocking(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    from hlsdl.sync.loop import Loop

    loop = Loop()
    try:
        return loop.wait(work)
    finally:
        loop.close()  # interrupted, the work is cancelled and saves what it has


if not TYPE_CHECKING:  # to a checker, a name that is not above is a mistake

    def __getattr__(name: str) -> object:
        # Loaded when it is asked for: most scripts only fetch.
        if name != "AssetDownloadSession":
            raise AttributeError(f"module `hlsdl.sync` has no attribute `{name}`")
        from hlsdl.sync.session import AssetDownloadSession

        return AssetDownloadSession
