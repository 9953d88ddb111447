"""Layout: the names of a bundle's files, which paths are safe, and how a title becomes a folder name.

Pure. The rules are those of docs/bundle-format.md §2. The planner computes the paths of objects; this module only says
whether a path may be used. Opening and writing is left to `durable`.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from hlsdl.errors import UsageError
from hlsdl.planning import naming

SUFFIX = ".movpkg"
MANIFEST = "manifest.json"
JOURNAL = "journal.jsonl"
LOCK = "lock"
INDEX = "index.m3u8"
"""The local multivariant playlist, and in each stream folder the local media playlist."""
ROOT_XML = "root.xml"
BOOT_XML = "boot.xml"
STREAM_INFO = "StreamInfoBoot.xml"
PLAYLIST = ".m3u8"
SOURCE_PLAYLIST = "source.m3u8"
"""In each stream folder: the media playlist as fetched."""
DATA, KEYS = naming.DATA, naming.KEYS
ARTWORK = f"{DATA}/artwork."
"""How the path of the picture begins; its type follows."""

LONGEST_NAME = 120
"""Bytes of UTF-8 in a bundle's folder name, suffix included."""
LONGEST_PATH = 900
LONGEST_PART = 200
DEEPEST_PATH = 8

USUAL_MEDIA = r"[0-9]{1,9}-[A-Z2-7]{32}-[0-9]{1,20}/[0-9]{9,20}\.(?:init\.)?[A-Za-z0-9]{1,8}"
"""The path of a media file as the planner names it, as a regular expression: each such path may name an object."""

_RESERVED = frozenset({MANIFEST, JOURNAL, LOCK})
_DERIVED_AT_ROOT = frozenset({INDEX, ROOT_XML, BOOT_XML})
_DERIVED_IN_STREAM = frozenset({INDEX, STREAM_INFO})
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_DEVICE = re.compile(r"(?:^|/)(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?=$|[./])", re.IGNORECASE)
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.part")
_STREAM_FOLDER = re.compile(r"[0-9]+-[A-Z2-7]{32}-[0-9]+")
_SEGMENT = re.compile(r"[0-9]{9,20}\.[A-Za-z0-9]{1,8}")
_INIT = re.compile(r"[0-9]{9,20}\.init\.[A-Za-z0-9]{1,8}")
_USUAL = re.compile(USUAL_MEDIA)
_APART = re.compile(rf"{KEYS}/[A-Z2-7]{{32}}\.key|{DATA}/(?:[A-Z2-7]{{32}}|artwork|master)\.[A-Za-z0-9]{{1,8}}")
_FORBIDDEN = frozenset('<>:"/\\|?*')
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def path_given(named: object, what: str) -> Path:
    """What a program gave as the path of `what`: a text, a `Path`, or whatever else has a path, such as `os.DirEntry`.

    Raises:
        UsageError: it is none of these, empty, or has a NUL character.
    """
    if named == "":  # which would be the current folder
        raise UsageError(f"{what} is empty", hint="a variable may be unset; `.` is the current folder")
    try:
        path = Path(named)  # type: ignore[arg-type]
    except TypeError:
        hint = "give a text or a `Path`"
        raise UsageError(f"{what} was given as `{type(named).__name__}`", hint=hint) from None
    if "\0" in str(path):
        raise UsageError(f"{what} has a NUL character in it")
    return path


def is_safe_path(relative: str) -> bool:
    """Whether `relative` may name a file inside a bundle (docs/bundle-format.md §2)."""
    return (
        len(relative) <= LONGEST_PATH
        and _PATH.fullmatch(relative) is not None
        and _DEVICE.search(relative) is None
        and relative.count("/") < DEEPEST_PATH
        and (len(relative) <= LONGEST_PART or max(map(len, relative.split("/"))) <= LONGEST_PART)
    )


def is_object_path(relative: str) -> bool:
    """Whether `relative` may name an object: safe, and not one of the names the bundle keeps for itself."""
    # A media file as the planner names it fulfils everything below, and it is asked about once for each of thousands.
    if _USUAL.fullmatch(relative) is not None:
        return True
    return is_safe_path(relative) and relative not in _RESERVED and not is_derived(relative)


def is_derived(relative: str) -> bool:
    """Whether `relative` names a file that is made from objects: a local playlist or an XML file."""
    folder, _, name = relative.rpartition("/")
    return name in _DERIVED_IN_STREAM and "/" not in folder if folder else name in _DERIVED_AT_ROOT


def must_come_as_it_was(path: str) -> bool:
    """Whether what comes in the place of a damaged object must have its bytes.

    A playlist may have other tokens by now, and is known by what it lists; who brings a picture may bring another.
    """
    return not (path.endswith(PLAYLIST) or path.startswith(ARTWORK))


def is_bundle_name(name: str) -> bool:
    """Whether a name at the top of a folder shows that the folder is a bundle."""
    return name in {MANIFEST, JOURNAL}


def is_first_moment_name(name: str) -> bool:
    """Whether a name at the top may be left by a writer that was interrupted before its first manifest or entry."""
    return name in {LOCK, DATA, KEYS} or is_stream_folder(name) or final_name(name) is not None


def is_stream_folder(name: str) -> bool:
    """Whether `name` has the form `<n>-<base32 of a SHA-1>-<bandwidth>`."""
    return _STREAM_FOLDER.fullmatch(name) is not None


def is_segment(relative: str) -> bool:
    """Whether the last part of `relative` names a media segment (`000000100.m4s`), not an init section."""
    return _SEGMENT.fullmatch(relative.rpartition("/")[2]) is not None


def is_media(relative: str) -> bool:
    """Whether the last part of `relative` names a media segment or an init section (`000000100.init.mp4`)."""
    return is_segment(relative) or _INIT.fullmatch(relative.rpartition("/")[2]) is not None


def is_kept_apart(relative: str) -> bool:
    """Whether `relative` names a key, a data item, the picture or the multivariant playlist, as we name them."""
    return _APART.fullmatch(relative) is not None


def temporary_name(name: str, token: str) -> str:
    """The name under which `name` grows; `token` is 8 random hexadecimal digits."""
    return f".{name}.{token}.part"


def final_name(temporary: str) -> str | None:
    """The name a temporary will get, or None when `temporary` is not one of ours."""
    match = _TEMPORARY.fullmatch(temporary)
    return match[1] if match else None


def split_path(relative: str) -> tuple[str, str]:
    """Return (folder, name); the folder of a file at the top is the empty text."""
    folder, _, name = relative.rpartition("/")
    return folder, name


def safe_title(text: str, *, longest: int = LONGEST_NAME - len(SUFFIX)) -> str:
    """Return `text` as a file name for every file system: at most `longest` bytes of UTF-8, never empty.

    NFC; control, format and bidi characters are removed, forbidden characters become `_`, white space is folded,
    dots, spaces and hyphens go from the start, dots and spaces from the end, and a Windows device name gets a `_`.
    """
    # Invisible characters go before NFC, since removing one may bring a letter and its accent together.
    spaced = "".join(" " if c.isspace() else c for c in text)
    normal = unicodedata.normalize("NFC", "".join(c for c in spaced if unicodedata.category(c) not in _UNPRINTABLE))
    name = " ".join("".join("_" if c in _FORBIDDEN else c for c in normal).split()).lstrip(".- ")
    name = _cut(name, longest)
    if _DEVICE.match(name):
        name = _cut("_" + name, longest)
    return name or "stream"


def bundle_name(title: str, number: int = 1) -> str:
    """Return `<title>.movpkg`, or `<title> <number>.movpkg` from 2 on; at most 120 bytes in all."""
    if title.lower().endswith(SUFFIX):
        title = title[: -len(SUFFIX)]
    tail = (f" {number}" if number > 1 else "") + SUFFIX
    return safe_title(title, longest=LONGEST_NAME - len(tail)) + tail


def _cut(name: str, longest: int) -> str:
    """At most `longest` bytes, cut between characters, without dots and spaces at the end."""
    return name.encode()[:longest].decode(errors="ignore").rstrip(". ")
