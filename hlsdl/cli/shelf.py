"""The commands that need no origin: info, verify, drop, play."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from hlsdl.cli.flags import BundleArgument, CommonFlags
from hlsdl.cli.interrupts import Interruption
from hlsdl.cli.parameters import Job
from hlsdl.cli.settings import load
from hlsdl.cli.terminal import Terminal
from hlsdl.errors import IntegrityError, Interrupted

if TYPE_CHECKING:
    from hlsdl.player.server import Serving
    from hlsdl.verification.findings import Report

StreamArguments = Annotated[
    list[str], Argument(metavar="STREAM_ID…", help="Ids of streams (see `info`).", show_default=False)
]
PlayerChoice = Literal["browser", "mpv", "vlc", "ffplay", "none"]


def info(bundle: BundleArgument, common: CommonFlags) -> Job:
    """Show what a bundle holds."""

    def job(terminal: Terminal, _interruption: Interruption) -> int:
        from hlsdl.bundle.reading import Bundle

        load(terminal, common)
        _show(Bundle.open(bundle).document(), terminal)
        return 0

    return job


def _show(document: dict[str, Any], terminal: Terminal) -> None:
    if terminal.json:
        terminal.document(document)
    else:
        from hlsdl.cli.reports import bundle_blocks

        terminal.show(bundle_blocks(document))


def drop(bundle: BundleArgument, streams: StreamArguments, *, common: CommonFlags) -> Job:
    """Remove stored streams and keep the rest playable."""

    def job(terminal: Terminal, _interruption: Interruption) -> int:
        from hlsdl.bundle.reading import Bundle
        from hlsdl.session import dropping

        load(terminal, common)
        dropping.drop(bundle, streams)
        _show(Bundle.open(bundle).document(), terminal)
        return 0

    return job


def verify(
    bundle: BundleArgument,
    common: CommonFlags,
    deep: Annotated[bool, Option("--deep", help="Also decode every stream with ffmpeg.")] = False,
) -> Job:
    """Check a bundle: hashes, closure and structure."""

    def job(terminal: Terminal, _interruption: Interruption) -> int:
        from hlsdl.verification import verify_bundle

        settings = load(terminal, common).settings
        return show_report(verify_bundle(bundle, deep=deep, ffmpeg=settings.ffmpeg), terminal)

    return job


def show_report(report: Report, terminal: Terminal) -> int:
    """Show what a verification found; the exit code says whether the bundle is sound."""
    document: dict[str, Any] = report.to_document()
    if terminal.json:
        terminal.document(document)
    else:
        from hlsdl.cli.reports import verify_blocks

        terminal.show(verify_blocks(document))
    return 0 if report.ok else IntegrityError.code


def play(
    bundle: BundleArgument,
    common: CommonFlags,
    player: Annotated[
        PlayerChoice | None,
        Option(metavar="browser|mpv|vlc|ffplay|none", help="What shows it; `none` only serves."),
    ] = None,
    port: Annotated[str | None, Option(metavar="N", help="The port on loopback; default: a free one.")] = None,
) -> Job:
    """Serve a bundle, also one that is still being fetched, on loopback and open a player."""

    def job(terminal: Terminal, _interruption: Interruption) -> int:
        from hlsdl.bundle.reading import read_manifest
        from hlsdl.player import PlayerName
        from hlsdl.player import play as show

        settings = load(terminal, common, player=player, port=port).settings
        read_manifest(bundle)  # a folder that is no bundle is refused, whatever playlists it has

        def ready(serving: Serving) -> None:
            if terminal.json:
                terminal.document(
                    {"schema": "hlsdl.play/1", "playlist": serving.playlist_url, "page": serving.page_url}
                )
            else:
                terminal.data(serving.playlist_url)
                terminal.note(f"the page is {serving.page_url}; press Ctrl-C to stop")

        def unopened() -> None:
            terminal.warn("the browser did not open; the bundle is served all the same")

        name = PlayerName(settings.player or "browser")
        try:
            show(bundle, player=name, port=settings.port, ready=ready, unopened=unopened)
        except KeyboardInterrupt:
            terminal.note("stopped")
            return Interrupted.code
        return 0

    return job
