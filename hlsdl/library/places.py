"""Places: the folders in which hlsdl keeps what belongs to a user and to no bundle.

The one module below the doors that looks at the environment, since these folders belong to the user and not to a call:
`HLSDL_DATA` names the data folder, else it is the usual one of the system. Nothing is created here.
"""

from __future__ import annotations

import os
from pathlib import Path

from hlsdl.errors import DiskError

VARIABLE = "HLSDL_DATA"


def data_folder() -> Path:
    """`$HLSDL_DATA`, else the system's folder for the data of a user's programs (`~/.local/share/hlsdl` on Linux).

    Raises:
        DiskError: there is none that could be named: this user has no home, or the one that was named has none.
    """
    try:
        if named := os.environ.get(VARIABLE):
            return Path(named).expanduser().absolute()
        import platformdirs

        return platformdirs.user_data_path("hlsdl", appauthor=False)
    except (RuntimeError, OSError, KeyError) as error:  # what `expanduser` and the password database have to say
        raise DiskError(
            "there is no folder for this user's data", hint=f"name one with `{VARIABLE}`, or give the user a home"
        ) from error


def library_folder(root: Path | None = None) -> Path:
    """Where a session puts bundles whose configuration names no destination; `root` stands for the data folder."""
    return (root or data_folder()) / "library"


def sessions_folder(root: Path | None = None) -> Path:
    """Where background sessions keep their tasks, one folder each; `root` stands for the data folder."""
    return (root or data_folder()) / "sessions"


def mark_key_file(root: Path | None = None) -> Path:
    """What only this user's marks are made with; `root` stands for the data folder."""
    return (root or data_folder()) / "mark.key"


def index_file(root: Path | None = None) -> Path:
    """The database that knows the user's bundles; `root` stands for the data folder."""
    return (root or data_folder()) / "library.sqlite"
