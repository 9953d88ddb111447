"""What is told while a download runs, to people and to programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.terminals import err, on_screen, out, piped
from hlsdl.cli.bars import Bars
from hlsdl.cli.progress import JsonLines, ProgressLines, Silence, listener_for, progress_sentence
from hlsdl.session.events import (
    DidFinishDownloading,
    Event,
    Progressed,
    Sealing,
    SelectionResolved,
    VariantsChosen,
    Warned,
    WillDownloadTo,
)


def progressed(done: int, *, estimate: bool = True, eta: float | None = 17.2) -> Progressed:
    return Progressed(
        task="A film",
        completed_bytes=done * 1_000_000,
        total_bytes=100_000_000,
        total_is_estimate=estimate,
        fraction=done / 100,
        segments_done=done,
        segments_total=100,
        rate=4_200_000.0,
        eta=eta,
    )


FINISHED = DidFinishDownloading(
    task="A film", path=Path("A film.movpkg"), bytes=98_000_000, segments=90, reused_segments=10, seconds=23.3
)
STORY: list[Event] = [
    WillDownloadTo(task="A film", path=Path("A film.movpkg")),
    VariantsChosen(task="A film", variants=("#3 1920x1080 6.0 Mbit/s PQ hvc1",), because=("largest",)),
    SelectionResolved(task="A film", audio=('en "English" 2ch (aac)', 'fr "Français" (aac)'), subtitles=()),
    progressed(42),
    Warned(task="A film", message="the server sent a strange type"),
    Sealing(task="A film"),
    FINISHED,
]


def test_a_line_says_how_far_and_marks_an_estimate() -> None:
    assert progress_sentence(progressed(42)) == ("42 % of ~100.0 MB, 42 of 100 segments, 4.2 MB/s, 0:17 left")
    assert progress_sentence(progressed(42, estimate=False, eta=None)) == (
        "42 % of 100.0 MB, 42 of 100 segments, 4.2 MB/s"
    )


def test_lines_come_at_the_start_every_ten_seconds_and_at_the_end() -> None:
    terminal, now = piped(), [0.0]
    listener = ProgressLines(terminal, clock=lambda: now[0])
    listener(STORY[0])
    for second in range(1, 26):
        now[0] = float(second)
        listener(progressed(second))
    listener(Sealing(task="A film"))
    listener(FINISHED)
    lines = err(terminal).splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "A film: downloading to A film.movpkg",
        "A film: 10 % of ~100.0 MB",
        "A film: 20 % of ~100.0 MB",
        "A film: sealing",
        "A film: done",
    ]
    assert "10 were there already" in lines[-1]
    assert out(terminal) == ""


def test_json_progress_is_one_object_for_every_event() -> None:
    terminal = piped(progress="json")
    with listener_for(terminal) as listener:
        for event in STORY:
            listener(event)
    objects = [json.loads(line) for line in err(terminal).splitlines()]
    assert [one["event"] for one in objects] == [event.name for event in STORY]
    assert objects[3]["fraction"] == 0.42
    assert objects[3]["total_is_estimate"] is True
    assert objects[0]["path"] == "A film.movpkg"


def test_silence_still_passes_warnings_on() -> None:
    terminal = piped(progress="none")
    listener = Silence(terminal)
    for event in STORY:
        listener(event)
    assert err(terminal) == "warning: the server sent a strange type\n"


def test_bars_show_title_choice_size_rate_and_time_left() -> None:
    terminal = on_screen(environment={"NO_COLOR": "1"})
    with Bars(terminal, width=160) as listener:
        for event in STORY[:-2]:
            listener(event)
    drawn = err(terminal)
    for part in ("A film", "1080p+en+fr", "42 %", "42.0 MB/~100.0 MB", "4.2 MB/s", "0:17"):
        assert part in drawn
    assert "warning: the server sent a strange type" in drawn
    assert out(terminal) == ""


def test_a_title_from_a_server_cannot_drive_the_bars() -> None:
    terminal = on_screen(environment={"NO_COLOR": "1"})
    with Bars(terminal, width=160) as listener:
        listener(WillDownloadTo(task="[red]\x1b]0;pwned\x07", path=Path("x")))
    assert "\x1b]0" not in err(terminal)
    assert "[red]" in err(terminal)


def test_messages_while_bars_are_drawn_go_above_them_and_back_to_stderr_after() -> None:
    terminal = on_screen(environment={"NO_COLOR": "1"})
    with Bars(terminal, width=160) as listener:
        listener(STORY[0])
        terminal.note("above")
        assert terminal.write_through is not None
    assert terminal.write_through is None
    assert "above" in err(terminal)


def test_a_result_on_the_same_screen_waits_for_the_end_of_the_bars() -> None:
    terminal = on_screen(environment={"NO_COLOR": "1"})
    with Bars(terminal, width=160) as listener:
        listener(STORY[0])
        terminal.data("A film.movpkg")
        assert out(terminal) == ""
    assert out(terminal) == "A film.movpkg\n"


def test_a_result_in_a_pipe_does_not_wait() -> None:
    terminal = piped()
    with Bars(terminal, width=160):
        terminal.data("A film.movpkg")
        assert out(terminal) == "A film.movpkg\n"


@pytest.mark.parametrize(
    ("asked", "kind"), [({"progress": "none"}, Silence), ({"progress": "json"}, JsonLines), ({}, ProgressLines)]
)
def test_the_listener_follows_the_flag(asked: dict[str, object], kind: type[object]) -> None:
    assert type(listener_for(piped(**asked))) is kind
