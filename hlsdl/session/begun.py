"""What a download knows once everything is chosen and planned, for those who watch it more closely than by events.

Events say what people want to read; an app's task also wants the values themselves: variants, plan, what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from hlsdl.bundle.reading import Bundle
from hlsdl.planning.option_ids import Pairs
from hlsdl.planning.plan import DownloadPlan
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.selection import Selection, select
from hlsdl.playlist.models import MultivariantPlaylist
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.contents import stored_documents
from hlsdl.session.presentation import Documents, read_root, read_streams
from hlsdl.session.provenance import client_of
from hlsdl.session.same_streams import choose_again
from hlsdl.session.sources import Source
from hlsdl.session.wishes import asked_so_far


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A download whose segments are about to come."""

    path: Path
    """Where the bundle is."""
    title: str
    resumed: bool
    """Whether an earlier run left something."""
    master: MultivariantPlaylist | None = field(repr=False)
    """None when the source is a media playlist."""
    wishes: tuple[Preferences, ...]
    """Everything that this bundle was asked for so far, this time's last."""
    selection: Selection = field(repr=False)
    plan: DownloadPlan = field(repr=False)
    stored: Collection[str] = field(repr=False)
    """Paths of the objects that are stored, as they come: a live view."""

    def streams_for(self, preferences: Preferences, only: Pairs | None = None) -> frozenset[str]:
        """The ids of the streams that one wish alone asks for, or one of its media selections (`only`)."""
        planned = frozenset(stream.id for stream in self.plan.streams)
        if self.master is None:
            return planned
        return planned & {stream.id for stream in select(self.master, preferences, only=only).streams}


Watch = Callable[[Begun], None]
"""Called once, on the event loop's thread, before the first segment is asked for; must return quickly."""


def unwatched(_begun: Begun) -> None:
    """The watcher for callers that do not watch."""


async def recall(source: Source, options: FetchOptions, bundle: Bundle) -> Begun:
    """What was known when this bundle was fetched, from its stored playlists; a damaged one is read from its origin."""
    async with client_of(source, options.transfer, bundle) as client:
        documents = Documents(client, stored_documents(bundle))
        root = await read_root(documents, source)
        asked = asked_so_far(bundle).and_now(options.wishes, root.master)
        selection = choose_again(bundle, root, asked)
        plan = await read_streams(documents, root, selection)
    return Begun(
        path=bundle.path,
        title=bundle.title,
        resumed=True,
        master=root.master,
        wishes=asked.wishes,
        selection=selection,
        plan=plan,
        stored=bundle.entries.keys(),
    )
