"""Whoever listens to a download hears every event; what cannot hear is refused before anything is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hlsdl
from hlsdl.errors import UsageError
from hlsdl.session.events import Event
from hlsdl.testing import ScriptedOrigin


class Waiting:
    async def __call__(self, event: Event) -> None: ...


async def waiting(event: Event) -> None: ...


@pytest.mark.parametrize("emit", [waiting, Waiting(), 5, None])
async def test_a_listener_that_would_never_hear_is_refused(emit: Any, tmp_path: Path) -> None:
    for ask in (
        lambda: hlsdl.fetch("https://127.0.0.1:1/a.m3u8", output=tmp_path, emit=emit),
        lambda: hlsdl.add(tmp_path / "a.movpkg", emit=emit),
    ):
        with pytest.raises(UsageError, match="`emit` is"):
            await ask()


async def test_a_function_a_method_and_an_object_may_listen(film: Path, tmp_path: Path) -> None:
    class Listener:
        heard = 0

        def __call__(self, event: Event) -> None:
            self.heard += 1

    listener, events = Listener(), list[Event]()
    listeners: tuple[Callable[[Event], object], ...] = (listener, events.append, events.append)
    with ScriptedOrigin() as origin:
        origin.add_folder(film)
        for number, emit in enumerate(listeners):
            await hlsdl.fetch(origin.url("/master.m3u8"), output=tmp_path / str(number), emit=emit)
    assert listener.heard > 3
    assert len(events) > 2 * 3
