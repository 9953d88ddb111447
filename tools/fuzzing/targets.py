"""What is fuzzed: each reader's good input, its words, the errors it may end with, and what must hold otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from zlib import crc32

from fuzzing import seeds
from hlsdl.access.cookies import read_cookies_txt, read_set_cookie
from hlsdl.access.urls import join_location, read_url
from hlsdl.bundle.journal import Entry, Opening, compact_journal, drop_line, entry_line, opening_line, replay, want_line
from hlsdl.bundle.layout import is_object_path
from hlsdl.bundle.manifest import DerivedFile, Manifest, StoredDocument, StoredKey, StoredStream, WrittenIn
from hlsdl.bundle.movpkg_reading import Boot, StreamListing, inner_path, read_boot, read_root, read_stream_info
from hlsdl.errors import HlsdlError, IntegrityError, LimitError, PlaylistError, PolicyError, SelectionError, UsageError
from hlsdl.planning.local_playlists import local_media_playlist, local_multivariant_playlist
from hlsdl.planning.plan import make_plan
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.selection import select, select_media
from hlsdl.playlist import ByteRange, MediaPlaylist, MultivariantPlaylist, PlaylistText, parse_playlist
from hlsdl.session.wishes import last_wish, same_wishes
from hlsdl.transfer.ranges import Take, Wanted, is_whole, may_resume, read_range_answer, read_validator
from hlsdl.transfer.sink import Validator

URL = "https://media.example/films/1/playlist.m3u8?token=t"
SHA = "ab" * 32
STREAM = f"0-{'A' * 32}-800000"


class Broken(AssertionError):
    """Something that must hold for accepted input does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One reader."""

    seeds: Callable[[], Sequence[bytes]]
    words: Sequence[bytes]
    run: Callable[[bytes], str]
    """Reads the input, checks what must hold, and says in a word what came of it."""
    refusals: tuple[type[HlsdlError], ...] = ()
    """The errors that it may end with."""


def require(holds: bool, what: str) -> None:
    """A finding unless it holds."""
    if not holds:
        raise Broken(what)


# -- playlists ---------------------------------------------------------------------------------------------------------


def run_playlist(data: bytes) -> str:
    """Parse; whatever was accepted is kept to the byte."""
    playlist = parse_playlist(data, URL, imported={"outer": "o"})
    text = PlaylistText.decode(data)
    require(text.encode() == data.removeprefix(b"\xef\xbb\xbf"), "the lines of a playlist are not its bytes")
    if isinstance(playlist, MediaPlaylist):
        require(all(s.duration >= 0 and s.sequence >= 0 for s in playlist.segments), "a negative time or number")
        require(all(s.byte_range is None or _is_range(s.byte_range) for s in playlist.segments), "an odd byte range")
        return "media"
    return "multivariant"


def run_plan(data: bytes) -> str:
    """Parse, choose, plan and write the local playlists; these are playlists again, and call no network."""
    playlist = parse_playlist(data, URL, imported={"outer": "o"})
    if isinstance(playlist, MediaPlaylist):
        return _run_media_plan(playlist)
    return _run_multivariant_plan(playlist)


def _run_media_plan(playlist: MediaPlaylist) -> str:
    plan = make_plan([(select_media(playlist, URL).streams[0], playlist)])
    paths = [resource.path for resource in (*plan.resources, *plan.keys, *plan.data)]
    require(len(set(paths)) == len(paths), "two resources have one path")
    require(all(is_object_path(path) for path in paths), "a resource has an unsafe path")
    require(plan.duration >= Decimal(0) and plan.estimate().bytes >= 0, "a negative size or duration")
    local = parse_playlist(local_media_playlist(plan.streams[0]).encode(), "file:///bundle/0/index.m3u8")
    require(isinstance(local, MediaPlaylist), "a local media playlist became a multivariant one")
    assert isinstance(local, MediaPlaylist)
    require(len(local.segments) == len(playlist.segments), "the local playlist has another number of segments")
    inside = all(segment.uri.startswith("file:///bundle/0/") for segment in local.segments)
    require(inside, "the local playlist leads out of the bundle")
    return "media"


def _run_multivariant_plan(master: MultivariantPlaylist) -> str:
    selection = select(master, Preferences(audio=("all",), subtitles=("all",), iframes=True))
    playlists = {stream.url: f"{stream.id}/index.m3u8" for stream in selection.streams}
    local = local_multivariant_playlist(master, playlists, {})
    again = parse_playlist(local.encode(), "file:///bundle/index.m3u8")
    require(isinstance(again, MultivariantPlaylist), "a local multivariant playlist became a media one")
    assert isinstance(again, MultivariantPlaylist)
    uris = [*(one.uri for one in again.variants), *(one.uri for one in again.renditions if one.uri)]
    require(all(uri.startswith("file:///bundle/") for uri in uris), "the local playlist leads out of the bundle")
    return "multivariant"


def _is_range(byte_range: ByteRange) -> bool:
    return byte_range.offset >= 0 and byte_range.length > 0


# -- the bundle ------------------------------------------------------------------------------------------------------


def journals() -> list[bytes]:
    """A journal in each state it can be in."""
    paths = (f"{STREAM}/{number:09d}.m4s" for number in range(6))
    entries = {path: Entry(path=path, size=1000, sha256=SHA, etag='"e"') for path in (*paths, "keys/K.key")}
    opening = Opening(boot="b" * 36, device=7, inode=9, pid=1)
    growing = opening_line(opening) + b"".join(map(entry_line, entries.values())) + drop_line("keys/K.key")
    growing += want_line(f"{STREAM}/000000001.m4s", SHA) + want_line(f"{STREAM}/000000002.m4s")
    return [compact_journal(entries, opening), growing, growing[:-20], growing + b"\n" + growing, b""]


def run_journal(data: bytes) -> str:
    """Replay the mutant as it is, and with its checksums made right: damage by accident, and by intent."""
    lines = [line.partition(b" ")[2] for line in data.split(b"\n")]
    signed = b"".join(b"%08x %b\n" % (crc32(line), line) for line in lines if line)
    for text in (data, signed):
        state = replay(text)
        require(state.unsynced <= state.entries.keys(), "an unknown path awaits its checkpoint")
        require(state.wanted <= state.entries.keys(), "an unknown path is damaged")
        for path, entry in state.entries.items():
            require(path == entry.path and is_object_path(path), "an entry has an unsafe path")
            require(entry.size >= 0 and len(entry.sha256) == 64, "an entry has an odd size or hash")
    return "entries" if state.entries else "empty"


def manifests() -> list[bytes]:
    """A manifest with something in every field."""
    stream = StoredStream(
        id=STREAM, kind="video", playlist=f"{STREAM}/index.m3u8", source_url=URL, final_url=URL, codecs=("avc1",)
    )
    full = Manifest(
        title="A film",
        source_url=URL,
        final_url=URL,
        choices={"wishes": [{"min_size": [640, 360], "audio": ["en"], "hdr": False, "max_bitrate": 900000}]},
        streams=(stream,),
        documents=(StoredDocument(path="Data/m.m3u8", url=URL, final_url=URL, category="master"),),
        keys=(StoredKey(path="keys/K.key", url=URL),),
        files=(DerivedFile(path="index.m3u8", size=10, sha256=SHA),),
        journal_bytes=10,
        journal_sha256=SHA,
        written_in=WrittenIn(boot="b", device=1, inode=2),
        warnings=("one",),
    )
    return [full.encode(), Manifest(title="", source_url=URL, final_url=URL).encode()]


def run_manifest(data: bytes) -> str:
    """Decode, and understand the wishes; what is accepted can be written and read again, and names no file outside."""
    manifest = Manifest.decode(data)
    written = manifest.encode()
    # Compared as text: `choices` may hold a NaN, which pydantic reads, does not equal itself, and is written as null.
    again = Manifest.decode(written)
    require(again.is_intact and again.encode() == written, "writing a manifest changes it")
    paths = [item.path for items in (manifest.documents, manifest.keys, manifest.files) for item in items]
    require(not any(path.startswith("/") or ".." in path.split("/") for path in paths), "a path leads outside")
    same_wishes(manifest, [Preferences()])
    last_wish(manifest)
    return "intact" if manifest.is_intact else "damaged"


PACKAGE_FILES = (
    b"""<?xml version="1.0" encoding="UTF-8"?>
<MoviePackage xmlns="http://apple.com/IMG/Schemas/MoviePackage"><Version>1.0</Version>
<MoviePackageType>HLS</MoviePackageType><BootImage>boot.xml</BootImage></MoviePackage>""",
    b"""<?xml version="1.0" encoding="UTF-8"?>
<HLSMoviePackage xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://apple.com/IMG/Schemas/HLSMoviePackage">
<Streams><Stream ID="0-1-A" Path="0-1-A" NetworkURL="https://a.example/v.m3u8?t=1&amp;u=2" UniqueTag="x"><Complete>YES
</Complete></Stream><Stream ID="1-0-B" Path="1-0-B" NetworkURL="https://a.example/a.m3u8"/></Streams>
<MasterPlaylist><NetworkURL>https://a.example/m.m3u8</NetworkURL></MasterPlaylist><DataItems Directory="Data">
<DataItem><ID>C</ID><Category>Playlist</Category><Name>master.m3u8</Name><DataPath>m.data</DataPath><Role>Master</Role>
</DataItem></DataItems></HLSMoviePackage>""",
    b"""<StreamInfo xmlns="http://apple.com/IMG/Schemas/HLSPersistentStreamInfo"><Version>1.0</Version><Complete>YES
</Complete><PeakBandwidth>4482011.5</PeakBandwidth><MediaPlaylist><NetworkURL>https://a.example/v.m3u8</NetworkURL>
<PathToLocalCopy>./v.m3u8</PathToLocalCopy></MediaPlaylist><MediaInitializationSegments>
<ISEG Len="5" Off="0" PATH="i.initfrag" SeqNum="0" URL="i.mp4" /></MediaInitializationSegments><MediaSegments>
<SEG Dur="1.0" Len="2" Off="5" PATH="0.frag" SeqNum="0" Tim="0.0" URL="a.mp4" /><SEG PATH="1.frag"/></MediaSegments>
</StreamInfo>""",
)
PACKAGE_WORDS = (
    *b"""<SEG <ISEG </SEG> /> PATH="../x" PATH="/x" PATH="" SeqNum="-1" SeqNum="99999999999999999999" Len="1e9" Off=
<Complete>NO</Complete> <Stream <DataItem> </DataItem> <DataPath>../../x</DataPath> Directory="/" Path="a/../.." &#0;
&e; &#x2f; <![CDATA[ ]]> <!-- --> <?x ?> encoding="utf-16" encoding="cp037" encoding="idna" encoding="x" xmlns:p="u"
p:""".split(),
    b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
)


MOST_PIECES = 8


def run_package(data: bytes) -> str:
    """Read the mutant as each of the package files, and its first pieces as paths; none of them leads outside."""
    outcomes = []
    for read in (read_root, read_boot, lambda text: read_stream_info(text, "StreamInfoBoot.xml")):
        try:
            paths = _paths_in(read(data))
        except (IntegrityError, PolicyError, LimitError) as refusal:
            outcomes.append(type(refusal).__name__)
            continue
        outcomes.append("read")
        _require_inside(paths)
    for piece in re.split(b'[<>"=]', data)[:MOST_PIECES]:
        try:
            _require_inside([inner_path(piece.decode("utf-8", "replace"))])
        except PolicyError:
            continue
    return "/".join(outcomes)


def _require_inside(paths: Sequence[str]) -> None:
    for path in paths:
        require(not {"", ".", ".."} & set(path.split("/")) and "\0" not in path, "a path leads outside")


def _paths_in(found: str | Boot | StreamListing) -> list[str]:
    if isinstance(found, str):
        return [found]
    if isinstance(found, Boot):
        return [*(one.folder for one in found.streams), *(one.path for one in found.items)]
    listed = (*found.segments, *found.inits)
    require(all(min(one.length, one.offset, one.sequence or 0) >= 0 for one in listed), "a number is negative")
    return [*(one.path for one in listed), *filter(None, [found.local_playlist])]


# -- the network -----------------------------------------------------------------------------------------------------

ANSWERS = (
    b'206\n0\ncontent-range: bytes 100-199/1000\ncontent-length: 100\netag: "a"\n',
    b"206\n50\ncontent-range: bytes 150-199/*\ncontent-length: 50\nlast-modified: Sat, 01 Jan 2022 00:00:00 GMT\n",
    b'200\n50\ncontent-length: 1000\netag: W/"a"\ndate: Sun, 02 Jan 2022 00:00:00 GMT\n',
    b"416\n100\ncontent-range: bytes */100\n",
    b"206\n0\ncontent-type: multipart/byteranges; boundary=x\n",
)
ANSWER_WORDS = tuple(
    b'bytes bytes=0- */ - / 0-0/1 5-4/3 content-range: content-length: etag: W/ "a" 206 416 200 GMT * +1 -'.split()
)


def run_ranges(data: bytes) -> str:
    """Read a response to each kind of question; what is appended continues exactly where the held bytes end."""
    status, held, headers, length = _response(data)
    verdicts = []
    for byte_range in (None, ByteRange(offset=100, length=100)):
        validator = Validator(etag='"a"', strong=True)
        wanted = Wanted(byte_range=byte_range, held=held, validator=validator if held else None)
        wanted.headers()
        if status == 206 and not wanted.asks_for_range and not is_whole(headers, length):
            verdicts.append("refused")  # as `exchange` does
            continue
        decision = read_range_answer(wanted, status=status, headers=headers, content_length=length, slice_limit=10**6)
        verdicts.append(type(decision).__name__)
        if isinstance(decision, Take):
            _require_sound(decision, wanted, status, headers)
    may_resume(held, read_validator(headers), least=1)
    return "/".join(verdicts)


def _response(data: bytes) -> tuple[int, int, dict[str, str], int | None]:
    lines = data.decode("latin-1").split("\n")
    told = [int(line) if line.isascii() and line.isdecimal() and len(line) < 19 else 0 for line in lines[:2]]
    status, held = [*told, 0, 0][:2]
    pairs = (line.partition(":") for line in lines[2:])
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    length = headers.get("content-length", "")
    return status, held, headers, int(length) if length.isascii() and length.isdecimal() and len(length) < 19 else None


def _require_sound(decision: Take, wanted: Wanted, status: int, headers: dict[str, str]) -> None:
    require(decision.skip >= 0 and (decision.length is None or decision.length > 0), "an impossible slice is taken")
    if decision.restart:
        return
    require(status == 206 and wanted.held > 0, "bytes are appended to nothing, or from a whole entity")
    # A number may have zeros in front of it (RFC 9110 §14.4: 1*DIGIT).
    placed = re.match(rf"\s*bytes\s+0*{wanted.first}-", headers["content-range"])
    require(placed is not None, "bytes of another place follow")
    require(headers.get("etag") == '"a"', "bytes of another version are appended")


COOKIES = (
    b"# Netscape HTTP Cookie File\n.example.com\tTRUE\t/\tTRUE\t0\tname\tvalue\n",
    b"#HttpOnly_media.example\tFALSE\t/films\tFALSE\t4102444800\tsid\ta%20b\nx\tFALSE\t/\tFALSE\t1.5\ty\tz\n",
    b"sid=31d4d96e; Path=/films; Secure; Max-Age=100; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Domain=.example",
)
COOKIE_WORDS = tuple(b"TRUE FALSE #HttpOnly_ . / ; = Path= Max-Age= Expires= Secure -1 \t 1e5 GMT".split(b" "))


def run_cookies(data: bytes) -> str:
    """Read it as a Set-Cookie header and as a file; what is kept can be sent in one header line."""
    url = read_url(URL)
    text = data.decode("utf-8", "replace")
    header = read_set_cookie(data.decode("latin-1"), url, now=0.0)
    kept = [] if header is None else [header]
    try:
        kept += read_cookies_txt(text, now=0.0)
        outcome = "file"
    except UsageError:
        outcome = "refused file"
    for cookie in kept:
        cookie.suits(url, 1.0)
        sent = f"{cookie.name}={cookie.value}"
        require(not any(c in sent for c in "\r\n\0;"), "a cookie breaks the header it is sent in")
    return outcome


URLS = tuple(
    b"""https://media.example/a/b.ts?c=d#e http://127.0.0.1:8080/x https://[2001:db8::1]:8443/y http://0x7f.1/
HTTP://EXAMPLE.com https://b\xc3\xbccher.example/f%C3%BC http://user:pw@host/ file:///etc/passwd //host/path ../up?x ?q
#f data:text/plain,x http://[::ffff:169.254.169.254]/ https://xn--bcher-kva.example./ http://a..b/ http://host:65536/ http://h:/""".split()
)
URL_WORDS = tuple(
    b"""http:// https:// // / \\ @ : [ ] ? # % %2f .. . [:: ] :80 :0 0x 127.1 2130706433 xn--
\xe3\x80\x82 \xef\xbc\x8e""".split()
)


def run_urls(data: bytes) -> str:
    """Read and resolve; what is accepted can stand in a request line, and reads the same a second time."""
    text = data.decode("utf-8", "surrogateescape")
    base = read_url(URL)
    outcome = "refused"
    for url in (text, lambda: join_location(base, text)):
        try:
            checked = read_url(url() if callable(url) else url)
        except (PolicyError, LimitError):
            continue
        outcome = "accepted"
        line = f"{checked.authority}{checked.target}"
        require(all(0x21 <= ord(c) < 0x7F for c in line), "a URL holds what no request line may")
        require(0 < checked.port < 65_536 and bool(checked.host), "a URL has no host or port")
        if len(checked.text) <= 8192:
            again = read_url(checked.text)
            require((again.origin, again.target) == (checked.origin, checked.target), "a URL reads differently again")
    return outcome


TARGETS: dict[str, Target] = {
    "playlist": Target(
        seeds=seeds.playlists, words=seeds.PLAYLIST_WORDS, run=run_playlist, refusals=(PlaylistError, LimitError)
    ),
    "plan": Target(
        seeds=seeds.playlists,
        words=seeds.PLAYLIST_WORDS,
        run=run_plan,
        refusals=(PlaylistError, LimitError, SelectionError),
    ),
    "journal": Target(
        seeds=journals,
        words=tuple(
            b'"t":"seg" "t":"want" "t":"ckpt","upto":9999 "t":"open" "path":"../x" {} [] null "size":-1 close'.split()
        ),
        run=run_journal,
    ),
    "manifest": Target(
        seeds=manifests,
        words=tuple(b'null true {} [] "" "../x" "/x" {"a": [[[[ -1 1e999 "complete" "partial" ,'.split()),
        run=run_manifest,
        refusals=(IntegrityError,),
    ),
    "package": Target(
        seeds=lambda: PACKAGE_FILES,
        words=PACKAGE_WORDS,
        run=run_package,
    ),
    "ranges": Target(seeds=lambda: ANSWERS, words=ANSWER_WORDS, run=run_ranges),
    "cookies": Target(seeds=lambda: COOKIES, words=COOKIE_WORDS, run=run_cookies),
    "urls": Target(seeds=lambda: URLS, words=URL_WORDS, run=run_urls),
}
