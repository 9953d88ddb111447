"""Reading a manifest that a stranger may have written: every field is held to its type before anybody uses it.

pydantic does it, with models made of the very fields of `manifest`. It is loaded when there is something to read: a
new bundle has no manifest, and loading it is a third of what a short download takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import Annotated, Any, Literal, get_type_hints

import pydantic
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import to_jsonable_python

from hlsdl.bundle.journal import LARGEST_NUMBER
from hlsdl.bundle.layout import is_safe_path
from hlsdl.errors import IntegrityError

HINT = "a newer hlsdl may be able to read it; `hlsdl fetch SOURCE -o BUNDLE --force` starts over"


def _safe(path: str) -> str:
    if not is_safe_path(path):
        raise ValueError("not a safe relative path")
    return path


def _sayable(value: Any) -> Any:
    """pydantic reads NaN and infinities, which JSON cannot say; they become null."""
    return to_jsonable_python(value, inf_nan_mode="null")


CHECKS: dict[str, Any] = {
    "SafePath": Annotated[str, AfterValidator(_safe)],
    "Count": Annotated[int, pydantic.Field(ge=0, le=LARGEST_NUMBER)],
    "Json": Annotated[dict[str, Any], AfterValidator(_sayable)],
    "Seconds": Annotated[float, pydantic.Field(ge=0)],
    "Sha256": Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")],
    "StreamKind": Annotated[str, pydantic.Field(pattern=r"^(video|audio|subtitles|iframes|images)$")],
}
"""What the types named in `manifest` must hold."""


class _Stored(BaseModel):
    """Unknown fields are kept, so that an older version does not lose what a newer one wrote."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True, allow_inf_nan=False)


def read(data: bytes, kind: type, schema: str, *, parts: tuple[type, ...]) -> Any:
    """Read a JSON document of type `kind`; IntegrityError names the first field that is wrong, never its value.

    Args:
        data: the document.
        kind: a dataclass with a field `unknown` for what newer versions write.
        schema: what the document's `schema` must say.
        parts: the dataclasses of the same make that its fields have.
    """
    whole, makers = _models(kind, schema, parts)
    try:
        found = whole.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise IntegrityError(f"`manifest.json` cannot be read: `{place}`: {first['msg']}", hint=HINT) from None
    return _made(found, makers)


@cache
def _models(kind: type, schema: str, parts: tuple[type, ...]) -> tuple[type[BaseModel], Mapping[type[BaseModel], type]]:
    """The model of a whole document, and for each model the dataclass whose values it reads."""
    models = {part.__name__: _model(part) for part in parts}
    whole = _model(kind, models, schema_name=(Literal[schema], pydantic.Field(alias="schema")))
    return whole, {whole: kind, **{models[part.__name__]: part for part in parts}}


def _model(kind: type, parts: dict[str, type[BaseModel]] | None = None, **more: Any) -> type[BaseModel]:
    """The model of a dataclass: its fields, each with what its type must hold."""
    hints = get_type_hints(kind, localns={**CHECKS, **(parts or {})}, include_extras=True)
    for one in fields(kind):
        if one.name != "unknown":
            more[one.name] = (hints[one.name], _default(one))
    model: type[BaseModel] = pydantic.create_model(kind.__name__, __base__=_Stored, **more)
    return model


def _default(one: Field[Any]) -> Any:
    """Whether a document must have a field; what stands for one that it has not, the dataclass knows."""
    return ... if one.default is MISSING and one.default_factory is MISSING else None


def _made(found: Any, makers: Mapping[type[BaseModel], type]) -> Any:
    """The values of validated models."""
    if isinstance(found, tuple):
        return tuple(_made(item, makers) for item in found)
    if not isinstance(found, BaseModel):
        return found
    maker = makers[type(found)]
    known = {one.name for one in fields(maker)} & found.model_fields_set
    return maker(
        **{name: _made(getattr(found, name), makers) for name in known}, unknown=_sayable(found.model_extra or {})
    )
