"""A draft becomes the frozen value that its class's own call would have made."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, fields

import pytest

from hlsdl.bundle.journal import Entry, new_entry
from hlsdl.bundle.movpkg import PackageSegment
from hlsdl.drafts import draft_of
from hlsdl.planning.plan import Resource
from hlsdl.playlist.models import Segment


@dataclass(frozen=True, slots=True)
class Value:
    number: int
    text: str = "default"


def test_a_draft_whose_class_is_set_is_a_frozen_value_like_any_other() -> None:
    draft = draft_of(Value)()
    draft.number, draft.text = 1, "written"
    draft.__class__ = Value
    assert draft == Value(1, "written")
    assert hash(draft) == hash(Value(1, "written"))
    with pytest.raises(FrozenInstanceError):
        draft.number = 2


@pytest.mark.parametrize("kind", [Entry, PackageSegment, Resource, Segment])
def test_a_draft_has_all_the_fields_of_what_it_becomes(kind: type) -> None:
    assert set(draft_of(kind).__slots__) == {one.name for one in fields(kind)}


def test_an_entry_made_from_a_draft_is_an_entry() -> None:
    made = new_entry("a/b.ts", 1, "00", etag=None, last_modified=None, complete_length=None, length_verified=True)
    assert made == Entry(path="a/b.ts", size=1, sha256="00")
