"""The commands of the library: list, rm, gc, keep. What they decide and do is `session.storage`'s business."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from hlsdl.cli.flags import BundleArgument, CommonFlags, bundle_path
from hlsdl.cli.interrupts import Interruption
from hlsdl.cli.parameters import Job
from hlsdl.cli.settings import load
from hlsdl.cli.terminal import Terminal
from hlsdl.errors import HlsdlError, UsageError, redact_typed

NEVER = "never"
LAST_SECOND = datetime.max.replace(microsecond=0, tzinfo=UTC)
ROOM = "When room is needed"

BundleArguments = Annotated[
    list[Path],
    Argument(metavar="BUNDLE…", help="The folders of bundles (`….movpkg`).", show_default=False, parser=bundle_path),
]
FolderArguments = Annotated[
    list[Path] | None,
    Argument(metavar="[FOLDER…]", help="Also take in the bundles in these folders.", parser=bundle_path),
]


def list(folders: FolderArguments = None, *, common: CommonFlags) -> Job:  # noqa: A001 - the command's name
    """Show every bundle that the library knows."""

    def job(terminal: Terminal, _interruption: Interruption) -> int:
        from hlsdl.session.storage import StorageManager

        load(terminal, common)
        for folder in folders or ():
            if not folder.is_dir():
                raise UsageError(f"`{folder}` is no folder")
        bundles = [one.document() for one in StorageManager().bundles(folders or ())]
        document = {"schema": "hlsdl.library/1", "bytes": sum(one["bytes"] for one in bundles), "bundles": bundles}
        if terminal.json:
            terminal.document(document)
        else:
            from hlsdl.cli.reports import library_blocks

            terminal.show(library_blocks(document))
        return 0

    return job


def rm(bundles: BundleArguments, *, common: CommonFlags) -> Job:
    """Delete bundles; never one that is being written or played."""

    def job(terminal: Terminal, _interruption: Interruption) -> int:
        from hlsdl.cli.downloads import report
        from hlsdl.session.storage import StorageManager

        load(terminal, common)
        storage, first = StorageManager(), 0
        for path in bundles:
            try:
                freed = storage.remove(path)
            except HlsdlError as error:
                code = report(error, terminal, source=redact_typed(str(path)) if len(bundles) > 1 else None)
                first = first or code
                continue
            if terminal.json:
                terminal.document({"schema": "hlsdl.removal/1", "path": str(path), "bytes": freed})
            else:
                terminal.data(str(path))
        return first

    return job


def gc(
    *,
    free: Annotated[
        str | None, Option(metavar="SIZE", help="Give back this much, such as `5G`.", rich_help_panel=ROOM)
    ] = None,
    quota: Annotated[
        str | None, Option(metavar="SIZE", help="What all may have together.", rich_help_panel=ROOM)
    ] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what would be deleted.", rich_help_panel=ROOM)] = False,
    common: CommonFlags,
) -> Job:
    """Make room: expired bundles first, then by last use, important ones last."""

    def job(terminal: Terminal, _interruption: Interruption) -> int:
        from hlsdl.config.values import parse_size
        from hlsdl.session.storage import StorageManager

        settings = load(terminal, common, quota=quota).settings
        try:
            wanted = None if free is None else parse_size(free)
        except ValueError as error:
            raise UsageError(f"`--free`: {error}") from error
        document = StorageManager().collect(free=wanted, quota=settings.quota, dry_run=dry_run).document()
        if terminal.json:
            terminal.document(document)
        else:
            from hlsdl.cli.reports import collection_blocks

            terminal.show(collection_blocks(document))
        if not document["enough"]:
            from hlsdl.cli.blocks import format_bytes

            short = format_bytes(document["needed"] - document["freed"])
            terminal.warn(f"that is {short} less than was asked for: nothing else may go")
        return 0

    return job


def keep(
    bundle: BundleArgument,
    *,
    until: Annotated[
        str | None,
        Option(metavar="DATE", help="Its last day, such as `2027-01-31`, or `never`.", rich_help_panel=ROOM),
    ] = None,
    important: Annotated[
        bool | None, Option("--important/--default", help="It goes last, or in its turn.", rich_help_panel=ROOM)
    ] = None,
    common: CommonFlags,
) -> Job:
    """Say how long a bundle is kept; without flags it is important and never expires."""

    def job(terminal: Terminal, _interruption: Interruption) -> int:
        from hlsdl.session.storage import StorageManagementPolicy, StorageManagementPriority, StorageManager

        load(terminal, common)
        storage = StorageManager()
        policy = storage.policy(bundle) or StorageManagementPolicy()
        pins = until is None and important is None
        priority = policy.priority
        if pins or important is not None:
            priority = StorageManagementPriority.DEFAULT if important is False else StorageManagementPriority.IMPORTANT
        expires = policy.expiration_date
        if pins or until is not None:
            expires = end_of(NEVER if until is None else until)
        policy = StorageManagementPolicy(priority=priority, expiration_date=expires)
        storage.set_policy(bundle, policy)
        document = {"schema": "hlsdl.policy/1", "path": str(bundle), **policy.document()}
        if terminal.json:
            terminal.document(document)
        else:
            from hlsdl.cli.reports import policy_blocks

            terminal.show(policy_blocks(document))
        return 0

    return job


def end_of(text: str) -> datetime | None:
    """Return the moment that `2027-01-31` (the end of that day), `2027-01-31T12:00` or `never` means.

    Without a zone it is the local one. On the last day of all, 9999-12-31, each means the last second that can be
    written down: what comes after it, or stands in another zone, cannot.

    Raises:
        UsageError: it is none of these.
    """
    if text == NEVER:
        return None
    try:
        is_day = len(text) <= len("2027-01-31")
        moment = datetime.combine(date.fromisoformat(text), time()) if is_day else datetime.fromisoformat(text)
        if moment.date() == date.max:
            return LAST_SECOND
        return (moment + timedelta(days=is_day)).astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"`--until`: `{text}` is no date such as `2027-01-31`", hint="or write `never`") from error
