"""The asset task: one stream on its way into a bundle, with everything an app may ask it (AVAssetDownloadTask).

The work is `session.download`; here its values become what a delegate is told, and what survives the process is written
down and read again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError

from hlsdl.bundle.layout import SUFFIX, path_given
from hlsdl.bundle.reading import path_of
from hlsdl.bundle.threads import in_thread
from hlsdl.errors import HlsdlError, IntegrityError, UsageError
from hlsdl.library.bundles import remember
from hlsdl.library.tasks import TaskRow
from hlsdl.planning.asset_variant import asset_variants
from hlsdl.planning.media_selection import MediaSelection, media_selection_groups, resolved_selection
from hlsdl.planning.preferences import Preferences
from hlsdl.session import events
from hlsdl.session.artwork import read_artwork
from hlsdl.session.begun import Begun
from hlsdl.session.bundles import Bundle
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.download import download
from hlsdl.tasks.asset import Asset
from hlsdl.tasks.credentials import authorization
from hlsdl.tasks.loading import TimeRange, expected_range, is_complete, loaded_ranges, newly_loaded
from hlsdl.tasks.session_configuration import SessionConfiguration, SessionKind
from hlsdl.tasks.states import Phase, Trigger
from hlsdl.tasks.task import Owner, Task, TaskProgress

logger = logging.getLogger(__name__)

DID_LOAD_INTERVAL = 0.25
"""Seconds between two looks at what is loaded."""
SAVE_INTERVAL = 5.0
"""Seconds between two notes of how far a task is."""


class WantedAsset(BaseModel):
    """What an asset task was asked for, as its row keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_name: Literal["hlsdl.asset-task/1"] = "hlsdl.asset-task/1"
    source: str = Field(repr=False)
    """A URL, or the path of a playlist file or bundle."""
    base_url: str | None = Field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = Field(default=(), repr=False)
    title: str | None = None
    artwork: Base64Bytes | None = Field(default=None, repr=False)
    destination: str
    """A folder, or a path that ends in `.movpkg`."""
    wishes: tuple[Preferences, ...]
    selections: tuple[tuple[tuple[str, str | None], ...], ...] = ()
    """Of an aggregate task: its children."""
    keep_protected: bool = False
    allow_gaps: bool = False

    @classmethod
    def read(cls, text: str) -> WantedAsset:
        """What a row says; IntegrityError when nobody can make sense of it."""
        try:
            return cls.model_validate_json(text)
        except (ValidationError, UsageError):
            raise IntegrityError("a stored task cannot be read", hint="make a new task for the same asset") from None


@dataclass(slots=True)
class _Loaded:
    """What the delegate was told; of a run before this one, too."""

    begun: Begun
    ranges: tuple[TimeRange, ...] = ()
    complete: set[int] = field(default_factory=set)
    streams: dict[int, frozenset[str]] = field(default_factory=dict)
    """Child -> what it needs, once that was asked."""
    looked: float = 0.0
    later: asyncio.TimerHandle | None = None
    """The next look, when something came since the last."""
    saved: float = 0.0


class AssetDownloadTask(Task[Bundle]):
    """Downloads one asset; awaited it gives its `Bundle`. Source: AVAssetDownloadTask, AVAggregateAssetDownloadTask."""

    def __init__(
        self, owner: Owner, row: TaskRow, configuration: SessionConfiguration, *, asset: Asset | None = None
    ) -> None:
        """From its row; `asset` is the app's own object while the process lives."""
        super().__init__(owner, row)
        self.wanted = WantedAsset.read(row.configuration)
        self.asset = asset or Asset(
            self.wanted.source, headers=dict(self.wanted.headers), base_url=self.wanted.base_url
        )
        """The asset (AVAssetDownloadTask.urlAsset)."""
        self._configuration = configuration
        self._is_announced = False
        self._loaded: _Loaded | None = None

    @property
    def loaded_time_ranges(self) -> tuple[TimeRange, ...]:
        """What is stored and playable, exactly; with gaps when it has gaps. Empty until it runs in this process.

        Source: AVAssetDownloadTask.loadedTimeRanges.
        """
        if self._loaded is None:
            return ()
        return loaded_ranges(self._loaded.begun.plan, self._loaded.begun.stored)

    def loaded_time_ranges_for(self, selection: MediaSelection) -> tuple[TimeRange, ...]:
        """What is stored and playable of one of an aggregate task's selections.

        Raises:
            UsageError: the task has no such selection.

        Source: aggregateAssetDownloadTask:didLoad:totalTimeRangesLoaded:timeRangeExpectedToLoad:forMediaSelection:.
        """
        if selection.encode() not in self.wanted.selections:
            raise UsageError("the task has no such media selection", hint="`task.media_selections` are those it has")
        if self._loaded is None:
            return ()
        begun, number = self._loaded.begun, self.wanted.selections.index(selection.encode())
        return loaded_ranges(begun.plan, begun.stored, self._streams_of(number))

    @property
    def media_selections(self) -> tuple[MediaSelection, ...]:
        """The children of an aggregate task, in their order; else none.

        Source: AVAggregateAssetDownloadTask's media selections.
        """
        master = self._loaded.begun.master if self._loaded is not None else None
        groups = media_selection_groups(master) if master is not None else ()
        return tuple(MediaSelection.decode(one, groups) for one in self.wanted.selections)

    async def work(self) -> Bundle:
        """Tell the story of `download`, watching it."""
        try:
            # Once it has begun, what is dropped from its bundle was dropped later than it was asked for.
            anew = self.location is None
            done = await download(self.asset.source, self._options(), self._heard, watch=self._watch, anew=anew)
        finally:
            self._look()
        if self._configuration.kind is not SessionKind.EPHEMERAL:
            await in_thread(self._tell_library, done.bundle)
        self.progress = TaskProgress(
            completed_bytes=done.bundle.bytes, total_bytes=done.bundle.bytes, total_is_estimate=False, fraction=1.0
        )
        return done.bundle

    def _tell_library(self, bundle: Bundle) -> None:
        try:
            remember(bundle, now=time.time())
        except HlsdlError as error:  # the bundle is whole all the same
            logger.warning("the library does not learn of `%s`: %s", bundle.path.name, error.message)

    def stored_result(self) -> Bundle | None:
        """The bundle, when it is still where it was."""
        if self.phase is not Phase.FINISHED or self.location is None:
            return None
        try:
            return Bundle.open(self.location)
        except HlsdlError:
            return None  # moved or removed since: the delegate gets its place all the same

    def _options(self) -> FetchOptions:
        wanted = self.wanted
        place = Path(wanted.destination)
        known = self.location or self.asset.bundle_path or (place if place.suffix == SUFFIX else None)
        return FetchOptions(
            preferences=wanted.wishes[0],
            auxiliary=wanted.wishes[1:],
            transfer=self._configuration.transfer_options(self.asset.headers, authorization(self.credential)),
            output=known,
            directory=place if known is None else known.parent,
            title=wanted.title,
            artwork=wanted.artwork,
            base_url=wanted.base_url,
            keep_protected=wanted.keep_protected,
            allow_gaps=wanted.allow_gaps,
            key_provider=self.asset.key_provider,
        )

    # -- what the story tells --------------------------------------------------------------------------------------

    def _watch(self, begun: Begun) -> None:
        before = self._loaded or _Loaded(begun)
        now = asyncio.get_running_loop().time()
        self._loaded = _Loaded(begun, ranges=before.ranges, complete=before.complete, looked=now)
        self._note(location=str(begun.path), title=begun.title)
        if self.row.expected_bytes is None:
            self._note(expected_bytes=begun.plan.estimate().bytes)
        self.trigger(Trigger.RESOLVE)
        if self._is_announced:
            return
        self._is_announced = True
        tell = self._owner.delivery.tell
        tell("will_download_to", self, begun.path)
        variants = asset_variants(begun.master) if begun.master is not None else ()
        chosen = {one.index for one in begun.selection.variants}
        tell("will_download_variants", self, tuple(one for one in variants if one.index in chosen))
        groups = media_selection_groups(begun.master) if begun.master is not None else ()
        tell("did_resolve_media_selection", self, resolved_selection(groups, begun.selection))

    def _heard(self, event: events.Event) -> None:
        if isinstance(event, events.Progressed):
            self.progress = TaskProgress(
                completed_bytes=event.completed_bytes,
                total_bytes=event.total_bytes,
                total_is_estimate=event.total_is_estimate,
                fraction=max(event.fraction, self.progress.fraction),
                rate=event.rate,
                eta=event.eta,
            )
            self._look_now_and_then()
        self.tell(event)

    def _look_now_and_then(self) -> None:
        loaded, now = self._loaded, asyncio.get_running_loop().time()
        if loaded is None:
            return
        if now - loaded.saved >= SAVE_INTERVAL:
            loaded.saved = now
            self._note(completed_bytes=self.progress.completed_bytes, total_bytes=self.progress.total_bytes)
        if now - loaded.looked >= DID_LOAD_INTERVAL:
            self._look()
        elif loaded.later is None:
            loaded.later = asyncio.get_running_loop().call_later(DID_LOAD_INTERVAL, self._look)

    def _look(self) -> None:
        """Tell the delegate what is loaded since the last look."""
        loaded, delivery = self._loaded, self._owner.delivery
        if loaded is not None and loaded.later is not None:
            loaded.later.cancel()
            loaded.later = None
        if loaded is None or not any(delivery.hears(one, self) for one in ("did_load", "did_complete_for")):
            return
        begun = loaded.begun
        loaded.looked = asyncio.get_running_loop().time()
        before, loaded.ranges = loaded.ranges, loaded_ranges(begun.plan, begun.stored)
        for new in newly_loaded(before, loaded.ranges):
            delivery.tell("did_load", self, new, loaded.ranges, expected_range(begun.plan))
        for number, selection in enumerate(self.media_selections):
            if number not in loaded.complete and is_complete(begun.plan, begun.stored, self._streams_of(number)):
                loaded.complete.add(number)
                delivery.tell("did_complete_for", self, selection)

    def _streams_of(self, number: int) -> frozenset[str]:
        """The ids of the streams that a child needs: the shared video, and its own renditions."""
        loaded = self._loaded
        if loaded is None:
            return frozenset()
        if number not in loaded.streams:
            wish, only = self.wanted.wishes[0], self.wanted.selections[number]
            loaded.streams[number] = loaded.begun.streams_for(wish, only=only)
        return loaded.streams[number]


def destination_for(destination: str | Path | None, asset: Asset, library: Path) -> str:
    """Where a task's bundle goes, as its row keeps it.

    Raises:
        UsageError: a bundle is to be augmented and another place was named; or no place can be called that.
    """
    place = None if destination is None else path_of(destination)
    if asset.bundle_path is None:
        return str((place or library).absolute())
    if place is not None and place.absolute() != asset.bundle_path.absolute():
        raise UsageError("a bundle is augmented where it is", hint="leave the destination out")
    return str(asset.bundle_path.absolute())


def wanted_asset(
    asset: Asset,
    wishes: tuple[Preferences, ...],
    *,
    title: str | None,
    artwork: bytes | str | Path | None,
    destination: str,
    selections: Iterable[MediaSelection] = (),
    keep_protected: bool = False,
    allow_gaps: bool = False,
) -> WantedAsset:
    """What a new task writes down.

    Raises:
        UsageError: the artwork cannot be read, or is no picture; or something has a value that it cannot have.
    """
    picture = read_artwork(artwork if isinstance(artwork, bytes | None) else path_given(artwork, "the artwork"))
    wanted = WantedAsset.model_construct(
        source=asset.place,
        base_url=asset.source.base_url,
        headers=asset.headers,
        title=title,
        artwork=picture.data if picture is not None else None,
        destination=destination,
        wishes=wishes,
        selections=tuple(one.encode() for one in selections),
        keep_protected=keep_protected,
        allow_gaps=allow_gaps,
    )
    return _readable(wanted)


def _readable(wanted: WantedAsset) -> WantedAsset:
    """The same; UsageError when nobody could read it again, which is better said now than after a restart."""
    try:
        return WantedAsset.model_validate_json(wanted.model_dump_json(warnings=False))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(str(one) for one in first["loc"] if not isinstance(one, int))
        hint = "numbers are bits per second; media selections are those of the asset, not options"
        raise UsageError(f"`{name}` has a value it cannot have: {first['msg']}", hint=hint) from None
    except ValueError:
        raise UsageError(
            "the configuration has a value that cannot be written down", hint="give plain values"
        ) from None
