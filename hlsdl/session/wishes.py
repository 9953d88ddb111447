"""What a bundle was asked for: its wishes, oldest first, and what was taken out since (`choices` of the manifest).

The bundle holds the union of its wishes without what was dropped. A wish that was made before a drop does not bring
it back; a later one does, when it names it (`planning.adding`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from hlsdl.bundle.manifest import Manifest
from hlsdl.bundle.reading import Bundle
from hlsdl.errors import IntegrityError, UsageError
from hlsdl.planning.preferences import Preferences
from hlsdl.playlist.models import MultivariantPlaylist


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a bundle holds, in the words of whoever asked."""

    wishes: tuple[Preferences, ...] = ()
    dropped: frozenset[str] = frozenset()
    """Ids of streams that the wishes lead to and that were taken out."""

    def choices(self) -> dict[str, Any]:
        """For the manifest."""
        dropped = {"dropped": sorted(self.dropped)} if self.dropped else {}
        return {"wishes": [asdict(wish) for wish in self.wishes], **dropped}

    def and_now(
        self,
        wishes: Iterable[Preferences],
        master: MultivariantPlaylist | None,
        named: Collection[str] | None = None,
        *,
        anew: bool = False,
    ) -> Asked:
        """This and more.

        Args:
            wishes: what is asked for now; those that were made before say nothing new, unless `named` does, or `anew`.
            master: what the source offers; None when it is one stream.
            named: the fields that were named now; None: those in which a new wish differs from the defaults.
            anew: whether they count as new though they were made before.
        """
        asked = tuple(wishes)
        # An earlier wish keeps its place: those after it may share its video.
        together = tuple(dict.fromkeys((*self.wishes, *asked)))
        if master is None or not self.dropped:
            return Asked(wishes=together)
        from hlsdl.planning.adding import asked_again  # needed where something was dropped

        new = asked if anew or named is not None else tuple(wish for wish in asked if wish not in self.wishes)
        return Asked(wishes=together, dropped=self.dropped - asked_again(master, new, self.dropped, named))

    def without(self, ids: Collection[str]) -> Asked:
        """The same with these streams taken out."""
        return replace(self, dropped=self.dropped | set(ids))


def asked_so_far(before: Bundle | None) -> Asked:
    """What an earlier run, if there was one, was asked for.

    Raises:
        IntegrityError: the manifest's choices cannot be read.
    """
    return asked_in(before.manifest) if before is not None else Asked()


def asked_in(manifest: Manifest) -> Asked:
    """What a manifest says that was asked for; older ones know of no drops.

    Raises:
        IntegrityError: its choices cannot be read.
    """
    from pydantic import TypeAdapter, ValidationError  # a new bundle has no wishes to read

    choices = manifest.choices
    try:
        wishes = TypeAdapter(tuple[Preferences, ...]).validate_python(choices.get("wishes", ()))
        dropped = TypeAdapter(frozenset[str]).validate_python(choices.get("dropped", ()))
    except (ValidationError, UsageError):
        raise IntegrityError(
            "the choices in `manifest.json` cannot be read", hint="`--force` starts the download over"
        ) from None
    return Asked(wishes=wishes, dropped=dropped)


def same_wishes(manifest: Manifest, now: Iterable[Preferences]) -> bool:
    """Whether the bundle was already asked for all of this."""
    earlier = asked_in(manifest).wishes
    return all(wish in earlier for wish in now)


def last_wish(manifest: Manifest) -> Preferences:
    """The most recent of the bundle's wishes; a bundle without any was asked for the defaults."""
    return (asked_in(manifest).wishes or (Preferences(),))[-1]
