"""Repair: fetch again what verification finds damaged or missing, and nothing else.

It tells the story of `download` once more on the same bundle: the remainder is what is damaged, and sealing writes the
derived files anew. A damaged object stays where it is until its like has come, and a bundle that was sealed stays so: a
film with a flaw is more than half a film, and its origin may be gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from hlsdl.bundle.layout import must_come_as_it_was
from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.threads import in_thread
from hlsdl.errors import HlsdlError
from hlsdl.session import events
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.contents import stored_contents
from hlsdl.session.download import download
from hlsdl.session.events import Emit, ignore
from hlsdl.session.gaps import gaps_of
from hlsdl.session.provenance import client_for
from hlsdl.session.renewal import OF_THE_ORIGIN
from hlsdl.session.sources import source_of
from hlsdl.session.wholeness import look_again
from hlsdl.session.wishes import asked_in, last_wish
from hlsdl.verification import Code, Report, verify_bundle
from hlsdl.verification.findings import DAMAGED_CODES


async def restore(path: Path, options: FetchOptions, emit: Emit = ignore) -> Report:
    """Make the bundle at `path` whole again.

    Returns:
        What verification says afterwards; a bundle that was whole is not touched. Where all that it lacks are gaps, or
        session data that was left out, these are asked for once more, and an origin without an answer is a warning.

    Raises:
        HlsdlError: it is no bundle, or the origin cannot be reached or refuses; then it is as whole as it was.
    """
    report = await in_thread(partial(verify_bundle, path))
    bundle = Bundle.open(path)
    if report.ok and not _lacks_something(bundle):
        if bundle.journal.wanted or bundle.leftovers():
            await in_thread(look_again, path)
            return await in_thread(partial(verify_bundle, path))
        return report
    pictures = {one.path for one in bundle.manifest.documents if one.category == "artwork"}
    for one in pictures.intersection(report.damaged):
        told = f"the picture `{one}` is damaged, and no origin has it: `hlsdl add --artwork` brings another"
        emit(events.Warned(task=bundle.title, message=told))
    wish = last_wish(bundle.manifest)
    again = replace(options, output=path, title=None, preferences=wish, auxiliary=(), keep_protected=True)
    damaged = {one: was for one, was in _damaged(bundle, report) if one not in pictures}
    try:
        async with client_for(bundle, options.transfer) as client:
            await download(source_of(bundle.manifest), again, emit, opened=client, damaged=damaged)
    except OF_THE_ORIGIN as error:
        if not report.ok:
            raise
        emit(events.Warned(task=bundle.title, message=f"what was left out cannot be asked for: {error.message}"))
    return await in_thread(partial(verify_bundle, path))


def _lacks_something(bundle: Bundle) -> bool:
    """Whether it has gaps that its source has not, or lacks session data that did not come."""
    try:
        plan = stored_contents(bundle, asked_in(bundle.manifest)).plan
    except HlsdlError:  # then there is more to mend, as verification says
        return bool(bundle.manifest.gaps)
    # One that has come, and is a gap still, waits for the seal.
    return bool(bundle.manifest.gaps or gaps_of(bundle.manifest, plan, bundle.entries)) or any(
        one.path not in bundle.entries for one in plan.data
    )


def _damaged(bundle: Bundle, report: Report) -> Iterator[tuple[str, str | None]]:
    """The path of each damaged object, and the SHA-256 that must come in its place."""
    # What is only malformed came so: its hash proves nothing, and other bytes are what it needs.
    changed = {one.path for one in report.findings if one.code in DAMAGED_CODES and one.code is not Code.MALFORMED}
    for path in report.damaged:
        entry = bundle.entries.get(path)
        if entry is not None:
            yield path, entry.sha256 if path in changed and must_come_as_it_was(path) else None
