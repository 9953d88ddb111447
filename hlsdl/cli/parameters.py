"""Flag groups as command parameters: a command takes `SelectionFlags`, Typer sees one option for each field.

Written once here so that `fetch`, `plan` and `repair` cannot drift apart. Which flags exist is `flags`' business.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cache, wraps
from typing import Any, get_type_hints

import typer

from hlsdl.cli.flags import CommonFlags
from hlsdl.cli.interrupts import Interruption
from hlsdl.cli.terminal import Terminal

Job = Callable[[Terminal, Interruption], int]
"""What a command does once the whole command line is understood; it returns the exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A command line that was understood: what to do, and how to talk about it."""

    job: Job
    common: CommonFlags


def with_groups(command: Callable[..., Job | None]) -> Callable[..., Invocation | None]:
    """Turn `command(plain…, group…, common)` into a function whose parameters are all fields, as Typer wants them.

    The common flags are also left on Typer's context, where the command after the group finds those before its name.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters = inspect.signature(command).parameters
    groups = {name: hints[name] for name in parameters if is_dataclass(hints[name])}
    plain = [
        parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in parameters.items()
        if name not in groups
    ]
    options = [option for group in groups.values() for option in _options(group)]
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

    @wraps(command)
    def flat(*, context: typer.Context, **values: Any) -> Invocation | None:
        built = {name: _take(group, values) for name, group in groups.items()}
        early = context.obj if isinstance(context.obj, CommonFlags) else CommonFlags()
        context.obj = built["common"] = later_wins(early, built["common"])
        job = command(**values, **built)
        return None if job is None else Invocation(job=job, common=context.obj)

    flat.__signature__ = inspect.Signature([*plain, *options, context])  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in (*plain, *options, context)}
    return flat


def later_wins(early: CommonFlags, late: CommonFlags) -> CommonFlags:
    """Join the flags before the command's name with those after it."""
    changed = {
        field.name: getattr(late, field.name)
        for field in fields(CommonFlags)
        if getattr(late, field.name) != field.default
    }
    return replace(early, **changed)


@cache
def _options(group: type[Any]) -> list[inspect.Parameter]:
    """The fields of a group as parameters; most groups belong to several commands, and reading their types is slow."""
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]


def _take(group: type[Any], values: dict[str, Any]) -> Any:
    taken: Mapping[str, Any] = {field.name: values.pop(field.name) for field in fields(group)}
    return group(**taken)
