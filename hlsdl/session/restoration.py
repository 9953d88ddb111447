"""Repair: fetch again what verification finds damaged or missing, and nothing else.

It forgets the damaged objects and tells the story of `download` once more on the same bundle: the remainder is what was
forgotten, and sealing writes the derived files anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.threads import in_thread
from hlsdl.bundle.writing import BundleWriter
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.download import download
from hlsdl.session.events import Emit, ignore
from hlsdl.session.provenance import client_for
from hlsdl.session.sources import source_of
from hlsdl.session.wishes import last_wish
from hlsdl.verification import Code, Report, verify_bundle
from hlsdl.verification.findings import DAMAGED_CODES


async def restore(path: Path, options: FetchOptions, emit: Emit = ignore) -> Report:
    """Make the bundle at `path` whole again.

    Returns:
        What verification says afterwards; a bundle that was whole is not touched.

    Raises:
        HlsdlError: it is no bundle, or the origin cannot be reached or refuses.
    """
    report = await in_thread(partial(verify_bundle, path))
    if report.ok:
        return report
    bundle = Bundle.open(path)
    damaged = [one for one in report.damaged if one in bundle.entries]
    # What is only malformed came so: its hash proves nothing, and other bytes are what it needs.
    changed = {one.path for one in report.findings if one.code in DAMAGED_CODES and one.code is not Code.MALFORMED}
    expected = {one: bundle.entries[one].sha256 for one in damaged if one in changed}
    wish = last_wish(bundle.manifest)
    again = replace(options, output=path, title=None, preferences=wish, auxiliary=(), keep_protected=True)
    async with client_for(bundle, options.transfer) as client:
        await in_thread(partial(_forget, path, damaged, expected))
        await download(source_of(bundle.manifest), again, emit, opened=client)
    return await in_thread(partial(verify_bundle, path))


def _forget(path: Path, damaged: Iterable[str], expected: Mapping[str, str]) -> None:
    """Drop the damaged objects, and reopen the bundle for work; what they were is kept until they are here again."""
    writer = BundleWriter.open(path)
    try:
        for one in damaged:
            writer.forget(one, was=expected.get(one))
        if writer.manifest is not None:
            writer.save_manifest(writer.manifest)
    finally:
        writer.close()
