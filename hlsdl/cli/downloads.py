"""The commands that bring something in, from an origin or a package: fetch, plan, inspect, repair, add, import.

They turn flags into `FetchOptions`, call `session.front`, and show what came back; the rooms below do the work.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hlsdl.cli.failures import as_error, interrupted
from hlsdl.cli.flags import (
    ArtworkFlag,
    BundleArgument,
    CommonFlags,
    KeepFlags,
    PackageArgument,
    PlaceFlags,
    PlanFlags,
    SelectionFlags,
    SourceArguments,
    SourceFlags,
    StoreFlags,
    TransferFlags,
    given,
)
from hlsdl.cli.interrupts import Interruption
from hlsdl.cli.memory import keep_freed_blocks
from hlsdl.cli.parameters import Job
from hlsdl.cli.settings import load
from hlsdl.cli.sources import read_sources
from hlsdl.cli.terminal import Terminal
from hlsdl.errors import HlsdlError, Interrupted, UsageError, redact_typed

if TYPE_CHECKING:
    from hlsdl.session.bundles import Bundle
    from hlsdl.session.configuration import FetchOptions
    from hlsdl.session.events import Emit
    from hlsdl.session.outcome import Downloaded

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The flags of one command that concern an origin; groups that a command does not take keep their defaults."""

    common: CommonFlags
    transfer: TransferFlags
    selection: SelectionFlags = field(default_factory=SelectionFlags)
    source: SourceFlags = field(default_factory=SourceFlags)
    plan: PlanFlags = field(default_factory=PlanFlags)
    store: StoreFlags = field(default_factory=StoreFlags)

    def options(self, terminal: Terminal) -> FetchOptions:
        """Join them with variables and file, and return what the session understands."""
        from hlsdl.session.configuration import FetchOptions

        groups = (self.selection, self.source, self.plan, self.store, self.transfer)
        settings = load(terminal, self.common, *groups).settings
        return FetchOptions(
            preferences=settings.preferences(variant=self.selection.variant),
            transfer=settings.transfer_options(),
            output=self.store.output,
            directory=settings.dir,
            title=self.plan.title,
            artwork=_artwork(self.store.artwork),
            base_url=self.source.base_url,
            force=self.store.force,
            resume=not self.store.no_resume,
            keep_protected=settings.keep_protected,
            allow_gaps=settings.allow_gaps,
        )


def _artwork(path: Path | None) -> Path | None:
    """Return the picture to store; one that is not there is noticed before anything is downloaded."""
    from hlsdl.config.values import existing_file

    try:
        return None if path is None else existing_file(path)
    except ValueError as error:
        raise UsageError(f"`--artwork`: {error}") from error


Act = Callable[[str, "FetchOptions", Terminal, "Emit"], Awaitable[None]]
"""What is done with one source; its result is shown before the next source begins."""


def fetch(
    *,
    sources: SourceArguments,
    selection: SelectionFlags,
    store: StoreFlags,
    plan_flags: PlanFlags,
    source: SourceFlags,
    transfer: TransferFlags,
    common: CommonFlags,
) -> Job:
    """Download streams into bundles that play offline; run it again to resume."""
    wishes = Wishes(common=common, selection=selection, source=source, plan=plan_flags, store=store, transfer=transfer)
    return _each(sources, wishes, _outline_one) if store.dry_run else _each(sources, wishes, _fetch_one, resumes=True)


def plan(
    *,
    sources: SourceArguments,
    selection: SelectionFlags,
    plan_flags: PlanFlags,
    source: SourceFlags,
    transfer: TransferFlags,
    common: CommonFlags,
) -> Job:
    """Say what would be downloaded and why; downloads no segment."""
    wishes = Wishes(common=common, selection=selection, source=source, plan=plan_flags, transfer=transfer)
    return _each(sources, wishes, _plan_one)


def inspect(*, sources: SourceArguments, source: SourceFlags, transfer: TransferFlags, common: CommonFlags) -> Job:
    """Show everything a stream offers: variants, renditions, keys, I-frames."""
    return _each(sources, Wishes(common=common, source=source, transfer=transfer), _inspect_one)


def repair(*, bundle: BundleArgument, transfer: TransferFlags, common: CommonFlags) -> Job:
    """Fetch again only what `verify` found damaged or missing."""

    def job(terminal: Terminal, interruption: Interruption) -> int:
        from hlsdl.cli.shelf import show_report
        from hlsdl.session import front

        options = Wishes(common=common, transfer=transfer).options(terminal)
        work = _watched(terminal, lambda emit: front.repair(bundle, options, emit=emit))
        return show_report(_run(interruption, work, resumes=True), terminal)

    return job


def add(
    *,
    bundle: BundleArgument,
    selection: SelectionFlags,
    plan_flags: PlanFlags,
    artwork: ArtworkFlag = None,
    transfer: TransferFlags,
    common: CommonFlags,
) -> Job:
    """Add renditions or variants to a bundle; what is stored is not fetched again."""
    store = StoreFlags(artwork=artwork)
    wishes = Wishes(common=common, selection=selection, plan=plan_flags, store=store, transfer=transfer)

    def job(terminal: Terminal, interruption: Interruption) -> int:
        from hlsdl.session import front
        from hlsdl.session.configuration import FLAGS

        options = wishes.options(terminal)
        # What a variable or the file says was there when the bundle was fetched: only flags ask for more.
        named = frozenset(FLAGS.get(name, name) for name in given(selection))
        work = _watched(terminal, lambda emit: front.add(bundle, options, named, emit=emit))
        _show_bundle(_run(interruption, work, resumes=True), terminal)
        return 0

    return job


def import_(
    *,
    package: PackageArgument,
    place: PlaceFlags,
    keep: KeepFlags,
    common: CommonFlags,
) -> Job:
    """Bring in a `.movpkg` made elsewhere, treated as hostile; no network is asked."""
    wishes = Wishes(
        common=common,
        transfer=TransferFlags(),
        plan=PlanFlags(title=keep.title, keep_protected=keep.keep_protected),
        store=StoreFlags(output=place.output, dir=place.dir),
    )

    def job(terminal: Terminal, interruption: Interruption) -> int:
        from hlsdl.session import front

        options = wishes.options(terminal)
        work = _watched(terminal, lambda emit: front.import_package(package, options, emit=emit))
        _show_bundle(_run(interruption, work, resumes=True), terminal)
        return 0

    return job


def _each(arguments: Sequence[str], wishes: Wishes, act: Act, *, resumes: bool = False) -> Job:
    """Return the job that does `act` with every source; `resumes` when an interrupted one can be gone on with."""

    def job(terminal: Terminal, interruption: Interruption) -> int:
        from hlsdl.cli.progress import Silence

        options = wishes.options(terminal)
        sources = read_sources(arguments, sys.stdin or ())
        if len(sources) > 1 and options.output is not None:
            raise UsageError("`-o` names one bundle, and there are several sources", hint="`-P` names their folder")
        if resumes:
            work = _watched(terminal, lambda emit: _one_after_another(sources, options, terminal, act, emit))
        else:
            work = _one_after_another(sources, options, terminal, act, Silence(terminal))
        return _run(interruption, work, resumes=resumes)

    return job


async def _watched(terminal: Terminal, work: Callable[[Emit], Awaitable[T]]) -> T:
    """Do work that tells events, and show them."""
    from hlsdl.cli.progress import listener_for

    with listener_for(terminal) as emit:
        return await work(emit)


def _run(interruption: Interruption, work: Coroutine[Any, Any, T], *, resumes: bool) -> T:
    """Run asynchronous work; an interrupt says what was kept."""
    keep_freed_blocks()
    try:
        return interruption.run(work)
    except Interrupted as error:
        raise (Interrupted("interrupted; what is stored is kept") if resumes else interrupted()) from error


async def _one_after_another(
    sources: Sequence[str], options: FetchOptions, terminal: Terminal, act: Act, emit: Emit
) -> int:
    """Do every source in order; a failure is reported and does not stop the others. Return the first failure's code."""
    first = 0
    for source in sources:
        try:
            await act(source, options, terminal, emit)
        except Exception as error:  # noqa: BLE001 - reported, and its code is returned: the other sources still count
            code = report(error, terminal, source=redact_typed(source) if len(sources) > 1 else None)
            first = first or code
    return first


def report(error: BaseException, terminal: Terminal, *, source: str | None = None) -> int:
    """Tell an error and return its exit code; with HLSDL_DEBUG and `-v -v` a traceback comes first."""
    if terminal.verbose > 1 and terminal.environment.get("HLSDL_DEBUG"):
        import traceback

        terminal.log("debug", "".join(traceback.format_exception(error)))
    ours = as_error(error)
    terminal.error(ours, source=source)
    return ours.code


async def _fetch_one(source: str, options: FetchOptions, terminal: Terminal, emit: Emit) -> None:
    from hlsdl.session import front

    _show_bundle(await front.fetch(source, options, emit=emit), terminal)


def _show_bundle(outcome: Downloaded, terminal: Terminal) -> None:
    _remember(outcome.bundle, terminal)
    if terminal.json:
        terminal.document(outcome.document())
    else:
        terminal.data(str(outcome.bundle.path))


def _remember(bundle: Bundle, terminal: Terminal) -> None:
    """Tell the library of a bundle; where that cannot be written, the download is done all the same."""
    from time import time

    from hlsdl.library.bundles import remember  # `session.storage` brings more than a download needs

    try:
        remember(bundle, now=time())
    except HlsdlError as error:
        terminal.warn(f"the library does not learn of this bundle: {error.message}")


async def _outline_one(source: str, options: FetchOptions, terminal: Terminal, emit: Emit) -> None:
    """What `fetch` would do, here."""
    await _plan_one(source, options, terminal, emit, goes_on=True)


async def _plan_one(
    source: str, options: FetchOptions, terminal: Terminal, _emit: Emit, *, goes_on: bool = False
) -> None:
    from hlsdl.session import front

    document = (await front.plan(source, options, goes_on=goes_on)).document()
    if terminal.json:
        terminal.document(document)
    else:
        from hlsdl.cli.reports import plan_blocks

        terminal.show(plan_blocks(document))


async def _inspect_one(source: str, options: FetchOptions, terminal: Terminal, _emit: Emit) -> None:
    from hlsdl.session import front

    document = (await front.inspect(source, options)).document()
    if terminal.json:
        terminal.document(document)
    else:
        from hlsdl.cli.reports import stream_blocks

        terminal.show(stream_blocks(document))
