"""The judge of one bundle through all its interruptions: what its journal said, what is on disk, what was asked for.

It reads the journal with hlsdl's own pure replay, everything else by itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hlsdl.bundle.journal import JournalState, replay
from hlsdl.errors import HlsdlError
from hlsdl.testing import ScriptedOrigin
from hlsdl.verification import verify_bundle
from torturing.film import Film, asked_for
from torturing.processes import fetch_command

SEGMENT = "*-*/[0-9]*.ts"
TEMPORARY = ".*.part"


@dataclass(slots=True)
class Tally:
    """What happened in a torture, added up; everything below `interruptions` and `orphans` must be 0."""

    interruptions: int = 0
    completed: int = 0
    """Bundles that were finished and found whole."""
    segments: int = 0
    """Segments in those."""
    orphans: int = 0
    """Temporaries that the interrupted processes left; recovery removes them."""
    rolled: int = 0
    """Temporaries whose journal line was written already: recovery only gives them their name."""
    lost: int = 0
    corrupt: int = 0
    refetched: int = 0
    unfinished: int = 0
    """Ends that were neither whole nor told as documented."""
    findings: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in what another worker counted."""
        for name in ("interruptions", "completed", "segments", "orphans", "rolled"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("lost", "corrupt", "refetched", "unfinished"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.findings += other.findings

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, damaged, fetched in vain or left unexplained."""
        return not (self.lost or self.corrupt or self.refetched or self.unfinished or self.findings)


class Judge:
    """Follows one bundle. Call `begin` before each process and one of the `after_…` when it has ended."""

    def __init__(self, film: Film, origin: ScriptedOrigin, url: str, bundle: Path, tally: Tally) -> None:
        self.film, self.origin, self.bundle, self.tally = film, origin, bundle, tally
        self._url = url
        self._processes = 0
        self.finished: set[int] = set()
        """Segments that the journal called finished when the last process ended."""
        self.story = ""
        """How this bundle came to be where it is, for findings."""

    def journal(self) -> JournalState:
        """What the journal says now."""
        file = self.bundle / "journal.jsonl"
        return replay(file.read_bytes()) if file.exists() else replay(b"")

    def begin(self, story: str) -> None:
        """A process is about to run; `story` says what will be done to it."""
        self.story = story
        self._processes += 1
        self.origin.clear_requests()

    def command(self, *more: str) -> list[str]:
        """The argument vector of the process that has begun."""
        return fetch_command(self._url, self.bundle, "-A", self._agent, *more)

    def asked(self) -> list[int]:
        """The segments that this process has asked for so far."""
        return asked_for(self.origin, self._agent)

    @property
    def _agent(self) -> str:
        return f"torture/{self._processes}"

    def after_interruption(self) -> None:
        """The process was interrupted: nothing that was finished earlier may be gone or have been asked for."""
        self.tally.interruptions += 1
        self.tally.orphans += sum(1 for _ in self.bundle.glob(f"*/{TEMPORARY}"))
        self._judge_requests()
        stored, state = self._stored(), self.journal()
        listed = {number_of(path): entry for path, entry in state.entries.items() if path.endswith(".ts")}
        for number in sorted(self.finished - listed.keys()):
            self._find("lost", f"segment {number} was finished and its entry is gone")
        for number in sorted(stored.keys() - listed.keys()):
            self._find("corrupt", f"segment {number} has its final name and no entry")
        for number, entry in listed.items():
            if (entry.size, entry.sha256) != self.film.hashes[number]:
                self._find("corrupt", f"the entry of segment {number} is not of the origin's bytes")
        missing = [number for number in listed if number not in stored]
        self.tally.rolled += len(missing)
        for number in missing:
            if not list(self.bundle.glob(f"*/.{number:09d}.ts.{'?' * 8}.part")):
                self._find("lost", f"segment {number} has an entry, and neither a file nor a temporary")
        self.finished = set(listed)

    def after_failure(self) -> None:
        """A process ended by itself with a documented error: what its journal and files agree on is finished."""
        self.tally.interruptions += 1
        stored, entries = self._names(), self.journal().entries
        self.finished = {
            number_of(path)
            for path, entry in entries.items()
            if path.endswith(".ts")
            and number_of(path) in stored
            and (entry.size, entry.sha256) == self.film.hashes[number_of(path)]
            and self.film.has(number_of(path), stored[number_of(path)].read_bytes())
        }

    def after_end(self) -> None:
        """The process says that the bundle is complete."""
        self._judge_requests()
        stored = self._stored()
        for number in sorted(set(range(self.film.segments)) - stored.keys()):
            self._find("lost", f"segment {number} is missing in a complete bundle")
        for orphan in self.bundle.glob(f"**/{TEMPORARY}"):
            self._find("unfinished", f"`{orphan.name}` is left in a complete bundle")
        try:
            report = verify_bundle(self.bundle)
        except HlsdlError as error:
            self._find("unfinished", f"verify: {error.message}")
            return
        for finding in report.findings:
            self._find("unfinished", f"verify: {finding.path}: {finding.message}")
        self.tally.completed += 1
        self.tally.segments += len(stored)
        self.finished = set(stored)

    def lost(self, what: str) -> None:
        """Something that had been promised is gone."""
        self._find("lost", what)

    def fault(self, what: str) -> None:
        """Something that the documentation does not allow."""
        self._find("unfinished", what)

    def _judge_requests(self) -> None:
        asked = Counter(self.asked())
        for number in sorted(self.finished & asked.keys()):
            self._find("refetched", f"segment {number} was finished and asked for again")
        for number in sorted(number for number, times in asked.items() if times > 1):
            self._find("refetched", f"segment {number} was asked for {asked[number]} times in one run")

    def _names(self) -> dict[int, Path]:
        return {number_of(file.name): file for file in self.bundle.glob(SEGMENT)}

    def _stored(self) -> dict[int, Path]:
        """Every segment under its final name, each compared with the truth."""
        stored = self._names()
        for number, file in stored.items():
            if not self.film.has(number, file.read_bytes()):
                self._find("corrupt", f"segment {number} has its final name and other bytes")
        return stored

    def _find(self, kind: str, what: str) -> None:
        setattr(self.tally, kind, getattr(self.tally, kind) + 1)
        self.tally.findings.append(f"{self.bundle}: {self.story}: {what}")


def number_of(path: str) -> int:
    """The media sequence number in a segment's name."""
    return int(path.rpartition("/")[2][:9])
