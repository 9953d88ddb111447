"""What an earlier run left: whether a bundle has all that it should have, and nothing that it should not.

As far as is known without reading it: what is in its files, `verification` says.
"""

from __future__ import annotations

import logging
from pathlib import Path

from hlsdl.bundle.manifest import Manifest
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import HlsdlError
from hlsdl.session.artwork import Artwork
from hlsdl.session.bundles import Bundle
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.contents import every_document
from hlsdl.session.presentation import parse_root
from hlsdl.session.sources import source_of
from hlsdl.session.wishes import asked_in, same_wishes

logger = logging.getLogger(__name__)


def bundle_before(existing: Path | None, options: FetchOptions) -> Bundle | None:
    """What an earlier run left and this one may go on with."""
    if existing is None or options.force:
        return None
    bundle = Bundle.open(existing)
    return bundle if options.resume or bundle.state == "complete" else None


def asks_for_nothing_new(before: Bundle, options: FetchOptions, artwork: Artwork | None, *, anew: bool) -> bool:
    """Whether a sealed bundle was asked for all of this already, with this picture; another title needs no bytes.

    Asked `anew`, what was dropped may come back.
    """
    return (
        before.state == "complete"
        and not (anew and _brings_back(before, options))
        and same_wishes(before.manifest, options.wishes)
        and (artwork is None or artwork.is_in(before))
    )


def _brings_back(before: Bundle, options: FetchOptions) -> bool:
    """Whether these wishes name something that was dropped, as far as the bundle's own playlist says."""
    asked, source = asked_in(before.manifest), source_of(before.manifest)
    stored = every_document(before).get(source.url) if asked.dropped else None
    if stored is None:
        return False
    return asked.and_now(options.wishes, parse_root(stored, source).master, anew=True).dropped != asked.dropped


def is_whole(before: Bundle) -> bool:
    """Whether a bundle is sealed and all of it is there."""
    if before.state != "complete" or not before.manifest.is_intact:
        return False
    return not (before.journal.wanted or before.journal.replaced) and not before.shortfalls()


def has_changed(known: Manifest | None, now: Manifest | None) -> bool:
    """Whether somebody has begun a bundle, added to it, or taken out of it, since it was read: what was planned is of
    then. That it lost its manifest is for the writer to see."""
    if now is None or known is None:
        return now is not None
    return (known.state, known.streams, known.choices) != (now.state, now.streams, now.choices)


def look_again(path: Path) -> None:
    """Let a bundle know what has changed in it: somebody has put a file back, an interrupted run has left one."""
    BundleWriter.open(path).close()


def tidy(before: Bundle) -> None:
    """Remove what an interrupted run has left; where that cannot be, the bundle is as whole as it was."""
    try:
        if before.leftovers():
            look_again(before.path)
    except HlsdlError as error:
        logger.info("what an interrupted run has left in `%s` stays for now: %s", before.path, error.message)
