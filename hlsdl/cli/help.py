"""The text of `--help`: short, grouped, examples at the end, and rendered without importing rich.

Typer finds out what the parameters are; this module only lays them out.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.core import TyperCommand, TyperGroup

WIDEST = 100
"""Columns of text at most, however wide the terminal is."""
WIDEST_NAME = 34
"""A flag that is longer than this has its description on the next line."""

Rows = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a help text says."""

    usage: str
    about: str
    panels: Sequence[tuple[str, Rows]]
    examples: str = ""


def render(page: Page, width: int) -> str:
    """Return the page as text of at most `width` columns."""
    parts = [f"Usage: {page.usage}", textwrap.fill(" ".join(page.about.split()), width)]
    for title, rows in page.panels:
        if rows:
            parts.append("\n".join([f"{title}:", *_rows(rows, width)]))
    if page.examples:
        parts.append("Examples:\n" + textwrap.indent(textwrap.dedent(page.examples).strip(), "  "))
    return "\n\n".join(parts) + "\n"


def option_name(option: Any) -> str:
    """Return how an option is written: `-o, --output PATH`, `--hdr/--no-hdr`."""
    both = [*sorted(option.opts, key=len), *option.secondary_opts]
    names = "/".join(both) if option.secondary_opts else ", ".join(both)
    return f"{names} {option.metavar}" if option.metavar and not (option.is_flag or option.count) else names


def panels_of(parameters: Iterable[Any], order: Sequence[str] = ()) -> list[tuple[str, Rows]]:
    """Group options by their panel, in order of appearance; the panels in `order` come last, in that order."""
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            if parameter.help:
                panels.setdefault("Arguments", []).append((parameter.metavar or parameter.name, parameter.help))
        elif not parameter.hidden:
            panel = getattr(parameter, "rich_help_panel", None) or "Everywhere"
            panels.setdefault(panel, []).append((option_name(parameter), parameter.help or ""))
    first = [title for title in panels if title not in order]
    return [(title, panels[title]) for title in (*first, *[one for one in order if one in panels])]


class HelpfulCommand(TyperCommand):
    """A command whose help is a `Page`, and whose flags cost nothing while they are not given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Understand the words of a command line."""
        _hasten(self, ctx)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help text into Typer's formatter."""
        page = Page(
            usage=f"{ctx.command_path} [OPTIONS] {' '.join(_arguments(self, ctx))}".rstrip(),
            about=self.help or "",
            panels=panels_of(self.get_params(ctx), order=("Everywhere",)),
            examples=self.epilog or "",
        )
        formatter.write(render(page, _width()))


class HelpfulGroup(TyperGroup):
    """The command tree, with one line for each command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Understand the words of a command line up to the command's name."""
        _hasten(self, ctx)  # not earlier: Typer adds flags of its own when the tree is made
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help text into Typer's formatter."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            panel = getattr(command, "rich_help_panel", None) or "Commands"
            panels.setdefault(panel, []).append((name, (command.help or "").split("\n")[0].rstrip(".")))
        page = Page(
            usage=f"{ctx.command_path} COMMAND [OPTIONS] …",
            about=self.help or "",
            panels=[*panels.items(), *panels_of(self.get_params(ctx))],
            examples=self.epilog or "",
        )
        formatter.write(render(page, _width()))


def _hasten(command: TyperCommand | TyperGroup, ctx: Any) -> None:
    for parameter in command.get_params(ctx):  # also `--help`
        parameter.process_value = partial(_process, parameter, parameter.process_value)  # type: ignore[method-assign]


def _process(parameter: Any, process: Callable[[Any, Any], Any], ctx: Any, value: Any) -> Any:
    """Let Typer convert what needs it: it loads pydantic and builds a validator for each flag, a third of a start."""
    if value is None and not parameter.required:
        converted: Any = () if parameter.multiple or parameter.nargs == -1 else None
    elif isinstance(value, str) and (parser := parameter.type_descriptor.parameter_info.parser) is not None:
        converted = parser(value)
    elif (converted := _plain(parameter.type_descriptor.annotation, value)) is None:
        return process(ctx, value)
    return converted if parameter.callback is None else parameter.callback(ctx, parameter, converted)


def _plain(kind: Any, value: Any) -> Any:
    """The value of a text, path, word or number that is right beyond doubt; None when Typer shall judge."""
    if kind is Path and isinstance(value, str):
        # Typer refuses what is there and cannot be read; no path of ours has another condition.
        return Path(value) if os.access(value, os.R_OK) or not Path(value).exists() else None
    if kind == list[str]:
        return list(value) if value and all(isinstance(one, str) for one in value) else None
    is_right = value in get_args(kind) if get_origin(kind) is Literal else type(value) is kind
    return value if is_right else None


def _arguments(command: TyperCommand, ctx: Any) -> list[str]:
    return [one.metavar or one.name.upper() for one in command.get_params(ctx) if one.param_type_name == "argument"]


def _rows(rows: Rows, width: int) -> Iterable[str]:
    column = min(max(len(name) for name, _ in rows), WIDEST_NAME) + 4
    for name, text in rows:
        wrapped = textwrap.wrap(text, max(width - column, 20)) or [""]
        if len(name) + 4 > column:
            yield f"  {name}"
        else:
            yield f"  {name:<{column - 2}}{wrapped.pop(0)}".rstrip()
        for line in wrapped:
            yield " " * column + line


def _width() -> int:
    return min(shutil.get_terminal_size().columns, WIDEST)
