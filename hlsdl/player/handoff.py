"""Handing a served bundle to something that shows it: the browser, or a player on this machine.

Players get the loopback address, never a path: those built on FFmpeg refuse local keys and mixed protocols. They are
run by argument vector, never through a shell. Serving is `server`'s business.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hlsdl.errors import UsageError
from hlsdl.player.server import Serving, serve

STDERR = 2
"""Where a player's own output goes: our standard output carries the address, and nothing else."""


class PlayerName(StrEnum):
    """What `hlsdl play --player` takes."""

    BROWSER = "browser"
    MPV = "mpv"
    VLC = "vlc"
    FFPLAY = "ffplay"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """How one player is found and called."""

    options: tuple[str, ...]
    """Arguments before the address; `{title}` stands for the title."""
    places: tuple[str, ...] = ()
    """Where it may be installed without being on PATH; `%NAME%` is a variable of the environment."""


_KINDS = {
    PlayerName.MPV: _Kind(
        options=("--force-media-title={title}",),
        places=("/Applications/mpv.app/Contents/MacOS/mpv",),
    ),
    PlayerName.VLC: _Kind(
        options=("--play-and-exit", "--meta-title={title}"),
        places=("/Applications/VLC.app/Contents/MacOS/VLC", r"%ProgramFiles%\VideoLAN\VLC\vlc.exe"),
    ),
    PlayerName.FFPLAY: _Kind(options=("-hide_banner", "-loglevel", "warning", "-autoexit", "-window_title", "{title}")),
}


def installed_players() -> dict[PlayerName, Path]:
    """Return the players on this machine that a bundle can be handed to, with where each one is."""
    found = {name: _locate(name) for name in _KINDS}
    return {name: path for name, path in found.items() if path is not None}


def find_player(name: PlayerName) -> Path:
    """Return where a player is.

    Raises:
        UsageError: it is not installed; the hint names those that are.
    """
    path = _locate(name)
    if path is None:
        others = [str(other) for other in (*installed_players(), PlayerName.BROWSER)]
        raise UsageError(
            f"`{name}` is not installed",
            hint=f"install it, or use {' or '.join(f'`--player {other}`' for other in others)}",
        )
    return path


def player_command(name: PlayerName, executable: Path, url: str, title: str) -> list[str]:
    """Return the argument vector that plays `url` in `executable`, which is a player of this name."""
    return [str(executable), *(option.replace("{title}", title) for option in _KINDS[name].options), url]


def play(
    bundle_path: Path,
    *,
    player: PlayerName = PlayerName.BROWSER,
    port: int = 0,
    ready: Callable[[Serving], None] = lambda serving: None,
    unopened: Callable[[], None] = lambda: None,
) -> None:
    """Serve a bundle and show it.

    Returns when the player that was started has ended. For the browser, and for `none`, it serves until the
    KeyboardInterrupt that ends the program, which is left to the caller.

    Args:
        bundle_path: the bundle's folder.
        player: what shows it.
        port: the TCP port, or 0 for a free one.
        ready: called once it is served, before the player starts.
        unopened: called when the browser did not open; it is served all the same.

    Raises:
        UsageError: no bundle, an unusable port, a browser or player that is not there, or a player that could not play
            it.
    """
    executable = find_player(player) if player in _KINDS else None
    if player is PlayerName.BROWSER and not has_browser():
        raise UsageError("no browser was found to open", hint="`--player none` serves without opening anything")
    with serve(bundle_path, port=port) as serving:
        ready(serving)
        if executable is not None:
            _run(player_command(player, executable, serving.playlist_url, serving.title), player)
            return
        if player is PlayerName.BROWSER and not webbrowser.open(serving.page_url):
            unopened()  # it is said to be served already, and whoever was told can open it
        threading.Event().wait()


def _locate(name: PlayerName) -> Path | None:
    if on_path := shutil.which(name):
        return Path(on_path)
    places = (Path(os.path.expandvars(place)) for place in _KINDS[name].places)
    return next((place for place in places if place.is_file()), None)


def has_browser() -> bool:
    """Whether there is one to try; whether it opens, it says itself."""
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def _run(command: list[str], player: PlayerName) -> None:
    """Run the player in the foreground, so that its own keys work in the terminal, and wait for its end."""
    sys.stdout.flush()
    try:
        done = subprocess.run(command, stdout=STDERR, check=False)
    except OSError as error:
        raise UsageError(f"`{player}` could not be started: {error.strerror}") from error
    if done.returncode != 0:
        raise UsageError(
            f"`{player}` ended with status {done.returncode}", hint="`--player browser` plays it in the browser"
        )
