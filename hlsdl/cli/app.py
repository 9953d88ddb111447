"""The door: the command tree, and the one place where a command line becomes an exit code.

Typer understands the line and returns a job; the job runs outside of it, so that interrupts and errors are told in
our words. Heavy rooms are imported by the jobs, never here: `hlsdl --help` must be quick.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import typer
from typer.main import get_command

from hlsdl.cli import doctor, downloads, library, shelf
from hlsdl.cli.failures import interrupted, usage_error, was_interrupted
from hlsdl.cli.flags import CommonFlags
from hlsdl.cli.help import HelpfulCommand, HelpfulGroup
from hlsdl.cli.interrupts import SIGNALS, Interruption
from hlsdl.cli.parameters import Invocation, Job, with_groups
from hlsdl.cli.terminal import Terminal, let_go_of_streams
from hlsdl.errors import UsageError

ABOUT = "Keep HLS streams offline: choose, fetch, verify and play, with nothing lost on the way."
CODES = "Exit codes: 0 done, 2 usage, 3 network, 4 refused by the server … (docs/exit-codes.md)"
EXAMPLES = f"""\
hlsdl fetch https://example.com/film/master.m3u8
hlsdl plan --max-size 1280x720 --audio en,fr https://example.com/film/master.m3u8
hlsdl play film.movpkg

{CODES}"""

HANDOVER = 0.0005
"""Seconds after which a thread that stores may interrupt the one that fetches, or the other way round: a tenth of
Python's own. 10,000 small segments take a twelfth less time, large ones as long as before (docs/performance.md)."""

STOPPING = "stopping, and saving what is here; Ctrl-C again stops at once"

COMMANDS: tuple[tuple[Callable[..., Job], str, str], ...] = (
    (
        downloads.fetch,
        "Streams",
        """\
        hlsdl fetch https://example.com/film/master.m3u8 -P films
        hlsdl fetch --max-size 1280x720 --audio en,fr --subs all https://example.com/film/master.m3u8
        hlsdl fetch -H @headers.txt --json - < urls.txt""",
    ),
    (
        downloads.plan,
        "Streams",
        """\
        hlsdl plan --min-bitrate 2M --no-hdr https://example.com/film/master.m3u8
        hlsdl plan --json https://example.com/film/master.m3u8""",
    ),
    (downloads.inspect, "Streams", "hlsdl inspect https://example.com/film/master.m3u8"),
    (shelf.info, "Bundles", "hlsdl info film.movpkg"),
    (shelf.verify, "Bundles", "hlsdl verify --deep film.movpkg"),
    (downloads.repair, "Bundles", "hlsdl repair film.movpkg"),
    (
        downloads.add,
        "Bundles",
        """\
        hlsdl add --audio fr --subs de film.movpkg
        hlsdl add --where 'height >= 1080' film.movpkg""",
    ),
    (
        downloads.import_,
        "Bundles",
        """\
        hlsdl import film.movpkg -P films
        hlsdl import --keep-protected film.movpkg -o films/film.movpkg""",
    ),
    (
        shelf.drop,
        "Bundles",
        """\
        hlsdl info film.movpkg
        hlsdl drop film.movpkg 1-GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ-0""",
    ),
    (
        shelf.play,
        "Bundles",
        """\
        hlsdl play film.movpkg
        hlsdl play --player none --port 8080 film.movpkg""",
    ),
    (library.list, "Library", "hlsdl list"),
    (library.rm, "Library", "hlsdl rm film.movpkg"),
    (
        library.gc,
        "Library",
        """\
        hlsdl gc --free 5G --dry-run
        hlsdl gc --quota 50G""",
    ),
    (
        library.keep,
        "Library",
        """\
        hlsdl keep film.movpkg
        hlsdl keep --until 2027-01-31 --default film.movpkg""",
    ),
    (doctor.doctor, "This machine", "hlsdl doctor"),
)


def names() -> tuple[str, ...]:
    """Return the names of the commands."""
    return tuple(_name_of(command) for command, _, _ in COMMANDS)


def _name_of(command: Callable[..., Job]) -> str:
    """Its function's; one that is a word of Python has an underscore behind it there."""
    return command.__name__.rstrip("_")


def tree(only: str | None = None) -> HelpfulGroup:
    """Return the command tree; `only` leaves the other commands out, since each takes its time to build."""
    app = typer.Typer(
        cls=HelpfulGroup,
        help=ABOUT,
        epilog=EXAMPLES,
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(with_groups(_before_the_command))
    for command, panel, examples in COMMANDS:
        name = _name_of(command)
        if only is not None and name != only:
            continue
        app.command(
            name,
            cls=HelpfulCommand,
            epilog=examples,
            rich_help_panel=panel,
            context_settings={"help_option_names": ["-h", "--help"]},
        )(with_groups(command))
    built = get_command(app)
    assert isinstance(built, HelpfulGroup)  # noqa: S101 - `cls` above says so
    return built


def main(arguments: Sequence[str] | None = None, *, came: Sequence[int] = ()) -> int:
    """Run one command line and return its exit code; not when a signal `came` while all this was loaded."""
    line = list(sys.argv[1:] if arguments is None else arguments)
    terminal = Terminal(json=_asks_for_json(line))
    _let_every_path_through()
    # Looking for pydantic plugins reads the metadata of every installed package: 15 ms of each start, for nothing.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    with Interruption(told=lambda: terminal.note(STOPPING)) as interruption:
        try:
            return downloads.report(interrupted(), terminal) if came else _run(line, terminal, interruption)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last door: told as a sentence, with its code
            return downloads.report(interrupted() if was_interrupted(error) else error, terminal)


def run(came: Sequence[int] = ()) -> NoReturn:
    """The `hlsdl` command: `main`, and then the end of the process, which a late signal no longer changes."""
    sys.setswitchinterval(HANDOVER)
    code = main(came=came)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    let_go_of_streams()
    gc.freeze()  # what lives until the end need not be looked through for rubbish at the end: 30 ms of every command
    sys.exit(code)


def _run(line: list[str], terminal: Terminal, interruption: Interruption) -> int:
    # A line that begins with a command needs no other; behind flags, a word may be the value of one of them.
    named = next((name for name in names() if line[:1] == [name]), None)
    try:
        understood = tree(named).main(args=line, prog_name="hlsdl", standalone_mode=False)
    except typer.TyperException as error:
        return _refuse(error, line, terminal)
    if not isinstance(understood, Invocation):
        # `--help` and `--version` have printed what they are for; Typer hands back their exit code.
        return int(understood or 0)
    common = understood.common
    terminal.json = common.json
    terminal.progress = common.progress or terminal.progress
    terminal.quiet = bool(common.quiet)
    with interruption.working():
        return understood.job(terminal, interruption)


def _refuse(error: typer.TyperException, line: Sequence[str], terminal: Terminal) -> int:
    """Tell why a command line was not understood; a bare `hlsdl` is shown what it can say."""
    if not line:
        print(error.format_message(), file=sys.stderr)
        return UsageError.code
    named = next((word for word in line if not word.startswith("-")), "")
    terminal.error(usage_error(error, command=f"hlsdl {named}" if named in names() else "hlsdl"))
    return UsageError.code


def _before_the_command(common: CommonFlags) -> None:
    """Take the common flags that stand before a command's name."""


def _asks_for_json(line: Sequence[str]) -> bool:
    """Whether errors of a line that is not understood yet must be JSON."""
    return "--json" in (line[: line.index("--")] if "--" in line else line)


def _let_every_path_through() -> None:
    """Print paths that are no valid text as the bytes they are, where the encoding can (PEP 383)."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="surrogateescape" if stream.encoding.lower() == "utf-8" else "backslashreplace")
