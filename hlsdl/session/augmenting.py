"""Adding to a bundle: more sound, text or a better picture, of which only what is missing is fetched.

It turns what was named into wishes (`planning.adding`), by the source playlist that the bundle has stored, and tells
the story of `download` once more. Source: makeAssetDownloadTask with an asset that is stored already.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from hlsdl.bundle.reading import Bundle
from hlsdl.errors import SelectionError, UsageError
from hlsdl.planning.adding import added_wishes
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.contents import every_document
from hlsdl.session.download import download
from hlsdl.session.events import Emit, ignore
from hlsdl.session.outcome import Downloaded
from hlsdl.session.presentation import Documents, Root, parse_root, read_root
from hlsdl.session.provenance import client_for
from hlsdl.session.same_streams import told_of_stored
from hlsdl.session.sources import Source, source_of
from hlsdl.session.wishes import asked_in
from hlsdl.transfer.client import Client


async def augment(path: Path, options: FetchOptions, named: Collection[str], emit: Emit = ignore) -> Downloaded:
    """Add to the bundle at `path`.

    Args:
        path: the bundle.
        options: how to fetch; its `preferences` hold the values of what was named.
        named: the fields of `Preferences` that were named. All others stay as the bundle was asked for them.
        emit: hears every event.

    Raises:
        UsageError: it is no bundle, or nothing was named.
        SelectionError: the stream does not have what was named.
        HlsdlError: of the kind that says what stopped it; the bundle stays sound.
    """
    bundle = Bundle.open(path)
    if not named and options.title is None and options.artwork is None:
        raise UsageError("nothing to add was named", hint="for example `--audio fr` or `--max-size 1280x720`")
    source = source_of(bundle.manifest)
    async with client_for(bundle, options.transfer) as client:
        root = await _root_of(bundle, source, client)
        with told_of_stored(source.url in every_document(bundle)):
            wanted = _wanted(bundle, root, options, named)
        return await download(source, wanted, emit, named=frozenset(named), opened=client)


def _wanted(bundle: Bundle, root: Root, options: FetchOptions, named: Collection[str]) -> FetchOptions:
    """What the bundle is asked for now.

    Raises:
        SelectionError: the stream does not have what was named.
    """
    if root.master is None and named:
        raise SelectionError("the bundle has all of its source, which is one stream", hint="`hlsdl repair` mends it")
    asked = asked_in(bundle.manifest)
    wishes = asked.wishes[-1:] or (options.preferences,)
    if root.master is not None and named:
        values = {name: getattr(options.preferences, name) for name in named}
        wishes = added_wishes(root.master, asked.wishes, values, asked.dropped)
    return replace(
        options,
        output=bundle.path,
        preferences=wishes[0],
        auxiliary=wishes[1:],
        force=False,
        resume=True,
        keep_protected=options.keep_protected or any(stream.protected for stream in bundle.streams),
    )


async def _root_of(bundle: Bundle, source: Source, client: Client) -> Root:
    """The source playlist as stored; when that is damaged, as it is now."""
    stored = every_document(bundle)
    return (
        parse_root(stored[source.url], source) if source.url in stored else await read_root(Documents(client), source)
    )
