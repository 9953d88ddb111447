"""Repair: fetch again what verification finds damaged or missing, and nothing else.

It forgets the damaged objects and tells the story of `download` once more on the same bundle: the remainder is what was
forgotten, and sealing writes the derived files anew.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from anyio.to_thread import run_sync as in_thread

from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.writing import BundleWriter
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.contents import last_wish
from hlsdl.session.download import download
from hlsdl.session.events import Emit, ignore
from hlsdl.session.sources import Source
from hlsdl.verification.findings import Report
from hlsdl.verification.structure import verify_bundle


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
    await in_thread(partial(_forget_damaged, path, report))
    choices = bundle.manifest.choices
    base_url = choices.get("base_url")
    source = Source(url=bundle.manifest.source_url, base_url=base_url if isinstance(base_url, str) else None)
    again = replace(options, output=path, title=None, preferences=last_wish(bundle.manifest), keep_protected=True)
    await download(source, again, emit)
    return await in_thread(partial(verify_bundle, path))


def _forget_damaged(path: Path, report: Report) -> None:
    """Drop the damaged objects, and reopen the bundle for work."""
    writer = BundleWriter.open(path)
    try:
        for damaged in report.damaged:
            if damaged in writer.entries:
                writer.forget(damaged)
        if writer.manifest is not None:
            writer.save_manifest(writer.manifest.model_copy(update={"state": "partial"}))
    finally:
        writer.close()
