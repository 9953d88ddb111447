"""The source, asked for while the rest of the program is still being loaded.

On a distant server the first playlist takes as long to come as a download's modules take to load, so both happen at
once: the client is made, the source is read ahead, and a thread imports what comes after. `download` then gets the
client and reads the source from it as ever. This is done in the first download of a process only, and never where a
bundle may be at hand: a complete one answers without a network, an unfinished one with the playlists it has stored.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

from hlsdl.bundle.layout import SUFFIX
from hlsdl.bundle.threads import in_thread
from hlsdl.errors import HlsdlError
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.sources import MOST_BYTES, Source
from hlsdl.transfer.client import Client

NEEDED_SOON = (
    "hlsdl.session.download",
    "m3u8.parser",
    "hlsdl.transfer.parts",
    "hlsdl.transfer.lane",
    "hlsdl.library.bundles",
)
"""What a download needs as soon as the source is there, and then the segments; and at the end the command line, which
tells the library."""


@asynccontextmanager
async def asked_ahead(source: Source, options: FetchOptions) -> AsyncIterator[Client | None]:
    """A client that has the source asked for, with everything loaded; None where that is not to be done."""
    is_loaded = all(name in sys.modules for name in NEEDED_SOON)
    client = None
    if may_be_asked_first(source.url, is_loaded=is_loaded, may_be_stored=not is_loaded and may_be_stored(options)):
        client = _client_for(source, options)
    if client is None:
        yield None
        return
    async with client:
        client.read_ahead(source.url, kind="playlist", limit=MOST_BYTES)
        await in_thread(_load, NEEDED_SOON)
        yield client


def may_be_asked_first(url: str, *, is_loaded: bool, may_be_stored: bool) -> bool:
    """Whether the source may be asked for before anybody has looked for its bundle, and something is gained by it."""
    return not is_loaded and not may_be_stored and url.partition("://")[0].lower() in ("http", "https")


def may_be_stored(options: FetchOptions) -> bool:
    """Whether there is anything that could be the source's bundle; what the disk does not say, nobody knows here."""
    try:
        if options.output is not None:
            options.output.lstat()
            return True
        with os.scandir(options.directory) as there:
            return any(one.name.lower().endswith(SUFFIX) for one in there)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True


def _client_for(source: Source, options: FetchOptions) -> Client | None:
    try:
        return Client(options.transfer, source.url, base_url=source.base_url)
    except HlsdlError:
        return None  # this error has its turn after those about artwork and bundle: `download` meets it again


def _load(names: tuple[str, ...]) -> None:
    for name in names:
        import_module(name)
