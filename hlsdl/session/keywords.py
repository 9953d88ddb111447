"""The front door for scripts: the flags of `hlsdl fetch` as keywords, re-exported as `hlsdl.fetch` and so on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hlsdl.bundle.reading import path_of
from hlsdl.session import front
from hlsdl.session.bundles import Bundle
from hlsdl.session.configuration import options_for_adding, options_from
from hlsdl.session.description import StreamDescription
from hlsdl.session.events import Emit, ignore, listener
from hlsdl.session.outline import PlanOutcome


async def fetch(source: str | Path, *, output: str | Path | None = None, emit: Emit = ignore, **flags: Any) -> Bundle:
    """Fetch a stream for offline use.

    Args:
        source: an http(s) URL, or the path of a playlist file.
        output: a folder, in which the bundle is named after its title, or a path that ends in `.movpkg`.
            Default: the current folder.
        emit: hears every `hlsdl.session.events.Event`; a plain function, since nobody waits for it.
        flags: the flags of `hlsdl fetch` with underscores: `min_bitrate=2_000_000`, `audio=["en", "fr"]`,
            `max_size=(1920, 1080)`, `headers={"Authorization": "…"}`. Numbers are bits or bytes or seconds.

    Returns:
        The sealed bundle.

    Raises:
        HlsdlError: with the exit code that says what stopped it.

    Source: AVAssetDownloadURLSession.makeAssetDownloadTask(downloadConfiguration:).
    """
    return (await front.fetch(source, options_from(output=output, **flags), emit=listener(emit))).bundle


async def add(bundle: str | Path | Bundle, *, emit: Emit = ignore, **flags: Any) -> Bundle:
    """Add sound, text or another picture to a bundle; what is stored is not fetched again.

    Args:
        bundle: a bundle, or its path. Its source is the one it was fetched from.
        emit: hears every event.
        flags: those of `hlsdl add` with underscores: `audio=["fr"]`. What is not named stays as it was asked for.

    Returns:
        The sealed bundle, opened again.

    Raises:
        HlsdlError: with the exit code that says what stopped it; what was stored is kept.

    Source: makeAssetDownloadTask(downloadConfiguration:) with an asset that is stored already.
    """
    options, named = options_for_adding(flags)
    return (await front.add(_path_of(bundle), options, named, emit=listener(emit))).bundle


async def drop(bundle: str | Path | Bundle, *ids: str) -> Bundle:
    """Take streams out of a bundle; the rest stays whole and playable.

    Args:
        bundle: a bundle, or its path.
        ids: of the streams (`bundle.streams`). They come back only when they are asked for again.

    Returns:
        The bundle, opened again.

    Raises:
        UsageError: there is no such stream, or neither picture nor sound would be left.
        IntegrityError: what stays is damaged.
    """
    path = _path_of(bundle)
    await front.drop(path, ids)
    return Bundle.open(path)


async def import_package(
    package: str | Path,
    *,
    output: str | Path | None = None,
    title: str | None = None,
    keep_protected: bool = False,
    emit: Emit = ignore,
) -> Bundle:
    """Bring in a `.movpkg` that was made elsewhere, as hostile input; no network is asked.

    Args:
        package: its folder: a bundle of hlsdl, or what another program made.
        output: as for `fetch`.
        title: None: that of the package.
        keep_protected: also store ciphertext that nothing here can play.
        emit: hears every event.

    Returns:
        The sealed bundle, of which every playlist was made here.

    Raises:
        UsageError: it is no package.
        PolicyError: it reaches out: links, pipes, paths that lead elsewhere. Nothing was copied.
        IntegrityError: something of it is missing or damaged; the rest is kept, and `fetch` of its source goes on.
        ContentKeyError: it is encrypted and has not got its keys, or needs a key system.
    """
    options = options_from(output=output, title=title, keep_protected=keep_protected)
    return (await front.import_package(path_of(package), options, emit=listener(emit))).bundle


async def plan(source: str | Path, **flags: Any) -> PlanOutcome:
    """Say what `fetch` with the same flags would store, and why."""
    options = options_from(**flags)
    return await front.plan(source, options, goes_on=options.output is not None)


async def inspect(source: str | Path, **flags: Any) -> StreamDescription:
    """Say what a stream offers; takes the transfer flags of `fetch`."""
    return await front.inspect(source, options_from(**flags))


def open_bundle(path: str | Path) -> Bundle:
    """Open a bundle for reading.

    Raises:
        UsageError: there is no bundle at `path`.
        IntegrityError: its manifest cannot be read.
    """
    return Bundle.open(path_of(path))


def _path_of(bundle: str | Path | Bundle) -> Path:
    return bundle.path if isinstance(bundle, Bundle) else path_of(bundle)
