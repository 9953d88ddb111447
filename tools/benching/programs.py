"""Programs: which tools there are, and how the missing ones are installed.

System programs come by apt where we are root; Python programs go to a virtual environment of their own, `.make/bench`,
so that no peer shares a library with hlsdl.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BENCH_VENV = ROOT / ".make" / "bench"
PACKAGES = {
    "nginx": "nginx-light",
    "curl": "curl",
    "aria2c": "aria2",
    "ffmpeg": "ffmpeg",
    "valgrind": "valgrind",
    "caddy": "caddy",
}
"""Program: Debian package."""
FROM_PIP = {"yt-dlp": "yt-dlp[default]", "streamlink": "streamlink", "py-spy": "py-spy"}
"""Program: requirement. `default` brings yt-dlp's own AES library; without it decryption runs in pure Python."""
_ASK_VERSION = {"nginx": "-v", "ffmpeg": "-version", "caddy": "version"}


@dataclass(slots=True)
class Programs:
    """Where programs are; what is not here is not installed."""

    paths: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.paths[name]

    def __contains__(self, name: str) -> bool:
        return name in self.paths

    @property
    def python(self) -> str:
        """The interpreter that has hlsdl."""
        return sys.executable

    def version(self, name: str) -> str:
        """The version a program tells of itself."""
        asked = subprocess.run(
            [self.paths[name], _ASK_VERSION.get(name, "--version")], capture_output=True, text=True, check=False
        )
        found = re.search(r"\d+(\.\d+)+", asked.stdout + asked.stderr)
        return found.group() if found else "unknown"


def find_programs() -> Programs:
    """Look for everything; install nothing."""
    places = os.pathsep.join([str(BENCH_VENV / "bin"), os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    # A peer of the system is often years old; only the bench's own is fair.
    system = {name: path for name in PACKAGES if (path := shutil.which(name, path=places))}
    ours = {name: path for name in FROM_PIP if (path := shutil.which(name, path=str(BENCH_VENV / "bin")))}
    hlsdl = Path(sys.executable).with_name("hlsdl")
    return Programs({**system, **ours, **({"hlsdl": str(hlsdl)} if hlsdl.exists() else {})})


def install_missing(names: set[str]) -> None:
    """Install those of `names` that are not there; says what it could not do and goes on."""
    have = find_programs()
    missing = sorted(name for name in names if name not in have)
    _install_packages([PACKAGES[name] for name in missing if name in PACKAGES])
    _install_python([FROM_PIP[name] for name in missing if name in FROM_PIP])


def _install_packages(packages: list[str]) -> None:
    if not packages:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"not installed, and left out: {' '.join(packages)}", file=sys.stderr)
        return
    print(f"installing: {' '.join(packages)}", file=sys.stderr)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=quiet, stdout=subprocess.DEVNULL, check=False)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    if subprocess.run(command, env=quiet, capture_output=True, check=False).returncode:
        print(f"could not install: {' '.join(packages)}", file=sys.stderr)


def _install_python(requirements: list[str]) -> None:
    if not requirements:
        return
    print(f"installing into {BENCH_VENV}: {' '.join(requirements)}", file=sys.stderr)
    if not (BENCH_VENV / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", str(BENCH_VENV)], check=True)
    command = [str(BENCH_VENV / "bin" / "pip"), "install", "--quiet", *requirements]
    if subprocess.run(command, check=False).returncode:
        print(f"could not install: {' '.join(requirements)}", file=sys.stderr)
