"""Peers: how each program is told to fetch a presentation, and what it leaves out of the work that hlsdl does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from benching.inputs import Kind, Made
from benching.programs import Programs

Way = Literal["plain", "tls", "http2", "far", "far-tls", "far-http2"]
"""How the server is reached: over loopback, or far away."""
FAR: dict[Way, str] = {"far": "plain", "far-tls": "tls", "far-http2": "http2"}
"""The long ways, and how the server is reached at their end."""
EVERY_WAY: frozenset[Way] = frozenset(get_args(Way))
NEARBY = 8
"""Connections that curl gets on loopback; more of them gain nothing there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run to be."""

    made: Made
    base: str
    """The URL of the server's root."""
    output: Path
    """An empty folder."""
    way: Way
    ca_file: Path
    connections: int
    programs: Programs

    @property
    def is_secure(self) -> bool:
        """Whether certificates matter."""
        return self.way.endswith(("tls", "http2"))

    def url(self, path: str) -> str:
        """The URL of something below the root."""
        return f"{self.base}/{path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A program that fetches."""

    name: str
    said: str
    """How it is called, for the page."""
    leaves_out: str
    command: Callable[[Job], list[str]]
    kinds: frozenset[Kind] = frozenset({"segments", "ladder", "ranges"})
    ways: frozenset[Way] = frozenset({"plain", "tls", "far", "far-tls"})
    """Only curl speaks HTTP/2, too; over it the others would take HTTP/1.1."""
    least: float = 1.0
    """Share of the payload that its output must have at least."""


def _hlsdl(job: Job) -> list[str]:
    command = [job.programs["hlsdl"], "fetch", job.url(job.made.playlist), "-o", str(job.output / "film.movpkg")]
    command += ["--progress", "none", "--no-config"]
    command += ["--cacert", str(job.ca_file)] if job.is_secure else []
    return [*command, *(["--http2"] if job.way.endswith("http2") else [])]


def _curl(job: Job) -> list[str]:
    names = job.output.with_name("urls")
    lines = (f'url = "{job.url(one)}"\noutput = "{job.output / Path(one).name}"\n' for one in job.made.objects)
    names.write_text("".join(lines))
    command = [job.programs["curl"], "-q", "-sS", "--fail", "--parallel", "--parallel-max", str(job.connections)]
    command += ["--cacert", str(job.ca_file)] if job.is_secure else []
    return [*command, "--http2" if job.way.endswith("http2") else "--http1.1", "--config", str(names)]


def _aria2c(job: Job) -> list[str]:
    names = job.output.with_name("urls")
    names.write_text("".join(f"{job.url(one)}\n  out={Path(one).name}\n" for one in job.made.objects))
    command = [job.programs["aria2c"], "--no-conf", "-q", "-j16", "--file-allocation=none", "-d", str(job.output)]
    command += ["-x16", "-s16", "-k1M"] if len(job.made.objects) == 1 else []
    command += [f"--ca-certificate={job.ca_file}"] if job.is_secure else []
    return [*command, "-i", str(names)]


def _yt_dlp(job: Job) -> list[str]:
    command = [job.programs["yt-dlp"], "--ignore-config", "--no-cache-dir", "-q", "--no-progress", "-N", "16"]
    command += ["--downloader", "m3u8:native", "--fixup", "never", "-o", str(job.output / "film.mp4")]
    # It takes its authorities from certifi unless told to use the system's, which SSL_CERT_FILE names.
    command += ["--compat-options", "no-certifi"] if job.is_secure else []
    return [*command, job.url(job.made.playlist)]


def _streamlink(job: Job) -> list[str]:
    command = [job.programs["streamlink"], "--no-config", "--loglevel", "error", "--progress", "no"]
    command += ["--stream-segment-threads", "10", "-o", str(job.output / "film.ts")]
    return [*command, f"hls://{job.url(job.made.playlist)}", "best"]


def _ffmpeg(job: Job) -> list[str]:
    command = [job.programs["ffmpeg"], "-nostdin", "-v", "error", "-allowed_extensions", "ALL"]
    command += ["-ca_file", str(job.ca_file), "-tls_verify", "1"] if job.is_secure else []
    # Given a master playlist, it begins with segments of every variant: it gets the one that the others choose.
    command += ["-i", job.url(job.made.media_playlist), "-map", "0", "-c", "copy"]
    return [*command, "-f", "mpegts", str(job.output / "film.ts")]


PEERS = {
    one.name: one
    for one in (
        Peer(
            name="hlsdl",
            said="hlsdl fetch",
            leaves_out="nothing: playlists, SHA-256 of every object, journal, flushes to the device, a playable bundle",
            command=_hlsdl,
            ways=EVERY_WAY,
        ),
        Peer(
            name="curl",
            said="curl --parallel --parallel-max N",
            leaves_out="playlists (it is given the URLs), hash, journal, flush, resuming; a single file is one request",
            command=_curl,
            ways=EVERY_WAY,
        ),
        Peer(
            name="aria2c",
            said="aria2c -j16",
            leaves_out="playlists (it is given the URLs), hash, flush; it keeps a control file for each unfinished one",
            command=_aria2c,
        ),
        Peer(
            name="yt-dlp",
            said="yt-dlp -N 16, native downloader, no fix-up",
            leaves_out="hash, flush, proof of what is resumed; one rendition in one file, decrypted, playlists gone",
            command=_yt_dlp,
            least=0.99,
        ),
        Peer(
            name="streamlink",
            said="streamlink --stream-segment-threads 10 (its maximum)",
            leaves_out="hash, journal, flush, resuming; one rendition in one file, decrypted, playlists gone",
            command=_streamlink,
            least=0.99,
        ),
        Peer(
            name="ffmpeg",
            said="ffmpeg -c copy",
            leaves_out="hash, journal, flush, resuming, parallel requests; one rendition, packets multiplexed anew",
            command=_ffmpeg,
            # It drops the null packets.
            least=0.3,
        ),
    )
}


def environment_for(job: Job) -> dict[str, str]:
    """Variables for programs that have no flag for certificate authorities."""
    return {"SSL_CERT_FILE": str(job.ca_file), "REQUESTS_CA_BUNDLE": str(job.ca_file)} if job.is_secure else {}
