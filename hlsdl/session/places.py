"""Where the bundle of a source is, and where a new one goes.

Whether a folder may be used is decided here; creating and locking it is `bundle.writing`'s business.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from hlsdl.bundle.durable import translating
from hlsdl.bundle.layout import (
    BOOT_XML,
    INDEX,
    JOURNAL,
    MANIFEST,
    ROOT_XML,
    SUFFIX,
    bundle_name,
    is_first_moment_name,
)
from hlsdl.bundle.reading import Bundle, read_manifest
from hlsdl.errors import DiskError, HlsdlError, IntegrityError, UsageError
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.contents import every_document
from hlsdl.session.presentation import parse_root
from hlsdl.session.sources import Source, title_in_url, title_of

logger = logging.getLogger(__name__)

MOST_NUMBERED_NAMES = 10_000


def find_bundle(source: Source, options: FetchOptions) -> Path | None:
    """The bundle of this very source that a second run goes on with, if there is one.

    Raises:
        UsageError: `-o` names something that is no bundle, or another source's.
        IntegrityError: it names a bundle with a damaged manifest.
    """
    if options.output is not None:
        return _named_bundle(options.output, source, force=options.force)
    title = options.title or title_in_url(source.url)
    for place in numbered(options.directory, title):
        if is_free(place):
            break
        if _source_there(place) == source.url:
            return place
    # Its number may be one behind a name that is free by now; and a stream that names itself in its session data has a
    # bundle whose name the URL does not tell.
    for place in sorted(options.directory.glob(f"*{SUFFIX}")) if options.directory.is_dir() else ():
        if _source_there(place) == source.url and (
            is_called(place, title) if options.title else _is_called_as_the_stream(place, source, certain=options.force)
        ):
            return place
    return None


def _is_called_as_the_stream(place: Path, source: Source, *, certain: bool) -> bool:
    """Whether a bundle of this source has the name that the stream gives itself, and not one that somebody gave it.

    `certain`: its playlist must say so, since the bundle is to be started over.
    """
    try:
        bundle = Bundle.open(place)
        stored = every_document(bundle).get(source.url)
        if stored is None and certain:
            return False
        # Where its playlist has not come yet, or is damaged, there is only what the bundle says.
        title = bundle.title if stored is None else title_of(source, parse_root(stored, source).master)
    except DiskError:
        raise
    except HlsdlError as error:
        logger.info("`%s` is left alone: %s", place, error.message)
        return False
    return is_called(place, title)


def place_for(title: str, options: FetchOptions) -> Path:
    """Where a new bundle of this title goes; a number is appended while the name is taken."""
    if options.output is not None:
        return options.output
    for place in numbered(options.directory, title):
        if is_free(place):
            return place
    raise UsageError(f"there are too many bundles called `{bundle_name(title)}`", hint="give another --title or folder")


def passed_over(place: Path, title: str) -> Iterator[str]:
    """What to say of damaged bundles that have the names before `place`: whose they are, nobody can tell."""
    for earlier in numbered(place.parent, title):
        if earlier == place or is_free(earlier):
            return
        damage = _damage_of(earlier)
        if damage is not None:
            yield f"`{earlier}` is left alone: {damage.message}"


def is_for(source: Source, place: Path) -> bool:
    """Whether no bundle is at `place`, or that of this source."""
    return _source_there(place) in (None, source.url)


def _named_bundle(output: Path, source: Source, *, force: bool) -> Path | None:
    if is_free(output):
        return None
    there = _source_there(output)
    if there == source.url:
        return output
    damage = _damage_of(output) if there is None else None
    if damage is not None and force:
        return output  # whose it is nobody can say any more; who names it and insists may start it over
    if damage is not None:
        raise damage
    what = "the bundle of another source" if there else "something that is no bundle"
    raise UsageError(f"`{output}` holds {what}", hint="choose another -o path, or remove what is there yourself")


def _damage_of(output: Path) -> IntegrityError | None:
    """What is wrong with a bundle whose manifest cannot be read; None when it can be, and when there is no bundle."""
    try:
        read_manifest(output)
    except IntegrityError as error:
        return IntegrityError(error.message, hint="choose another -o path; `--force` starts this one over")
    except HlsdlError:
        return None
    return None


def is_free(place: Path) -> bool:
    """Nothing is there, or only what a run left that was interrupted in its first moment or while it started over: the
    writer takes that over.

    A disk that cannot say is no answer: taking it for a no would start over on top of what is there.
    """
    with translating(str(place)):
        try:
            place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except ValueError:
            raise UsageError(f"`{str(place)!a}` cannot be a path") from None
        try:
            names = {one.name for one in place.iterdir()}
            is_emptied = JOURNAL in names and (place / JOURNAL).lstat().st_size == 0
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return False
    ours = {JOURNAL, INDEX, ROOT_XML, BOOT_XML} if is_emptied else {JOURNAL}
    return MANIFEST not in names and all(name in ours or is_first_moment_name(name) for name in names)


def _source_there(place: Path) -> str | None:
    try:
        return read_manifest(place).source_url
    except DiskError as error:
        if not isinstance(error.__cause__, PermissionError):
            raise
        return None
    except HlsdlError:
        # What cannot be read is not ours to resume; `_named_bundle` and `numbered` then leave it alone.
        return None


def is_called(place: Path, title: str) -> bool:
    """Whether a bundle has the name of this title, with or without a number."""
    found = re.search(rf" ([1-9][0-9]{{0,3}}){re.escape(SUFFIX)}$", place.name)
    numbers = (1,) if found is None else (1, int(found[1]))
    return any(place.name == bundle_name(title, number) for number in numbers)


def numbered(directory: Path, title: str) -> Iterator[Path]:
    """`<title>.movpkg`, `<title> 2.movpkg` and so on."""
    return (directory / bundle_name(title, number) for number in range(1, MOST_NUMBERED_NAMES))
