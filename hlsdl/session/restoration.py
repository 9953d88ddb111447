"""Repair: fetch again what verification finds damaged or missing, and nothing else.

It tells the story of `download` once more on the same bundle: the remainder is what is damaged, and sealing writes the
derived files anew. A damaged object stays where it is until its like has come, and a repair that brings nothing leaves
the bundle as it found it: a film with a flaw is more than half a film.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from hlsdl.bundle.manifest_alone import put_back
from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.threads import in_thread
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import HlsdlError
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.download import download
from hlsdl.session.events import Emit, ignore
from hlsdl.session.provenance import client_for
from hlsdl.session.sources import source_of
from hlsdl.session.wishes import last_wish
from hlsdl.verification import Code, Report, verify_bundle
from hlsdl.verification.findings import DAMAGED_CODES

logger = logging.getLogger(__name__)


async def restore(path: Path, options: FetchOptions, emit: Emit = ignore) -> Report:
    """Make the bundle at `path` whole again.

    Returns:
        What verification says afterwards; a bundle that was whole is not touched.

    Raises:
        HlsdlError: it is no bundle, or the origin cannot be reached or refuses; then it is as whole as it was.
    """
    report = await in_thread(partial(verify_bundle, path))
    if report.ok:
        return report
    bundle = Bundle.open(path)
    damaged = [one for one in report.damaged if one in bundle.entries]
    # What is only malformed came so: its hash proves nothing, and other bytes are what it needs.
    changed = {one.path for one in report.findings if one.code in DAMAGED_CODES and one.code is not Code.MALFORMED}
    expected = {one: bundle.entries[one].sha256 if one in changed else None for one in damaged}
    wish = last_wish(bundle.manifest)
    again = replace(options, output=path, title=None, preferences=wish, auxiliary=(), keep_protected=True)
    async with client_for(bundle, options.transfer) as client:
        sizes = await in_thread(bundle.sizes)
        lost = {one: was for one, was in expected.items() if sizes.get(one) != bundle.entries[one].size}
        try:
            await in_thread(partial(_forget, path, lost))
            await download(source_of(bundle.manifest), again, emit, opened=client, damaged=expected)
        except BaseException:
            await in_thread(partial(_leave, path, bundle))
            raise
    return await in_thread(partial(verify_bundle, path))


def _forget(path: Path, lost: Mapping[str, str | None]) -> None:
    """Write down what was lost, which opening the bundle for work forgets, until it is here again."""
    if lost:
        with BundleWriter.open(path) as writer:
            for one, was in lost.items():
                writer.forget(one, was=was)


def _leave(path: Path, before: Bundle) -> None:
    """Let a bundle that was sealed count as that again, unless it has got other bytes meanwhile."""
    try:
        now = Bundle.open(path)
        is_same = all(_is_in(before, one, entry.sha256) for one, entry in now.entries.items())
        if before.state == "complete" and now.state == "partial" and before.manifest.is_intact and is_same:
            put_back(path, before.manifest, now.manifest)
    except HlsdlError as failure:
        logger.warning("the bundle stays unfinished: %s", failure.message)


def _is_in(before: Bundle, path: str, sha256: str) -> bool:
    entry = before.entries.get(path)
    return entry is not None and entry.sha256 == sha256
