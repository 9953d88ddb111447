"""Sharing one torture between a few threads, each with a folder, an origin and a tally of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from hlsdl.testing import ScriptedOrigin
from torturing.film import Film
from torturing.judge import Judge, Tally
from torturing.processes import run

T = TypeVar("T")


class Shared(Generic[T]):
    """Work that threads take from, one piece at a time, until it is used up or somebody says that it is enough."""

    def __init__(self, work: Iterable[T]) -> None:
        self._work = iter(work)
        self._lock = threading.Lock()
        self._enough = False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._lock:
            if self._enough:
                raise StopIteration
            return next(self._work)

    def stop(self) -> None:
        """Hand out nothing more."""
        self._enough = True


class Bench:
    """One worker's place: a served film, a folder for bundles, and what it has counted."""

    def __init__(self, film: Film, origin: ScriptedOrigin, url: str, folder: Path) -> None:
        self.film, self.origin, self.url, self.folder = film, origin, url, folder
        self.tally = Tally()
        self._bundles = 0

    def new_bundle(self) -> Judge:
        """A bundle that is not there yet, and its judge."""
        self._bundles += 1
        return Judge(self.film, self.origin, self.url, self.folder / f"film-{self._bundles}.movpkg", self.tally)

    def let_finish(self, judge: Judge) -> None:
        """Run once undisturbed: it must complete the bundle, and `verify` must find it clean."""
        judge.begin(f"{judge.story}; then undisturbed")
        try:
            ended = run(judge.command("-q"))
        except subprocess.TimeoutExpired:
            judge.fault("the undisturbed run hangs")
            return
        if ended.code != 0:
            judge.fault(f"the undisturbed run ends with {ended.code}: {ended.err.strip()}")
            return
        judge.after_end()

    def clear(self, judge: Judge) -> None:
        """Remove a bundle about which there is nothing to tell; one with a finding stays for whoever looks into it."""
        if not any(finding.startswith(f"{judge.bundle}:") for finding in self.tally.findings):
            shutil.rmtree(judge.bundle, ignore_errors=True)


@contextmanager
def bench(film: Film, folder: Path, *, delay: float = 0.0) -> Iterator[Bench]:
    """Set up one worker's place below `folder`; it is removed unless something was found."""
    own = Path(tempfile.mkdtemp(prefix="hlsdl-torture-", dir=folder)).resolve()
    with ScriptedOrigin(delay=delay) as origin:
        place = Bench(film, origin, film.serve(origin), own)
        yield place
    if place.tally.is_clean:
        shutil.rmtree(own, ignore_errors=True)


def share(jobs: int, work: Callable[[int], Tally]) -> Tally:
    """Run `work(number)` in so many threads and add up what they counted; the first defect of ours is raised."""
    total = Tally()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for tally in pool.map(work, range(jobs)):
            total.add(tally)
    return total
