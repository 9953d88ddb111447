"""Flags, variables and the configuration file joined for one run, and the terminal told what they say.

`config` does the joining; it is imported only here and when a command runs, so that `--help` does not wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hlsdl.cli.flags import CommonFlags, given
from hlsdl.cli.terminal import Terminal

if TYPE_CHECKING:
    from hlsdl.config import Loaded


def load(terminal: Terminal, common: CommonFlags, *groups: Any, **single: Any) -> Loaded:
    """Return the settings of this run, and set up the terminal and the log by them.

    Args:
        groups: groups of flags; those that are no settings are left out.
        single: flags of one command, None when not given.

    Raises:
        UsageError: a flag, variable or key has a value that makes no sense.
    """
    from hlsdl.cli.logs import show_logs
    from hlsdl.config import NAMES, load_settings

    flags = {name: value for name, value in given(common, *groups).items() if name in NAMES}
    flags |= {name: value for name, value in single.items() if value is not None}
    loaded = load_settings(flags, config=common.config, use_file=not common.no_config)
    terminal.progress = loaded.settings.progress
    terminal.quiet = loaded.settings.quiet
    terminal.verbose = loaded.settings.verbose
    show_logs(terminal, terminal.verbose)
    return loaded
