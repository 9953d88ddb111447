"""Reading a presentation: from the source URL to the parsed playlists of every chosen stream.

Playlists come through `Documents`, which asks the bundle first and the origin second: after an interruption the
stored copies answer, and the same plan comes out of them.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hlsdl.errors import (
    ContentKeyError,
    HttpError,
    IntegrityError,
    LimitError,
    LiveStreamError,
    NetworkError,
    PlaylistError,
    PolicyError,
)
from hlsdl.planning.plan import DownloadPlan, make_plan
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.selection import Selection, StreamSource, select, select_media
from hlsdl.playlist.lines import PlaylistLimits
from hlsdl.playlist.models import MediaPlaylist, MultivariantPlaylist
from hlsdl.playlist.parsing import parse_playlist
from hlsdl.session.sources import MOST_BYTES, Source
from hlsdl.session.together import together
from hlsdl.transfer.client import Client
from hlsdl.transfer.content import why_not_playlist

logger = logging.getLogger(__name__)

LIMITS = PlaylistLimits(max_bytes=MOST_BYTES)
MOST_SEGMENTS_OF_A_JOB = 4_000_000
WEBVTT_SIGNATURE = b"WEBVTT"
OF_A_PLACE = (HttpError, IntegrityError, LimitError, NetworkError, PlaylistError, PolicyError)
"""What the place of a playlist can be the reason for, so that another one may do better."""
MAY_HAVE_MOVED = frozenset({401, 403, 404, 410})
"""The answers after which reading the playlists again may help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A playlist as the origin served it."""

    data: bytes = field(repr=False)
    url: str = field(repr=False)
    """Where it was asked for."""
    final_url: str = field(repr=False)
    """Where it came from, after redirects: the base of its URIs."""


class Documents:
    """Playlists by URL: those already stored, else fetched once; without a client only those that are stored."""

    def __init__(self, client: Client | None, stored: Mapping[str, Document] | None = None) -> None:
        self._client = client
        self._known: dict[str, Document] = dict(stored or {})
        self.stored = frozenset(self._known)
        """URLs of the documents that came from the bundle."""
        self.notes: list[str] = []
        """What people should know of where they came from, one sentence each."""
        for known in self._known.values():
            if client is not None:
                client.met_playlist(known.final_url)
        self.address_now: Callable[[str], Awaitable[str | None]] | None = None
        """Asked for another URL of a playlist that is refused: a stored multivariant playlist names those of then."""

    async def read(self, url: str) -> Document:
        """The document at `url`.

        Raises:
            HlsdlError: it cannot be fetched.
        """
        known = self._known.get(url)
        if known is None:
            if self._client is None:
                return self.known(url)
            body = await self._client.read(url, kind="playlist", limit=LIMITS.max_bytes)
            known = self._known[url] = Document(data=body.data, url=url, final_url=body.url)
        return known

    async def read_any(self, url: str, alternates: Iterable[str]) -> Document:
        """The document at `url`, or when that cannot be had, of the first redundant copy that can, as if from `url`."""
        others = tuple(alternates)
        try:
            # What is no playlist is only told from a bad one where something else can be had in its place.
            return await self.read(url) if not others else _playlist(await self.read(url))
        except OF_A_PLACE as error:
            for alternate in others:
                try:
                    copy = _playlist(await self.read(alternate))
                except OF_A_PLACE as refusal:
                    logger.info("a redundant copy is not there either: %s", refusal.message)
                    continue
                self._known[url] = replace(copy, url=url)
                self.notes.append(f"a playlist comes from a redundant copy: {error.message}")
                return self._known[url]
            now = await self.address_now(url) if self.address_now and error.http_status in MAY_HAVE_MOVED else None
            if now is None or now == url:
                raise error
            self._known[url] = replace(await self.read(now), url=url)
            return self._known[url]

    def known(self, url: str) -> Document:
        """A document that was read before, or is stored.

        Raises:
            IntegrityError: it should be stored, and is not, or is damaged.
        """
        document = self._known.get(url)
        if document is None:
            raise IntegrityError(
                "a playlist that the bundle was made from is missing or damaged", hint="`hlsdl repair` fetches it again"
            )
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """The source's own playlist."""

    document: Document
    playlist: MultivariantPlaylist | MediaPlaylist

    @property
    def master(self) -> MultivariantPlaylist | None:
        """The multivariant playlist, or None when the source is a media playlist."""
        return self.playlist if isinstance(self.playlist, MultivariantPlaylist) else None


def _playlist(document: Document) -> Document:
    """The document when it begins like a playlist, or is one bare WebVTT file; else PlaylistError."""
    what = why_not_playlist(document.data)
    if what is not None and not _is_webvtt(document):
        raise PlaylistError(f"the server sends {what} where a playlist was asked for", url=document.url)
    return document


async def read_root(documents: Documents, source: Source) -> Root:
    """Read and parse what the source names."""
    return parse_root(await documents.read(source.url), source)


def parse_root(document: Document, source: Source) -> Root:
    """Parse what the source named."""
    base = source.base_url or document.final_url
    playlist = parse_playlist(document.data, base, requested_url=source.url, limits=LIMITS)
    return Root(document=document, playlist=playlist)


def choose(root: Root, wishes: Iterable[Preferences], dropped: Collection[str] = ()) -> Selection:
    """Everything that these wishes together ask for: each is selected by itself, and each stream counts once.

    A wish that shares video sees the variants of the wishes before it, so what came earlier is never chosen anew.
    The streams with the ids in `dropped` are left out in the end: that they are gone changes no other choice.
    """
    if root.master is None:
        assert isinstance(root.playlist, MediaPlaylist)  # noqa: S101 - the two kinds are exhaustive
        return select_media(root.playlist, root.document.url, wishes)
    parts: list[Selection] = []
    for preferences in wishes:
        videos = {one.uri for part in parts for one in part.variants}
        parts.append(select(root.master, preferences, videos=videos))
    streams = {stream.url: stream for part in reversed(parts) for stream in part.streams}
    order = dict.fromkeys(stream.url for part in parts for stream in part.streams)
    return Selection(
        streams=tuple(streams[url] for url in order),
        choices=tuple(dict.fromkeys(choice for part in parts for choice in part.choices)),
        variants=tuple(dict.fromkeys(one for part in parts for one in part.variants)),
        audio=tuple(dict.fromkeys(one for part in parts for one in part.audio)),
        subtitles=tuple(dict.fromkeys(one for part in parts for one in part.subtitles)),
    ).without(dropped)


async def read_streams(documents: Documents, root: Root, selection: Selection) -> DownloadPlan:
    """Read the media playlist of every chosen stream, all at once, and make the plan.

    Raises:
        PlaylistError: one of them is no media playlist.
        LimitError: the job has more segments than we accept.
    """
    return plan_streams(root, selection, await read_texts(documents, root, selection))


async def read_texts(documents: Documents, root: Root, selection: Selection) -> Sequence[Document]:
    """Read the media playlist of every chosen stream, all at once; none when the source is a media playlist itself."""
    if root.master is None:
        return ()
    return await together(documents.read_any(stream.url, stream.alternates) for stream in selection.streams)


def plan_streams(root: Root, selection: Selection, texts: Sequence[Document]) -> DownloadPlan:
    """The plan for chosen streams whose media playlists are `texts`, in the same order.

    Raises:
        PlaylistError: one of them is no media playlist.
        LimitError: the job has more segments than we accept.
    """
    if root.master is None:
        return make_plan([(selection.streams[0], _media(root.playlist, selection.streams[0]))])
    variables = root.master.variables
    read = [
        (stream, _parse_stream(stream, text, variables)) for stream, text in zip(selection.streams, texts, strict=True)
    ]
    longest = max((playlist.duration for _, playlist in read if playlist is not None), default=None)
    streams: list[tuple[StreamSource, MediaPlaylist]] = []
    for (stream, playlist), text in zip(read, texts, strict=True):
        if playlist is not None:
            streams.append((stream, playlist))
        elif longest is not None:
            streams.append((stream, _single_file_playlist(text, longest)))
    plan = make_plan(streams, root.master)
    if plan.segments > MOST_SEGMENTS_OF_A_JOB:
        raise LimitError(f"the chosen streams have more than {MOST_SEGMENTS_OF_A_JOB:,} segments together")
    return plan


async def read_stream(documents: Documents, stream: StreamSource, variables: Mapping[str, str]) -> MediaPlaylist:
    """Read the media playlist of one stream.

    Raises:
        PlaylistError: it is no media playlist.
    """
    document = await documents.read(stream.url)
    playlist = _parse_stream(stream, document, variables)
    if playlist is None:
        raise PlaylistError("the subtitles are one bare file, where a playlist was before", url=stream.url)
    return playlist


def refuse_unfinished(plan: DownloadPlan) -> None:
    """Only finished streams are stored whole.

    Raises:
        LiveStreamError: one of the streams is still growing.
    """
    for stream in plan.streams:
        if stream.playlist.is_live:
            raise LiveStreamError(
                f"the {stream.source.kind} stream is live: its playlist has no EXT-X-ENDLIST",
                url=stream.source.url,
                hint="run it again when the stream has ended",
            )


def refuse_empty(plan: DownloadPlan) -> None:
    """A bundle without a single segment is none.

    Raises:
        PlaylistError: every segment of every stream is a gap (EXT-X-GAP).
    """
    if not plan.segments:
        raise PlaylistError(
            "there is nothing to store: every segment is declared absent (EXT-X-GAP)",
            hint="another variant may have them; else ask the one who runs this stream",
        )


def refuse_protected(plan: DownloadPlan) -> None:
    """Say so before the first segment when nothing here could play the result.

    Raises:
        ContentKeyError: a stream needs a key system.
    """
    for stream in plan.streams:
        if stream.protection.obstacle is not None:
            raise ContentKeyError(
                f"the {stream.source.kind} stream cannot be played offline here: {stream.protection.obstacle}",
                url=stream.source.url,
                hint="--keep-protected stores the ciphertext as it is, for a player that has the key system",
            )


def _parse_stream(stream: StreamSource, document: Document, variables: Mapping[str, str]) -> MediaPlaylist | None:
    """The stream's playlist; None for a subtitle rendition that is one bare WebVTT file."""
    if stream.kind == "subtitles" and _is_webvtt(document):
        return None
    playlist = parse_playlist(
        document.data, document.final_url, requested_url=document.url, imported=variables, limits=LIMITS
    )
    return _media(playlist, stream)


def _is_webvtt(document: Document) -> bool:
    return document.data.removeprefix(b"\xef\xbb\xbf").startswith(WEBVTT_SIGNATURE)


def _media(playlist: MultivariantPlaylist | MediaPlaylist, stream: StreamSource) -> MediaPlaylist:
    if isinstance(playlist, MediaPlaylist):
        return playlist
    # Depth is exactly two: a multivariant playlist inside another one is a loop or a trick.
    raise PlaylistError(
        f"the {stream.kind} stream is a multivariant playlist, where a media playlist must be", url=stream.url
    )


def _single_file_playlist(document: Document, duration: object) -> MediaPlaylist:
    """A playlist around one WebVTT file for the whole film, which players expect to be in one."""
    text = (
        f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{-(-float(str(duration)) // 1):.0f}\n"
        f"#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:{duration},\n{document.final_url}\n#EXT-X-ENDLIST\n"
    )
    playlist = parse_playlist(text.encode(), document.final_url + "#playlist", limits=LIMITS)
    assert isinstance(playlist, MediaPlaylist)  # noqa: S101 - the text above has one segment
    return playlist
