"""The asset: a stream to keep offline, or a bundle that has it already (AVURLAsset).

`load()` reads the multivariant playlist, the bundle's own when it is one; after it the variants and media selections
are there. What is chosen of them, `wanted` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hlsdl.bundle.layout import SUFFIX, path_given
from hlsdl.errors import UsageError, redact
from hlsdl.planning.asset_variant import AssetVariant, asset_variants
from hlsdl.planning.media_selection import (
    MediaSelection,
    MediaSelectionCriteria,
    MediaSelectionGroup,
    media_selection_groups,
    select_automatically,
)
from hlsdl.playlist.models import MultivariantPlaylist
from hlsdl.session.bundles import Bundle
from hlsdl.session.contents import stored_documents
from hlsdl.session.keys import KeyProvider
from hlsdl.session.presentation import Documents, read_root
from hlsdl.session.provenance import client_of
from hlsdl.session.sources import Source, parse_source, source_of
from hlsdl.transfer.options import TransferOptions


class Asset:
    """A stream by its address, or a bundle by its path; the same value may be given to several tasks.

    Args:
        source: an http(s) URL of a playlist, the path of a playlist file, or a bundle or its path. A task on a bundle
            augments it: only what is missing is fetched.
        headers: sent to the source's origin and to nobody else.
        cookies: names and values, sent to the source's origin and to nobody else.
        key_provider: gives content keys before their URLs are asked. It lives in this process only: a task that is
            restored asks for keys by their URLs unless it is given one again (`task.asset.key_provider`).
        base_url: of a playlist file: where its relative URIs point.

    Raises:
        UsageError: `source` is none of these.

    Source: AVURLAsset(url:options:), AVURLAssetHTTPHeaderFieldsKey, AVURLAssetHTTPCookiesKey.
    """

    def __init__(
        self,
        source: str | Path | Bundle,
        *,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        key_provider: KeyProvider | None = None,
        base_url: str | None = None,
    ) -> None:
        self.bundle_path: Path | None = None
        """The bundle that this asset is, or None."""
        source = source.path if isinstance(source, Bundle) else source
        if not isinstance(source, str):
            source = path_given(source, "an asset")
        self._file = Path(source) if "://" not in str(source) else None
        self.source = self._source_of(source, base_url)
        """Where the stream comes from."""
        self.key_provider = key_provider
        self._headers = tuple((headers or {}).items())
        self._cookies = tuple((cookies or {}).items())
        self._master: MultivariantPlaylist | None = None
        self._is_loaded = False

    def __repr__(self) -> str:
        return f"Asset({self.bundle_path or self.url!r})"

    @property
    def place(self) -> str:
        """What this asset can be made of again in another process: a URL, or an absolute path."""
        if self.bundle_path is not None:
            return str(self.bundle_path.absolute())
        return str(self._file.absolute()) if self._file is not None else self.source.url

    @property
    def url(self) -> str:
        """The source for people: without user info and query values."""
        return redact(self.source.url)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Header fields of requests to the source's origin, cookies among them; not for people to see."""
        pairs = "; ".join(f"{name}={value}" for name, value in self._cookies)
        return (*self._headers, ("Cookie", pairs)) if pairs else self._headers

    @property
    def bundle(self) -> Bundle | None:
        """The bundle as it is now, when this asset is one (AVURLAsset.assetCache)."""
        return Bundle.open(self.bundle_path) if self.bundle_path is not None else None

    async def load(self, options: TransferOptions | None = None) -> Asset:
        """Read the multivariant playlist, once; returns the asset itself.

        Raises:
            HlsdlError: it cannot be read.

        Source: AVAsset.loadValuesAsynchronously(forKeys: ["variants", "availableMediaCharacteristics…"]).
        """
        if not self._is_loaded:
            transfer = options or TransferOptions(headers=self.headers)
            bundle = self.bundle
            async with client_of(self.source, transfer, bundle) as client:
                documents = Documents(client, stored_documents(bundle))
                self._master = (await read_root(documents, self.source)).master
            self._is_loaded = True
        return self

    @property
    def variants(self) -> tuple[AssetVariant, ...]:
        """In playlist order, none of a media playlist; UsageError before `load` (AVURLAsset.variants)."""
        master = self._loaded()
        return asset_variants(master) if master is not None else ()

    @property
    def media_selection_groups(self) -> tuple[MediaSelectionGroup, ...]:
        """What may be chosen: audible, legible and visual groups, as far as the stream has them.

        Source: AVAsset.loadMediaSelectionGroup(for:).
        """
        master = self._loaded()
        return media_selection_groups(master) if master is not None else ()

    @property
    def preferred_media_selection(self) -> MediaSelection:
        """The defaults of every group (AVAsset.preferredMediaSelection)."""
        return self.media_selection()

    @property
    def all_media_selections(self) -> tuple[MediaSelection, ...]:
        """Enough selections for every option to be in one: the preferred one, then those that differ in one group.

        Source: AVAsset.allMediaSelections, which has every combination.
        """
        preferred = self.preferred_media_selection
        others = (
            preferred.with_option(group, option) for group in self.media_selection_groups for option in group.options
        )
        return tuple(dict.fromkeys((preferred, *others)))

    def media_selection(self, criteria: Mapping[str, MediaSelectionCriteria] | None = None) -> MediaSelection:
        """The selection that suits `criteria` best, by kind of group (`{"audible": …}`), else the defaults.

        Source: AVPlayerMediaSelectionCriteria.
        """
        return select_automatically(self.media_selection_groups, criteria or ())

    def _loaded(self) -> MultivariantPlaylist | None:
        if not self._is_loaded:
            raise UsageError("the asset is not loaded", hint="`await asset.load()` reads its playlist")
        return self._master

    def _source_of(self, source: str | Path, base_url: str | None) -> Source:
        path = Path(source)
        try:
            is_folder = source != "" and "://" not in str(source) and path.is_dir()
        except OSError:  # a name that is too long
            is_folder = False
        if is_folder:
            manifest = Bundle.open(path).manifest
            self.bundle_path = path
            return source_of(manifest)
        if path.suffix == SUFFIX and "://" not in str(source):
            raise UsageError(f"there is no bundle `{path}`", hint="an asset is a URL, a playlist file or a bundle")
        return parse_source(str(source), base_url=base_url)
