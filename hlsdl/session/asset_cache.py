"""What of an asset plays without a network: its groups, and the options of each that are stored whole.

Sources: AVURLAsset.assetCache, AVAssetCache.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hlsdl.bundle.layout import KEYS, split_path
from hlsdl.bundle.manifest import count_segments
from hlsdl.bundle.reading import Bundle
from hlsdl.planning.media_selection import MediaSelectionGroup, MediaSelectionOption, media_selection_groups
from hlsdl.planning.option_ids import KINDS, option_id
from hlsdl.playlist.models import MultivariantPlaylist, Rendition
from hlsdl.session.contents import every_document
from hlsdl.session.presentation import Documents, parse_root
from hlsdl.session.sources import source_of


@dataclass(frozen=True, slots=True)
class AssetCache:
    """The offline side of one bundle (AVAssetCache). What is on disk is looked at when it is asked."""

    bundle: Bundle = field(repr=False)

    @property
    def is_playable_offline(self) -> bool:
        """Whether one complete rendition of the asset is here; not that every option is (isPlayableOffline)."""
        return self.bundle.is_playable_offline

    @property
    def media_selection_groups(self) -> tuple[MediaSelectionGroup, ...]:
        """The groups of the asset with all of their options, also those that are not stored.

        Raises:
            IntegrityError: the stored source playlist is damaged.
        """
        master = self._master()
        return media_selection_groups(master) if master is not None else ()

    def media_selection_options(self, group: MediaSelectionGroup | str) -> tuple[MediaSelectionOption, ...]:
        """The options of a group (or the group of this kind) that can be presented offline; empty when none can.

        Raises:
            IntegrityError: the stored source playlist is damaged.

        Source: AVAssetCache.mediaSelectionOptions(in:).
        """
        kind = group if isinstance(group, str) else group.kind
        master = self._master()
        if master is None:
            return ()
        whole = self._whole_streams()
        members = (one for one in master.renditions if KINDS.get(one.type) == kind)
        here = {option_id(one) for one in members if _is_here(one, master, whole)}
        options = (one for found in media_selection_groups(master) if found.kind == kind for one in found.options)
        return tuple(one for one in options if one.id in here)

    def media_presentation_languages(self, group: MediaSelectionGroup | str) -> tuple[str, ...]:
        """The languages (BCP 47) of a group that can be presented offline, each once, in playlist order.

        Raises:
            IntegrityError: the stored source playlist is damaged.

        Source: AVAssetCache.mediaPresentationLanguages(for:).
        """
        languages = (one.language for one in self.media_selection_options(group))
        return tuple(dict.fromkeys(one for one in languages if one is not None))

    def _master(self) -> MultivariantPlaylist | None:
        source = source_of(self.bundle.manifest)
        document = Documents(None, every_document(self.bundle)).known(source.url)
        return parse_root(document, source).master

    def _whole_streams(self) -> frozenset[str]:
        """The source URLs of the streams of which everything is here and can be played."""
        sizes, entries = self.bundle.sizes(), self.bundle.entries
        counts = count_segments(entries.keys() - self.bundle.manifest.gaps)
        damaged = {split_path(one.path)[0] for one in entries.values() if sizes.get(one.path) != one.size}
        has_keys = KEYS not in damaged and all(key.path in entries for key in self.bundle.manifest.keys)
        return frozenset(
            one.source_url
            for one in self.bundle.streams
            if one.complete
            and not one.protected
            and (has_keys or one.encryption == "none")
            and one.id not in damaged
            and one.playlist in sizes
            and counts.get(one.id, 0) == one.segments
        )


def _is_here(rendition: Rendition, master: MultivariantPlaylist, whole: frozenset[str]) -> bool:
    """Whether a rendition is stored: by itself, or inside a stored variant that names its group."""
    if rendition.uri is not None:
        return rendition.uri in whole
    groups = {"AUDIO": "audio", "VIDEO": "video", "SUBTITLES": "subtitles", "CLOSED-CAPTIONS": "closed_captions"}
    attribute = groups.get(rendition.type, "")
    return any(one.uri in whole and getattr(one, attribute, None) == rendition.group for one in master.variants)
