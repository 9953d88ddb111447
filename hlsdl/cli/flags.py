"""Every flag there is, in groups that commands share. What a value means is `config`'s business.

A field is None (or empty) when its flag was not given, so that a variable or the configuration file can speak.
Nothing heavy is imported here: `hlsdl --help` reads this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Argument, Option

from hlsdl.version import __version__

CHOOSING = "What to choose"
STORING = "Where and how to store it"
TRANSFER = "Network"
GOING = "Where it may go"
EVERYWHERE = "Everywhere"


SourceArguments = Annotated[
    list[str], Argument(metavar="SOURCE…", help="A URL, a playlist file, or `-` for URLs on stdin.")
]


def bundle_path(text: str) -> Path:
    """Return the path of a bundle, or of a folder of bundles; UsageError when it is a URL or nothing."""
    from hlsdl.bundle.reading import path_of

    return path_of(text)


BundleArgument = Annotated[
    Path, Argument(metavar="BUNDLE", help="The folder of a bundle (`….movpkg`).", parser=bundle_path)
]

PackageArgument = Annotated[
    Path, Argument(metavar="PACKAGE", help="The folder of a `.movpkg`, whoever made it.", parser=bundle_path)
]

ArtworkFlag = Annotated[
    Path | None, Option(metavar="FILE", help="A picture to store with it.", rich_help_panel=STORING)
]


def show_version(wanted: bool | None) -> None:
    """Print the version and stop, when `--version` was given."""
    if wanted:
        print(f"hlsdl {__version__}")
        raise typer.Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonFlags:
    """Flags that work with every command, before and after its name."""

    json: Annotated[bool, Option("--json", help="Print one JSON document per result.", rich_help_panel=EVERYWHERE)] = (
        False
    )
    progress: Annotated[
        Literal["auto", "bar", "lines", "json", "none"] | None,
        Option(help="How progress is told, on stderr.", metavar="auto|bar|lines|json|none", rich_help_panel=EVERYWHERE),
    ] = None
    quiet: Annotated[
        bool | None, Option("-q", "--quiet", help="Only errors on stderr.", rich_help_panel=EVERYWHERE)
    ] = None
    verbose: Annotated[
        int, Option("-v", "--verbose", count=True, help="Show log records; -vv shows more.", rich_help_panel=EVERYWHERE)
    ] = 0
    config: Annotated[
        Path | None, Option(metavar="FILE", help="Read this TOML file for settings.", rich_help_panel=EVERYWHERE)
    ] = None
    no_config: Annotated[
        bool, Option("--no-config", help="Read no configuration file.", rich_help_panel=EVERYWHERE)
    ] = False
    version: Annotated[
        bool | None,
        Option("--version", callback=show_version, is_eager=True, help="Show the version.", rich_help_panel=EVERYWHERE),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionFlags:
    """What of a stream is wanted (contract: "How a variant is chosen")."""

    min_bitrate: Annotated[
        str | None, Option(metavar="N[k|M]", help="The lowest at or above, else the highest.", rich_help_panel=CHOOSING)
    ] = None
    max_bitrate: Annotated[
        str | None, Option(metavar="N[k|M]", help="Nothing above this.", rich_help_panel=CHOOSING)
    ] = None
    bitrate_basis: Annotated[
        Literal["peak", "average"] | None,
        Option(metavar="peak|average", help="Which bitrate these compare.", rich_help_panel=CHOOSING),
    ] = None
    min_size: Annotated[
        str | None, Option(metavar="WxH", help="The smallest at or above, else the largest.", rich_help_panel=CHOOSING)
    ] = None
    max_size: Annotated[str | None, Option(metavar="WxH", help="Nothing above this.", rich_help_panel=CHOOSING)] = None
    codec: Annotated[
        list[str] | None,
        Option(metavar="NAME", help="Only these, such as `hvc1`; repeatable.", rich_help_panel=CHOOSING),
    ] = None
    hdr: Annotated[
        bool | None, Option("--hdr/--no-hdr", help="Prefer HDR (the default), or SDR.", rich_help_panel=CHOOSING)
    ] = None
    multichannel: Annotated[
        bool | None,
        Option(
            "--multichannel/--no-multichannel",
            help="Multichannel audio in addition to stereo (the default).",
            rich_help_panel=CHOOSING,
        ),
    ] = None
    lossless: Annotated[
        bool | None, Option("--lossless/--no-lossless", help="Prefer lossless audio.", rich_help_panel=CHOOSING)
    ] = None
    audio: Annotated[
        list[str] | None,
        Option(metavar="default|all|none|LANG,…", help="Audio languages.", rich_help_panel=CHOOSING),
    ] = None
    subs: Annotated[
        list[str] | None,
        Option(metavar="default|all|none|LANG,…", help="Subtitle languages.", rich_help_panel=CHOOSING),
    ] = None
    where: Annotated[
        list[str] | None,
        Option(metavar="EXPR", help="Such as `height <= 720`; the first that fits wins.", rich_help_panel=CHOOSING),
    ] = None
    variant: Annotated[
        str | None, Option(metavar="ID", help="Exactly this variant (see `inspect`).", rich_help_panel=CHOOSING)
    ] = None
    variants: Annotated[
        Literal["one", "all"] | None,
        Option(metavar="one|all", help="The best variant, or all that fit.", rich_help_panel=CHOOSING),
    ] = None
    iframes: Annotated[
        bool | None, Option("--iframes", help="I-frame and image playlists too.", rich_help_panel=CHOOSING)
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFlags:
    """How the source is to be understood."""

    base_url: Annotated[
        str | None,
        Option(metavar="URL", help="Where the URIs of a playlist file point.", rich_help_panel=TRANSFER),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepFlags:
    """What a bundle is called, and whether it is kept when nothing here can play it."""

    title: Annotated[
        str | None, Option(metavar="TEXT", help="The title; the bundle is named after it.", rich_help_panel=STORING)
    ] = None
    keep_protected: Annotated[
        bool | None,
        Option("--keep-protected", help="Store ciphertext that nothing here can play.", rich_help_panel=STORING),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFlags(KeepFlags):
    """What changes a plan and is not selection."""

    allow_gaps: Annotated[
        bool | None,
        Option("--allow-gaps", help="Go on without segments the server lost (404, 410).", rich_help_panel=STORING),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceFlags:
    """Where a bundle goes."""

    output: Annotated[
        Path | None,
        Option(
            "-o", "--output", metavar="PATH", help="The bundle's path.", parser=bundle_path, rich_help_panel=STORING
        ),
    ] = None
    dir: Annotated[
        str | None,
        Option("-P", "--dir", metavar="DIR", help="The folder for `<title>.movpkg`.", rich_help_panel=STORING),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFlags(PlaceFlags):
    """Where a bundle goes, what goes with it, and whether it starts over."""

    artwork: ArtworkFlag = None
    force: Annotated[bool, Option("--force", help="Start this source over.", rich_help_panel=STORING)] = False
    no_resume: Annotated[
        bool, Option("--no-resume", help="Start over if it is unfinished.", rich_help_panel=STORING)
    ] = False
    dry_run: Annotated[
        bool,
        Option(
            "--dry-run", help="Say what would be downloaded and why, on top of what is there.", rich_help_panel=STORING
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFlags:
    """How the network is used, and where it may go."""

    connections: Annotated[
        str | None,
        Option("-N", "--connections", metavar="N", help="At most so many at once.", rich_help_panel=TRANSFER),
    ] = None
    limit_rate: Annotated[
        str | None,
        Option("-r", "--limit-rate", metavar="N[k|M]", help="Bytes per second.", rich_help_panel=TRANSFER),
    ] = None
    retries: Annotated[
        str | None, Option("-R", "--retries", metavar="N", help="Per resource.", rich_help_panel=TRANSFER)
    ] = None
    timeout: Annotated[
        str | None, Option(metavar="TIME", help="For each connection attempt.", rich_help_panel=TRANSFER)
    ] = None
    stall_timeout: Annotated[str | None, Option(metavar="TIME", help="Without a byte.", rich_help_panel=TRANSFER)] = (
        None
    )
    header: Annotated[
        list[str] | None,
        Option(
            "-H", "--header", metavar="'K: V'|@FILE", help="Sent to the source's origin; repeatable.",
            rich_help_panel=TRANSFER,
        ),
    ] = None  # fmt: skip
    cookies: Annotated[str | None, Option(metavar="FILE", help="A Netscape cookie file.", rich_help_panel=TRANSFER)] = (
        None
    )
    user_agent: Annotated[
        str | None, Option("-A", "--user-agent", metavar="TEXT", help="The User-Agent.", rich_help_panel=TRANSFER)
    ] = None
    referer: Annotated[str | None, Option(metavar="URL", help="The Referer.", rich_help_panel=TRANSFER)] = None
    proxy: Annotated[str | None, Option(metavar="URL", help="Go through this proxy.", rich_help_panel=TRANSFER)] = None
    cacert: Annotated[
        str | None, Option(metavar="FILE", help="Trust these certificate authorities.", rich_help_panel=TRANSFER)
    ] = None
    client_cert: Annotated[
        str | None,
        Option(
            metavar="FILE", help="A PEM file with certificate and key, for the source only.", rich_help_panel=TRANSFER
        ),
    ] = None
    http2: Annotated[bool | None, Option("--http2", help="Offer HTTP/2.", rich_help_panel=TRANSFER)] = None
    http3: Annotated[
        bool | None, Option("--http3", help="Try HTTP/3 first, where it is built in.", rich_help_panel=TRANSFER)
    ] = None
    insecure: Annotated[bool | None, Option("--insecure", help="Do not check certificates.", rich_help_panel=GOING)] = (
        None
    )
    require_https: Annotated[
        bool | None, Option("--require-https", help="Refuse plain http.", rich_help_panel=GOING)
    ] = None
    allow_private: Annotated[
        bool | None,
        Option("--allow-private", help="Allow loopback and LAN addresses that nobody typed.", rich_help_panel=GOING),
    ] = None
    trust_origin: Annotated[
        list[str] | None,
        Option(metavar="HOST", help="Send headers and cookies there too; repeatable.", rich_help_panel=GOING),
    ] = None


def given(*groups: Any) -> Mapping[str, Any]:
    """Return the flags of these groups that were given, by field name."""
    pairs = [(field, getattr(group, field.name)) for group in groups for field in fields(group)]
    return {field.name: value for field, value in pairs if value != field.default}
