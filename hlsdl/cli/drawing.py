"""Blocks drawn on a terminal with rich. Imported only when there is a terminal to draw on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from hlsdl.cli.blocks import Block, Facts, Grid, cell, plain


def draw(blocks: Sequence[Block], stream: TextIO, *, colour: bool, width: int | None = None) -> None:
    """Draw `blocks` on `stream`, with an empty line between them. `width` is for tests; default: the terminal's."""
    console = Console(file=stream, no_color=not colour, highlight=False, markup=False, emoji=False, width=width)
    for index, block in enumerate(blocks):
        if index:
            console.print()
        console.print(_drawn(block))


def _drawn(block: Block) -> RenderableType:
    if isinstance(block, Facts):
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in block.rows:
            table.add_row(Text(name), Text(cell(value)))
        return table
    if isinstance(block, Grid):
        table = Table(
            box=box.SIMPLE_HEAD, title=Text(block.title, style="bold"), title_justify="left", padding=(0, 1, 0, 0)
        )
        for column in block.columns:
            table.add_column(Text(column), overflow="fold")
        for row in block.rows:
            table.add_row(*[Text(cell(value)) for value in row])
        return table
    return Text("\n".join(plain(text) for text in block.texts))
