"""Reading the package files that another program wrote: what `boot.xml` and each `StreamInfoBoot.xml` list.

Pure: bytes in, values out, and whatever a stranger may have put there is refused or left out. Elements and attributes
are those of docs/bundle-format.md §5, in any namespace; what is unknown is passed over. A document type, where entities
and outside files come from, is refused. Opening the files, and saying what they are worth, is `movie_package`'s part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from hlsdl.bundle.journal import LARGEST_NUMBER
from hlsdl.bundle.layout import BOOT_XML, DEEPEST_PATH
from hlsdl.errors import IntegrityError, LimitError, PolicyError

LARGEST_XML = 128 * 1024 * 1024
"""Bytes of one package file; 200,000 segments take a third of it."""
MOST_LISTED = 500_000
"""Segments, and as many init sections, of one stream."""
MOST_ELEMENTS = 2_000_000
"""Of one package file."""
LONGEST_MARKUP = 1024 * 1024
"""Bytes from one element or text to the next: before its end, nobody can say what is in it."""
FED = 64 * 1024
"""Bytes that are given to the parser at once."""
MOST_STREAMS = 10_000
"""Streams, and as many data items, of one package."""
DEEPEST_ELEMENT = 32
LONGEST_TEXT = 65_536
"""Characters of one element's text, or of one attribute."""
LONGEST_PART = 255
"""Bytes of one part of a path."""
LOCAL_COPY = "PathToLocalCopy"

HINT = "whoever made the package can make it again"
_Attributes = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedStream:
    """One stream as `boot.xml` lists it."""

    folder: str
    """Relative to the package."""
    network_url: str = field(repr=False)
    """Of the media playlist; empty where there is none."""
    is_complete: bool | None
    """None where the package does not say it here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedItem:
    """One file of the package's data folder."""

    path: str
    """Relative to the package."""
    category: str
    """`Playlist` or `SessionData`."""
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What `boot.xml` lists."""

    streams: tuple[ListedStream, ...]
    items: tuple[ListedItem, ...]
    master_url: str | None = field(repr=False)
    """Where the multivariant playlist was; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedObject:
    """One stored segment or init section (SEG, ISEG)."""

    path: str
    """Relative to the stream's folder."""
    sequence: int | None
    """Media sequence number; of an init section, the first that it applies to."""
    url: str = field(repr=False)
    """Of the remote resource; empty where the package does not say it."""
    offset: int
    """Of the byte range in that; 0 for a whole one."""
    length: int
    """Bytes; 0 where the package does not say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamListing:
    """What one `StreamInfoBoot.xml` lists."""

    is_complete: bool
    network_url: str | None = field(repr=False)
    local_playlist: str | None
    """Relative to the stream's folder; None where the package has no copy."""
    segments: tuple[ListedObject, ...]
    inits: tuple[ListedObject, ...]


def read_root(data: bytes) -> str:
    """The name of the boot manifest that `root.xml` gives; `boot.xml` where it gives none.

    Raises as `read_boot` does.
    """
    found: list[str] = []

    def ended(path: tuple[str, ...], text: str) -> None:
        if path[-1] == "BootImage" and text:
            found.append(inner_path(text))

    _walk(data, "root.xml", ended=ended)
    return found[0] if found else BOOT_XML


def read_boot(data: bytes) -> Boot:
    """Read `boot.xml`.

    Raises:
        IntegrityError: it cannot be read as that.
        PolicyError: it declares a document type, or a path in it leads out of the package.
        LimitError: it is larger, deeper or longer than any that was meant to be read.
    """
    drafts: list[dict[str, str]] = []
    items: list[dict[str, str]] = []
    directory = master = ""

    def started(path: tuple[str, ...], attributes: _Attributes) -> None:
        nonlocal directory
        match path[-1]:
            case "Stream":
                _append(drafts, {"Path": attributes.get("Path", ""), "URL": attributes.get("NetworkURL", "")})
            case "DataItem":
                _append(items, {"Directory": directory})
            case "DataItems":
                directory = attributes.get("Directory", "")

    def ended(path: tuple[str, ...], text: str) -> None:
        nonlocal master
        match path[-2:]:
            case ("Stream", "Complete"):
                drafts[-1]["Complete"] = text
            case ("MasterPlaylist", "NetworkURL"):
                master = text
            case ("DataItem", ("DataPath" | "Category" | "Name") as name):
                items[-1][name] = text

    _walk(data, BOOT_XML, started=started, ended=ended)
    return Boot(
        streams=tuple(map(_stream, drafts)),
        items=tuple(_item(one) for one in items if one.get("DataPath")),
        master_url=master or None,
    )


def _stream(draft: Mapping[str, str]) -> ListedStream:
    is_complete = _yes(draft["Complete"]) if "Complete" in draft else None
    return ListedStream(folder=inner_path(draft["Path"]), network_url=draft["URL"], is_complete=is_complete)


def _item(draft: Mapping[str, str]) -> ListedItem:
    path = f"{draft['Directory']}/{draft['DataPath']}" if draft["Directory"] else draft["DataPath"]
    return ListedItem(path=inner_path(path), category=draft.get("Category", ""), name=draft.get("Name", ""))


def read_stream_info(data: bytes, name: str) -> StreamListing:
    """Read one `StreamInfoBoot.xml`; `name` is what messages call it. Raises as `read_boot` does."""
    segments: list[ListedObject] = []
    inits: list[ListedObject] = []
    texts: dict[str, str] = {}

    def started(path: tuple[str, ...], attributes: _Attributes) -> None:
        if path[-1] in ("SEG", "ISEG"):
            listed = segments if path[-1] == "SEG" else inits
            if len(listed) >= MOST_LISTED:
                raise LimitError(f"`{name}` lists more than {MOST_LISTED:,} objects")
            listed.append(_listed(attributes, name))

    def ended(path: tuple[str, ...], text: str) -> None:
        if path[1:] == ("Complete",) or path[-2:] in (("MediaPlaylist", "NetworkURL"), ("MediaPlaylist", LOCAL_COPY)):
            texts.setdefault(path[-1], text)

    _walk(data, name, started=started, ended=ended)
    local = texts.get(LOCAL_COPY)
    return StreamListing(
        is_complete=_yes(texts.get("Complete", "")),
        network_url=texts.get("NetworkURL") or None,
        local_playlist=inner_path(local) if local else None,
        segments=tuple(segments),
        inits=tuple(inits),
    )


def inner_path(written: str) -> str:
    """A path as a package writes it, if it can be one of a file inside; parts that say `here` are left out.

    Raises:
        PolicyError: it is absolute, climbs, is empty, or no system could have it.
    """
    parts = [part for part in written.split("/") if part not in ("", ".")]
    if (
        not parts
        or written.startswith("/")
        or len(parts) > DEEPEST_PATH
        or any(part == ".." or len(part.encode(errors="replace")) > LONGEST_PART for part in parts)
        or any(c < " " or c in "\\\x7f" for c in written)
    ):
        raise PolicyError(f"a package names a file that cannot be in it: {written[:200]!a}", hint=HINT)
    return "/".join(parts)


def _append(listed: list[dict[str, str]], one: dict[str, str]) -> None:
    if len(listed) >= MOST_STREAMS:
        raise LimitError(f"`{BOOT_XML}` lists more than {MOST_STREAMS:,} streams or data items")
    listed.append(one)


def _listed(attributes: _Attributes, name: str) -> ListedObject:
    sequence = attributes.get("SeqNum")
    return ListedObject(
        path=inner_path(attributes.get("PATH", "")),
        sequence=None if sequence is None else _number(sequence, "SeqNum", name),
        url=attributes.get("URL", ""),
        offset=_number(attributes.get("Off", "0"), "Off", name),
        length=_number(attributes.get("Len", "0"), "Len", name),
    )


def _number(text: str, what: str, name: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST_NUMBER)):
        number = int(text)
        if number <= LARGEST_NUMBER:
            return number
    raise IntegrityError(f"`{name}` cannot be read: `{what}` is no number", hint=HINT)


def _yes(text: str) -> bool:
    return text.strip().upper() == "YES"


def _ignored(_path: tuple[str, ...], _attributes: _Attributes) -> None:
    """Where only texts are looked at."""


class _Walk:
    """One way through a document: who walks hears of each element by the names that lead to it, without namespaces."""

    def __init__(
        self,
        name: str,
        *,
        started: Callable[[tuple[str, ...], _Attributes], None],
        ended: Callable[[tuple[str, ...], str], None],
    ) -> None:
        self._name, self._started, self._ended = name, started, ended
        self._path: list[str] = []
        self._texts: list[list[str]] = []
        self._lengths: list[int] = []
        self._elements = self._last = 0
        # UTF-8 whatever the document says: it may name any codec that Python has.
        self._parser = parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = self._text, self._refuse

    def through(self, data: bytes) -> None:
        """Go through all of it."""
        try:
            for begin in range(0, len(data), FED):
                self._parser.Parse(data[begin : begin + FED], False)
                if begin - self._last > LONGEST_MARKUP:
                    raise LimitError(f"`{self._name}` has a longer tag or comment than can be meant")
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise IntegrityError(f"`{self._name}` cannot be read: {error}", hint=HINT) from error

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        self._elements, self._last = self._elements + 1, self._parser.CurrentByteIndex
        if self._elements > MOST_ELEMENTS:
            raise LimitError(f"`{self._name}` has more than {MOST_ELEMENTS:,} elements")
        if len(self._path) >= DEEPEST_ELEMENT or max(map(len, attributes.values()), default=0) > LONGEST_TEXT:
            raise LimitError(f"`{self._name}` is nested deeper, or has longer values, than can be meant")
        self._path.append(element.rpartition(" ")[2])
        self._texts.append([])
        self._lengths.append(0)
        self._started(tuple(self._path), attributes)

    def _end(self, _element: str) -> None:
        self._last = self._parser.CurrentByteIndex
        self._ended(tuple(self._path), "".join(self._texts.pop()).strip())
        self._lengths.pop()
        self._path.pop()

    def _text(self, data: str) -> None:
        self._lengths[-1] += len(data)
        if self._lengths[-1] > LONGEST_TEXT:
            raise LimitError(f"`{self._name}` has a longer text than can be meant")
        self._texts[-1].append(data)

    def _refuse(self, *_: object) -> NoReturn:
        raise PolicyError(f"`{self._name}` declares a document type, which no package has", hint=HINT)


def _walk(
    data: bytes,
    name: str,
    *,
    started: Callable[[tuple[str, ...], _Attributes], None] = _ignored,
    ended: Callable[[tuple[str, ...], str], None],
) -> None:
    """Go through a document; `started` hears of each element with its attributes, `ended` with the text in it."""
    if len(data) > LARGEST_XML:
        raise LimitError(f"`{name}` has more than {LARGEST_XML:,} bytes")
    _Walk(name, started=started, ended=ended).through(data)
