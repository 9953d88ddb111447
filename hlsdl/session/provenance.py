"""Provenance: whether the source that a bundle speaks of was named on this machine, or only by whoever made the bundle.

What a user names may be a file or an address of the local network. A bundle may come from anybody, and so may the
source in its manifest: it is believed to have been named here when a mark says so, which nobody else can make
(`library.marks`). The mark is one of this bundle in this folder, wherever that was moved; a copy has none that fits.
"""

from __future__ import annotations

import os
from typing import Any

from hlsdl.bundle.durable import Folder, translating
from hlsdl.bundle.manifest import Manifest
from hlsdl.bundle.manifest_alone import save_choices
from hlsdl.bundle.reading import Bundle
from hlsdl.library.marks import is_mark_of, mark_of
from hlsdl.session.sources import Source, source_of
from hlsdl.transfer.client import Client
from hlsdl.transfer.options import TransferOptions

NAMED = "named"
"""The mark's place in the manifest's `choices`."""


def marked(source: Source, *, before: Manifest | None, bundle_id: str, inode: int) -> dict[str, Any]:
    """For the manifest's `choices`: a mark for a source that is named now, else the one that is there already.

    That one is kept as it is, whatever it is worth: a bundle that somebody else made gets none by our writing to it.
    """
    mark = mark_of(bundle_id, source.url, source.base_url, inode) if source.is_named else None
    if mark is None and before is not None:
        mark = before.choices.get(NAMED)
    return {NAMED: mark} if mark is not None else {}


def is_named_here(bundle: Bundle) -> bool:
    """Whether the source of this bundle was named on this machine, for the bundle in this very folder."""
    source, manifest = source_of(bundle.manifest), bundle.manifest
    return is_mark_of(manifest.choices.get(NAMED), manifest.id, source.url, source.base_url, _inode_of(bundle))


def lacks_mark(source: Source, bundle: Bundle) -> bool:
    """Whether a bundle has no mark of its source, which is named now, and one can be made and written."""
    if not source.is_named or is_named_here(bundle) or not os.access(bundle.path, os.W_OK):
        return False
    return mark_of(bundle.manifest.id, source.url, source.base_url, 0) is not None


def mark(source: Source, bundle: Bundle) -> None:
    """Write the mark into a bundle that lacks it, and nothing else. Raises what `save_choices` does.

    Blocking.
    """
    manifest = bundle.manifest
    made = marked(source, before=manifest, bundle_id=manifest.id, inode=_inode_of(bundle))
    save_choices(bundle.path, manifest, {**manifest.choices, **made})


def _inode_of(bundle: Bundle) -> int:
    with translating(str(bundle.path)), Folder.open(bundle.path, follow=True) as root:
        return root.identity()[1]


def client_for(bundle: Bundle, options: TransferOptions) -> Client:
    """A client for the source that a bundle speaks of; unless it was named here, it counts as typed by nobody."""
    source = source_of(bundle.manifest)
    return Client(options, source.url, base_url=source.base_url, typed=None if is_named_here(bundle) else ())


def client_of(source: Source, options: TransferOptions, bundle: Bundle | None) -> Client:
    """A client for a source that was named now, or else for what this bundle, if there is one, speaks of."""
    if source.is_named or bundle is None:
        return Client(options, source.url, base_url=source.base_url, typed=None if source.is_named else ())
    return client_for(bundle, options)
