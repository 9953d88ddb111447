"""`hlsdl doctor`: what was found on this machine, and where every setting comes from. Shows no secret."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hlsdl.cli.blocks import Block, Facts, Grid, Lines
from hlsdl.cli.flags import CommonFlags
from hlsdl.cli.interrupts import Interruption
from hlsdl.cli.parameters import Job
from hlsdl.cli.settings import load
from hlsdl.cli.terminal import Terminal
from hlsdl.errors import HlsdlError, redact_typed
from hlsdl.version import __version__

if TYPE_CHECKING:
    from hlsdl.config import Loaded

PROXY_NOTE = "a proxy resolves names by itself: private addresses are refused only where they are written as such"
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
EXTRAS = {"http2": "h2", "socks": "socksio"}
ADDRESSES = frozenset({"proxy", "referer"})


def doctor(common: CommonFlags) -> Job:
    """Show what was found here (ffmpeg, players, limits) and every setting."""

    def job(terminal: Terminal, _interruption: Interruption) -> int:
        document = diagnosis(load(terminal, common), terminal.environment)
        if terminal.json:
            terminal.document(document)
        else:
            terminal.show(doctor_blocks(document))
        return 0

    return job


def diagnosis(loaded: Loaded, environment: Mapping[str, str]) -> dict[str, Any]:
    """Look around and return the `hlsdl.doctor/1` document."""
    import platform
    from importlib.util import find_spec

    from hlsdl.config import default_config_file, unknown_variables

    notes = [f"`{name}` is no setting of hlsdl; is it misspelt?" for name in unknown_variables(environment)]
    if loaded.settings.proxy or any(environment.get(name) or environment.get(name.lower()) for name in PROXY_VARIABLES):
        notes.append(PROXY_NOTE)
    return {
        "schema": "hlsdl.doctor/1",
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "config_file": str(loaded.file) if loaded.file else None,
        "default_config_file": str(default_config_file()),
        "ffmpeg": _ffmpeg(loaded.settings.ffmpeg),
        **_players(),
        "open_files": _open_files(),
        "transport": _transport(),
        "extras": {extra: find_spec(module) is not None for extra, module in EXTRAS.items()},
        "settings": [
            {"name": name.replace("_", "-"), "value": value, "origin": loaded.origins[name]}
            for name, value in shown_values(loaded).items()
        ],
        "notes": notes,
    }


def shown_values(loaded: Loaded) -> dict[str, Any]:
    """Return every setting as it takes effect, without secrets: of headers the names, of addresses what is public."""
    transfer = loaded.settings.transfer_options()
    values: dict[str, Any] = {}
    for name in loaded.origins:
        value = getattr(loaded.settings, name)
        if value is None:
            # Where a room below has the default, that is what takes effect.
            value = getattr(transfer, name, None)
        if name == "header":
            value = [f"{header}: …" for header, _ in value]
        elif name in ADDRESSES and value:
            value = redact_typed(_without_login(value) if name == "proxy" else value)
        values[name] = str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
    return values


def _without_login(proxy: str) -> str:
    """A proxy's address, which has no path: whatever is wrong with it, what stands before its last `@` is a secret."""
    return re.sub(r"^([a-z][a-z0-9+.-]*://)?.*@", r"\1", proxy, flags=re.IGNORECASE | re.DOTALL)


def doctor_blocks(document: Mapping[str, Any]) -> list[Block]:
    """Show an `hlsdl.doctor/1`."""
    ffmpeg, limits, transport = document["ffmpeg"], document["open_files"], document["transport"]
    found = Facts(
        [
            ("hlsdl", document["version"]),
            ("Python", f"{document['python']} on {document['platform']}"),
            ("configuration", document["config_file"] or f"none (it would be {document['default_config_file']})"),
            ("ffmpeg", f"{ffmpeg['version']} at {ffmpeg['path']}" if "path" in ffmpeg else ffmpeg["problem"]),
            ("players", ", ".join(f"{name} at {path}" for name, path in document["players"].items()) or "none"),
            ("browser", "found" if document["browser"] else "none"),
            ("web player", "its files are here" if document["web_player"] else "its files were not built in"),
            ("open files", f"{limits['soft']} (at most {limits['hard']})" if limits else "no limit known"),
            ("transport", _transport_text(transport)),
            *[(extra, "installed" if there else "not installed") for extra, there in document["extras"].items()],
        ]
    )
    rows = [(one["name"], _setting_text(one["value"]), one["origin"]) for one in document["settings"]]
    blocks: list[Block] = [found, Grid("settings", ("name", "value", "from"), rows)]
    return [*blocks, Lines([f"note: {note}" for note in document["notes"]])] if document["notes"] else blocks


def _setting_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        between = "x" if value and all(isinstance(item, int) for item in value) else ", "
        return between.join(str(item) for item in value)
    return "" if value is None else str(value)


def _transport_text(transport: Mapping[str, Any]) -> str:
    name = f"{transport['name']} {transport['version']}"
    if transport["why_not_libcurl"] is not None:
        return f"{name}, since {transport['why_not_libcurl']}"
    return f"{name}, {'with' if transport['http3'] else 'without'} HTTP/3"


def _transport() -> dict[str, Any]:
    from dataclasses import asdict

    from hlsdl.transfer.transport import transport_in_use

    return asdict(transport_in_use())


def _ffmpeg(configured: Path | None) -> dict[str, str]:
    from hlsdl.ffmpeg import find_ffmpeg

    try:
        found = find_ffmpeg(configured)
    except HlsdlError as error:
        return {"problem": f"{error.message}; {error.hint}" if error.hint else error.message}
    return {"path": str(found.path), "version": found.version}


def _players() -> dict[str, Any]:
    from importlib.resources import files

    from hlsdl.player.app import PAGE_FILES
    from hlsdl.player.handoff import has_browser, installed_players

    web = files("hlsdl.player") / "web"
    return {
        "players": {str(name): str(path) for name, path in installed_players().items()},
        "browser": has_browser(),
        "web_player": all((web / name).is_file() for name, _ in PAGE_FILES.values()),
    }


def _open_files() -> dict[str, int | None] | None:
    """The limits on open files, where the operating system has them; None inside stands for unlimited."""
    if os.name != "posix":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {
        "soft": None if soft == resource.RLIM_INFINITY else soft,
        "hard": None if hard == resource.RLIM_INFINITY else hard,
    }
