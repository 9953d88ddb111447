"""Players are found, called by argument vector with the loopback address, and waited for."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest

from hlsdl.errors import UsageError
from hlsdl.player import PlayerName, Serving, find_player, installed_players, play
from hlsdl.player.handoff import player_command

from .bundles import lay_out


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(programs: Path, name: str, body: str) -> Path:
    """Put a Python program on PATH."""
    program = programs / name
    program.write_text(f"#!{sys.executable}\n{body}")
    program.chmod(0o755)
    return program


def test_a_player_that_is_not_there_is_a_usage_error_that_names_the_others(programs: Path) -> None:
    install(programs, "ffplay", "")
    with pytest.raises(UsageError, match="`mpv` is not installed") as raised:
        find_player(PlayerName.MPV)
    assert raised.value.hint == "install it, or use `--player ffplay` or `--player browser`"


def test_the_players_that_are_installed_are_known(programs: Path) -> None:
    assert installed_players() == {}
    mpv = install(programs, "mpv", "")
    assert installed_players() == {PlayerName.MPV: mpv}
    assert find_player(PlayerName.MPV) == mpv


def test_a_missing_player_is_noticed_before_anything_is_served(programs: Path, bundle: Path) -> None:
    served: list[Serving] = []
    with pytest.raises(UsageError):
        play(bundle, player=PlayerName.VLC, ready=served.append)
    assert served == []


@pytest.mark.parametrize("name", [PlayerName.MPV, PlayerName.VLC, PlayerName.FFPLAY])
def test_a_title_stays_one_argument_and_never_becomes_an_option(name: PlayerName) -> None:
    title = "--script=/tmp/evil; $(touch /tmp/x) {title}\n`id`"
    command = player_command(name, Path("/usr/bin/p"), "http://127.0.0.1:1/t/index.m3u8", title)
    assert command[-1] == "http://127.0.0.1:1/t/index.m3u8"
    (place,) = [number for number, argument in enumerate(command) if title in argument]
    assert command[place].startswith("--") or command[place - 1] == "-window_title"
    assert not command[place].startswith("--script") or command[place - 1] == "-window_title"


@pytest.mark.parametrize("name", [PlayerName.MPV, PlayerName.VLC, PlayerName.FFPLAY])
def test_the_player_can_read_the_stream_while_it_runs_and_not_after(
    programs: Path, bundle: Path, tmp_path: Path, name: PlayerName, capfd: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    body = (
        "import json, sys, urllib.request\n"
        "data = urllib.request.urlopen(sys.argv[-1]).read().decode()\n"
        f"open({str(report)!r}, 'w').write(json.dumps([sys.argv[-1], data]))\n"
        "print('noise of the player')\n"
    )
    install(programs, name, body)
    served: list[Serving] = []
    play(bundle, player=name, ready=served.append)
    url, text = json.loads(report.read_text())
    assert url == served[0].playlist_url
    assert text == (bundle / "index.m3u8").read_text()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)
    # Standard output carries the address, for programs; the player's words go elsewhere.
    assert "noise" not in capfd.readouterr().out


def test_a_player_that_fails_is_reported(programs: Path, bundle: Path) -> None:
    install(programs, "mpv", "raise SystemExit(2)")
    with pytest.raises(UsageError, match="`mpv` ended with status 2"):
        play(bundle, player=PlayerName.MPV)


def test_a_player_that_cannot_be_started_is_reported(programs: Path, bundle: Path) -> None:
    (programs / "mpv").write_bytes(b"\x7fELF no program")
    (programs / "mpv").chmod(0o755)
    with pytest.raises(UsageError, match="`mpv` could not be started"):
        play(bundle, player=PlayerName.MPV)


PLAY = """
import sys
from pathlib import Path
from hlsdl.player import PlayerName, play

play(Path(sys.argv[1]), player=PlayerName(sys.argv[2]), ready=lambda serving: print(serving.page_url, flush=True))
"""


@pytest.mark.parametrize("player", [PlayerName.BROWSER, PlayerName.NONE])
def test_the_browser_gets_the_page_and_none_gets_nothing_until_interrupted(
    bundle: Path, tmp_path: Path, player: PlayerName
) -> None:
    opened = tmp_path / "opened"
    os.mkfifo(opened)  # reading it waits for the browser
    browser = install(tmp_path, "browser", f"import sys; open({str(opened)!r}, 'w').write(sys.argv[1])")
    environment = {**os.environ, "BROWSER": f"{browser} %s", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", PLAY, str(bundle), str(player)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        page_url = process.stdout.readline().strip()
        with urllib.request.urlopen(page_url, timeout=10) as answer:
            assert b"<video" in answer.read()
        if player is PlayerName.BROWSER:
            assert opened.read_text() == page_url
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in complaints
    assert process.returncode == -signal.SIGINT


def test_a_player_that_is_not_there_is_told_before_anything_is_said_to_be_served(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else a program would read two documents: where it is served, and that it is not."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for variable in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    importlib.reload(webbrowser)  # it looks for browsers once
    try:
        for player in (PlayerName.BROWSER, PlayerName.VLC):
            told: list[Serving] = []
            with pytest.raises(UsageError) as raised:
                play(bundle, player=player, ready=told.append)
            assert told == []
            assert "`--player" in str(raised.value.hint)
    finally:
        monkeypatch.undo()
        importlib.reload(webbrowser)


@pytest.mark.parametrize("fixture", ["aes128", "film"])
def test_mpv_plays_a_bundle_to_its_end(
    any_tool: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixture: str
) -> None:
    """The real player, with its picture and sound thrown away."""
    any_tool("mpv")
    log = tmp_path / "mpv.log"
    (tmp_path / "mpv.conf").write_text(f"vo=null\nao=null\nuntimed=yes\nspeed=50\nlog-file={log}\n")
    monkeypatch.setenv("MPV_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    play(
        lay_out(fixture, tmp_path / "own.movpkg", keep=r'AUDIO="aac".*sdr-|GROUP-ID="aac"|video/'),
        player=PlayerName.MPV,
    )
    assert "finished playback, success" in log.read_text()


def test_ffplay_plays_a_bundle_to_its_end(
    any_tool: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_tool("ffplay")
    report = tmp_path / "report"
    monkeypatch.setenv("FFREPORT", f"file={report}:level=40")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    play(lay_out("muxed-ts", tmp_path / "own.movpkg"), player=PlayerName.FFPLAY)
    assert "000000002.ts" in report.read_text()
