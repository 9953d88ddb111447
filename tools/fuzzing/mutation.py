"""Mutation: from good input to input that is nearly good, the same again for the same seed and number.

Damage is done where readers look: lines, attributes, numbers, separators, and text from other good input; bytes come
last. What is damaged is only text here; what it means is the target's business.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"0.0",
    b"-0",
    b"1e309",
    b"1e-400",
    b"NaN",
    b"inf",
    b"4294967296",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551616",
    b"9" * 40,
    b"0" * 400 + b"1",
    b"9" * 5000,
    b"1.5.2",
    b"0x10",
    b"1_000",
    "١٢".encode(),
)
ODD = (
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b"\r\n",
    b"\t",
    b'"',
    b'""',
    b",",
    b"=",
    b":",
    b"#",
    b"\\",
    b"{$",
    b"}",
    b"%00",
    b"%2e%2e/",
    b"../" * 20,
    "\u2028".encode(),
    "\u202e".encode(),
    "\U0001f3ac".encode(),
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"A" * 70_000,
)
"""Bytes on which readers trip: line ends that are none, quotes, variables, paths, text that is no UTF-8."""

_NUMBER = re.compile(rb"[0-9]+")
_MOST_REPEATS = 2_000


class Mutator:
    """Makes mutants of `seeds`; `tokens` are words of the language they are written in."""

    def __init__(self, seeds: Sequence[bytes], tokens: Sequence[bytes], *, seed: int, longest: int = 64 * 1024) -> None:
        self._seeds, self._tokens, self._seed, self._longest = seeds, tokens, seed, longest

    def mutant(self, number: int) -> bytes:
        """The mutant of this number: always the same bytes."""
        chance = random.Random((self._seed << 40) ^ number)
        data = chance.choice(self._seeds)
        for _ in range(1 + int(chance.expovariate(0.8))):
            data = chance.choice(_OPERATORS)(self, chance, data)
            if len(data) > self._longest:
                start = chance.randrange(len(data) - self._longest + 1) if chance.random() < 0.1 else 0
                data = data[start : start + self._longest]
        return data

    def _word(self, chance: random.Random) -> bytes:
        kind = chance.randrange(3)
        return chance.choice(self._tokens if kind == 0 else ODD if kind == 1 else NUMBERS)

    def _insert(self, chance: random.Random, data: bytes) -> bytes:
        at = chance.randrange(len(data) + 1)
        return data[:at] + self._word(chance) + data[at:]

    def _overwrite(self, chance: random.Random, data: bytes) -> bytes:
        at, word = chance.randrange(len(data) + 1), self._word(chance)
        return data[:at] + word + data[at + len(word) :]

    def _flip(self, chance: random.Random, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(min(len(changed), chance.randrange(1, 5))):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        return bytes(changed)

    def _cut(self, chance: random.Random, data: bytes) -> bytes:
        start = chance.randrange(len(data) + 1)
        return data[:start] + data[start + chance.randrange(1, 40) :]

    def _truncate(self, chance: random.Random, data: bytes) -> bytes:
        return data[: chance.randrange(len(data) + 1)]

    def _renumber(self, chance: random.Random, data: bytes) -> bytes:
        places = [found.span() for found in _NUMBER.finditer(data)]
        if not places:
            return data
        start, end = chance.choice(places)
        if chance.random() < 0.5:
            near = int(data[start:end][:18]) + chance.choice((-1, 1))
            return data[:start] + str(near).encode() + data[end:]
        return data[:start] + chance.choice(NUMBERS) + data[end:]

    def _drop_line(self, chance: random.Random, data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        if lines:
            del lines[chance.randrange(len(lines))]
        return b"".join(lines)

    def _repeat_line(self, chance: random.Random, data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        if lines:
            at = chance.randrange(len(lines))
            most = _MOST_REPEATS if chance.random() < 0.02 else 3
            # Bounded, so that the memory of the mutator does not hide that of the reader.
            times = min(chance.randrange(2, most + 1), 2 + self._longest // len(lines[at]))
            lines[at : at + 1] = [lines[at]] * times
        return b"".join(lines)

    def _swap_lines(self, chance: random.Random, data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        if len(lines) > 1:
            one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
            lines[one], lines[other] = lines[other], lines[one]
        return b"".join(lines)

    def _borrow_line(self, chance: random.Random, data: bytes) -> bytes:
        lines, others = data.splitlines(keepends=True), chance.choice(self._seeds).splitlines(keepends=True)
        if others:
            lines.insert(chance.randrange(len(lines) + 1), chance.choice(others))
        return b"".join(lines)

    def _splice(self, chance: random.Random, data: bytes) -> bytes:
        other = chance.choice(self._seeds)
        return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]

    def _swap_attributes(self, chance: random.Random, data: bytes) -> bytes:
        lines = data.split(b"\n")
        at = chance.randrange(len(lines))
        parts = lines[at].split(b",")
        chance.shuffle(parts)
        lines[at] = b",".join(parts)
        return b"\n".join(lines)

    def _change_ends(self, chance: random.Random, data: bytes) -> bytes:
        return data.replace(b"\n", chance.choice((b"\r\n", b"\r", b"\n\n", b"\x0b", "\u2028".encode())))


_OPERATORS: tuple[Callable[[Mutator, random.Random, bytes], bytes], ...] = (
    Mutator._insert,
    Mutator._insert,
    Mutator._overwrite,
    Mutator._flip,
    Mutator._cut,
    Mutator._truncate,
    Mutator._renumber,
    Mutator._renumber,
    Mutator._drop_line,
    Mutator._repeat_line,
    Mutator._swap_lines,
    Mutator._borrow_line,
    Mutator._borrow_line,
    Mutator._splice,
    Mutator._swap_attributes,
    Mutator._change_ends,
)
