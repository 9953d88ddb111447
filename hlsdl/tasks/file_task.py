"""The file task: any one http(s) file to a place on disk, with resume data (URLSessionDownloadTask).

Bytes go to a `.part` beside the file. What makes them worth keeping, the validator, is written down with the task
before the first of them, so that the next run, or the next process, may go on by a range with If-Range.
"""

from __future__ import annotations

import asyncio
import hmac
from contextlib import suppress
from dataclasses import replace
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hlsdl.access.limits import Limits
from hlsdl.access.urls import read_url
from hlsdl.bundle.durable import translating
from hlsdl.bundle.layout import path_given, safe_title
from hlsdl.bundle.plain_file import PlainFile
from hlsdl.bundle.threads import in_thread
from hlsdl.errors import HlsdlError, HttpError, IntegrityError, UsageError, redact
from hlsdl.library.tasks import TaskRow
from hlsdl.planning.plan import Resource
from hlsdl.session import events
from hlsdl.session.rate import Rate
from hlsdl.tasks.credentials import authorization
from hlsdl.tasks.session_configuration import SessionConfiguration
from hlsdl.tasks.states import ENDS, Phase, Trigger
from hlsdl.tasks.task import Owner, Task, TaskCancelled, TaskProgress
from hlsdl.transfer.client import Client
from hlsdl.transfer.sink import Validator

SCHEMES = ("http:", "https:")
LARGEST_FILE = 1 << 42
"""Bytes; 4 TiB."""
LONGEST_RESUME_DATA = 64 << 10
"""Bytes of resume data that are looked at."""
TELL_INTERVAL = 0.1
"""Seconds between two calls of `did_write_data`."""


class URLErrorCode(IntEnum):
    """What Apple calls an HTTP refusal of a download (NSURLError); the true status stays in `http_status`."""

    CANCELLED = -999
    USER_AUTHENTICATION_REQUIRED = -1013
    """401, 407."""
    NO_PERMISSIONS_TO_READ_FILE = -1102
    """403."""
    FILE_DOES_NOT_EXIST = -1100
    """Any other refusal."""


class FileRefused(HttpError):
    """The server refuses the file.

    Attributes:
        url_error_code: what Apple calls it.
    """

    def __init__(self, error: HttpError) -> None:
        super().__init__(
            error.message, hint=error.hint, url=error.url, http_status=error.http_status, challenge=error.challenge
        )
        self.url_error_code: URLErrorCode = url_error_code(error.http_status)


def url_error_code(http_status: int | None) -> URLErrorCode:
    """The NSURLError code that URLSessionDownloadTask gives for an HTTP status."""
    if http_status in {401, 407}:
        return URLErrorCode.USER_AUTHENTICATION_REQUIRED
    return URLErrorCode.NO_PERMISSIONS_TO_READ_FILE if http_status == 403 else URLErrorCode.FILE_DOES_NOT_EXIST


class StoredValidator(BaseModel):
    """A validator, as it is written down."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    etag: str | None = None
    last_modified: str | None = None
    place: str | None = Field(default=None, repr=False)
    """Where the bytes came from, after redirects."""


class Claim(BaseModel):
    """What resume data say of the `.part`, as long as nobody has looked whether it is so."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    offset: int
    sha256: str


class WantedFile(BaseModel):
    """What a file task was asked for, and what its `.part` is worth, as its row keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_name: Literal["hlsdl.file-task/1"] = "hlsdl.file-task/1"
    url: str = Field(repr=False)
    destination: str
    validator: StoredValidator | None = None
    """Of the bytes in the `.part`; only strong ones are written down."""
    boot: str | None = None
    """In which all of a `.part` that begins like ours is believed; in any other, only what was flushed."""
    flushed: int = Field(default=0, ge=0)
    """Bytes of the `.part` that reached the device."""
    beginning: str | None = Field(default=None, pattern=r"^([0-9]{1,5}:[0-9a-f]{64})?$")
    """What the `.part` is known again by, since another task may have taken its place; empty: nothing of it is ours."""
    claim: Claim | None = None
    """Of the resume data that it was made from: the `.part` is worth nothing before it is `proven`."""

    @classmethod
    def read(cls, text: str) -> WantedFile:
        """What a row says; IntegrityError when nobody can make sense of it."""
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            raise IntegrityError("a stored task cannot be read", hint="make a new task for the same file") from None

    def part(self, validator: object) -> PlainFile:
        """The file on disk, as far as what is in its `.part` is believed; `validator` is ours or the transfer's own."""
        place = Path(self.destination)
        return PlainFile(
            place,
            limit=LARGEST_FILE,
            validator=validator,
            boot=self.boot,
            flushed=self.flushed,
            beginning=self.beginning,
        )

    def proven(self) -> WantedFile:
        """The same, with what is true of a claim; blocks for as long as the `.part` takes to be hashed.

        Raises:
            DiskError: it cannot be read.
        """
        if self.claim is None:
            return self
        said = self.model_copy(update={"claim": None, "boot": None, "flushed": self.claim.offset})
        part = said.part(self.validator)
        if part.size == self.claim.offset and hmac.compare_digest(part.digest(), self.claim.sha256):
            return said.model_copy(update={"beginning": part.beginning})
        return said.model_copy(update={"validator": None, "flushed": 0})


class ResumeData(BaseModel):
    """What an app keeps to go on later: `make_download_task(resume_data=…)`. Opaque bytes outside of this module."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_name: Literal["hlsdl.resume-data/1"] = "hlsdl.resume-data/1"
    url: str = Field(repr=False)
    destination: str
    offset: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the first `offset` bytes of the `.part`."""
    validator: StoredValidator

    @classmethod
    def read(cls, data: bytes) -> ResumeData:
        """What an app gives back; UsageError when these are no resume data."""
        try:
            if not isinstance(data, bytes | bytearray | str) or len(data) > LONGEST_RESUME_DATA:
                raise ValueError
            said = cls.model_validate_json(data)
            if "\0" in said.destination or not said.url.lower().startswith(SCHEMES):
                raise ValueError
            return said
        except ValueError:
            raise UsageError("these are no resume data", hint="start the file over with its URL") from None


def wanted_file(url: str | None, destination: str | Path | None, resume_data: bytes | None) -> WantedFile:
    """What a new file task writes down; whether resume data are true is seen when it runs, since to hash takes seconds.

    Raises:
        UsageError: neither or both of `url` and `resume_data`; a URL that is none; resume data that are none.
    """
    if (url is None) == (resume_data is None):
        raise UsageError("a file task needs a URL or resume data, and not both")
    if resume_data is not None:
        data = ResumeData.read(resume_data)
        place = data.destination if destination is None else str(_place(destination, data.url))
        if place != data.destination:  # nothing of it is there
            return WantedFile(url=data.url, destination=place)
        claim = Claim(offset=data.offset, sha256=data.sha256)
        return WantedFile(url=data.url, destination=place, validator=data.validator, claim=claim)
    if not isinstance(url, str):
        raise UsageError(f"the URL of a file was given as `{type(url).__name__}`", hint="give a text")
    if not url.lower().startswith(SCHEMES):
        raise UsageError(f"`{redact(url)}` is no http or https URL")
    address = read_url(url).text
    return WantedFile(url=address, destination=str(_place("." if destination is None else destination, address)))


def _place(destination: str | Path, url: str) -> Path:
    """The path of the file: a folder, or what ends like one, gets the name in the URL, made safe."""
    place = path_given(destination, "a destination")
    with translating(place.name):
        is_folder = place.is_dir()
    if is_folder or str(destination).endswith("/"):
        name = unquote(urlsplit(url).path.rpartition("/")[2])
        return (place / safe_title(name or "download")).absolute()
    return place.absolute()


def _with_what_is_held(row: TaskRow, wanted: WantedFile) -> TaskRow:
    """The row of a task that goes on, and how much of its file is there: a process that was killed wrote no sum."""
    if Phase(row.phase) in ENDS or wanted.validator is None or wanted.claim is not None:
        return row
    with suppress(HlsdlError):  # what cannot be looked at is told by the task when it runs
        return row.with_changes(completed_bytes=wanted.part(wanted.validator).size)
    return row


class DownloadTask(Task[Path]):
    """Downloads one file; awaited it gives its path. Source: URLSessionDownloadTask."""

    def __init__(self, owner: Owner, row: TaskRow, configuration: SessionConfiguration) -> None:
        """From its row."""
        self._wanted = WantedFile.read(row.configuration)
        super().__init__(owner, _with_what_is_held(row, self._wanted))
        self._configuration = configuration
        self._file: PlainFile | None = None
        self._resumed_at: int | None = None
        self._written = 0
        self._told_at = float("-inf")
        self._wants_data: asyncio.Future[bytes | None] | None = None

    @property
    def url(self) -> str:
        """The file's, for people: without user info and query values (originalRequest)."""
        return redact(self._wanted.url)

    async def cancel_by_producing_resume_data(self) -> bytes | None:
        """Stop for good, and say how to go on later; None when that cannot be (`cancel(byProducingResumeData:)`).

        It cannot when nothing has come, the server gives no strong validator (RFC 9110 §8.8.1), or the task has ended.

        Raises:
            UsageError: called by a delegate's method, which would wait for itself.
        """
        if self.phase in ENDS:
            return None
        self._must_not_be_waited_for_here()
        self.cancel()
        with suppress(HlsdlError):
            await self
        return await in_thread(self._resume_data)

    async def work(self) -> Path:
        """Bring what is missing of the file, and give it its name."""
        try:
            return await self._bring(await self._proven())
        except HlsdlError as error:
            # What is left of a large file is hashed; that takes seconds.
            told = await in_thread(self._with_resume_data, error)
            if told is error:
                raise
            raise told from error

    async def _proven(self) -> WantedFile:
        """What is wanted; resume data are held against the `.part`, once."""
        said = WantedFile.read(self.row.configuration)
        self._wanted = await in_thread(said.proven) if said.claim is not None else said
        if said.claim is not None:
            self._note(configuration=self._wanted.model_dump_json())
        return self._wanted

    async def _bring(self, wanted: WantedFile) -> Path:
        validator = Validator(strong=True, **wanted.validator.model_dump()) if wanted.validator is not None else None
        file = self._file = wanted.part(validator)
        file.described, file.restarted = self._described, self._restarted
        self._note(location=wanted.destination)
        self.trigger(Trigger.RESOLVE)
        options = self._configuration.transfer_options(authorization(self.credential))
        resource = Resource(path=file.path.name, url=wanted.url, kind="data", limit=LARGEST_FILE)
        rate, is_whole, self._written = Rate(), False, file.size
        file.written = partial(self._wrote, rate)
        try:
            await in_thread(file.take)
            self._written, self._resumed_at = file.size, file.size or None
            async with Client(options, wanted.url, limits=replace(Limits(), resume_from=1)) as client:
                await client.fetch(resource, file, on_bytes=partial(_arrived, rate), on_total=self._is_as_large_as)
            await file.finish()
            is_whole = True
        finally:
            try:
                await in_thread(file.close)
            finally:
                self._note_worth()
            # Now, since what came last was written when it was told to stop.
            self._tell_progress(rate, at_once=True, is_whole=is_whole)
        return file.path

    def stored_result(self) -> Path | None:
        """The file's path."""
        return self.location if self.phase is Phase.FINISHED else None

    def stored_error(self) -> HlsdlError | None:
        """As the app would have had it: with Apple's code, and with resume data; blocks as long as these take."""
        error = super().stored_error()
        return error if error is None or isinstance(error, TaskCancelled) else self._with_resume_data(error)

    def _described(self, validator: Validator) -> None:
        strong = StoredValidator(etag=validator.etag, last_modified=validator.last_modified, place=validator.place)
        self._note_worth(validator=strong if validator.strong else None)
        if self._resumed_at is not None:
            self._owner.delivery.tell("did_resume_at_offset", self, self._resumed_at, self.progress.total_bytes)
            self._resumed_at = None

    def _wrote(self, rate: Rate) -> None:
        self._note_worth()
        self._tell_progress(rate)

    def _note_worth(self, **changes: StoredValidator | None) -> None:
        """Write down what another run may believe of the `.part`, when that has changed."""
        if self._file is None:
            return
        file = self._file
        worth = {"boot": file.boot, "flushed": file.flushed, "beginning": file.beginning, **changes}
        wanted = self._wanted.model_copy(update=worth)
        if wanted != self._wanted:
            self._wanted = wanted
            self._note(configuration=wanted.model_dump_json())

    def _restarted(self) -> None:
        self._written = 0
        self._note_worth(validator=None)
        self._resumed_at = 0 if self._resumed_at is not None else None

    def _is_as_large_as(self, total: int) -> None:
        self.progress = replace(self.progress, total_bytes=total, total_is_estimate=False)

    def _tell_progress(self, rate: Rate, *, at_once: bool = False, is_whole: bool = False) -> None:
        now, file = asyncio.get_running_loop().time(), self._file
        if file is None:
            return
        is_due = at_once or now - self._told_at >= TELL_INTERVAL
        if not is_whole and (not is_due or file.size == self._written):
            return
        self._told_at = now
        total, speed = self.progress.total_bytes, rate.per_second(now)
        written, self._written = file.size - self._written, file.size
        self.progress = TaskProgress(
            completed_bytes=file.size,
            total_bytes=total,
            total_is_estimate=total is None,
            fraction=min(1.0, file.size / total) if total else float(is_whole),
            rate=speed,
            eta=(total - file.size) / speed if total is not None and speed > 0 else None,
        )
        self._owner.delivery.tell("did_write_data", self, written, file.size, total)
        self.tell(
            events.FileProgressed(
                task=file.path.name, completed_bytes=file.size, total_bytes=total, rate=round(speed, 1)
            )
        )

    def _with_resume_data(self, error: HlsdlError) -> HlsdlError:
        """The error as an app gets it; blocks."""
        told = FileRefused(error) if isinstance(error, HttpError) else error
        if error.http_status is not None:
            told.url_error_code = url_error_code(error.http_status)
        told.resume_data = self._resume_data()
        return told

    def _resume_data(self) -> bytes | None:
        """How to go on later; blocks."""
        wanted = WantedFile.read(self.row.configuration).proven()
        if wanted.validator is None:
            return None
        part = wanted.part(wanted.validator)
        if not part.size:
            return None
        data = ResumeData(
            url=wanted.url,
            destination=wanted.destination,
            offset=part.size,
            sha256=part.digest(),
            validator=wanted.validator,
        )
        return data.model_dump_json().encode()


def _arrived(rate: Rate, size: int) -> None:
    rate.arrived(size, asyncio.get_running_loop().time())
