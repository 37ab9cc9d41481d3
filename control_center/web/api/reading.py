"""Queries and bodies checked against their models; what is wrong is named with its field."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

import pydantic
from aiohttp import web

from control_center.store.pages import UNSTORABLE
from control_center.web.api import mistakes
from control_center.web.api.routes import JSON, Model
from control_center.web.problems import Problem, wrong

M = TypeVar("M", bound=Model)


def query(request: web.Request, model: type[M]) -> M:
    """The query as its model. Raises Problem 400 naming the parameter."""
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in model.model_fields:
            allowed = ", ".join(sorted(model.model_fields))
            near = difflib.get_close_matches(name, model.model_fields, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"allowed: {allowed}"
            raise wrong(name[:100], f"is not a known parameter; {hint}", HTTPStatus.BAD_REQUEST)
        if name in values:
            raise wrong(name, "is given more than once", HTTPStatus.BAD_REQUEST)
        if UNSTORABLE.search(value):
            raise wrong(name, "holds a character that cannot be stored", HTTPStatus.BAD_REQUEST)
        values[name] = value
    try:
        return model.model_validate_strings(values, strict=True)
    except pydantic.ValidationError as error:
        raise _invalid(error, HTTPStatus.BAD_REQUEST) from None


def media_type(request: web.Request, reads: Mapping[str, Any]) -> str:
    """The media type of a body that a route reads. Raises Problem 415 naming those it takes."""
    given = request.content_type if "Content-Type" in request.headers else ""
    if given not in reads:
        raise wrong(
            "Content-Type",
            f"{given[:60]!r} is not taken here; allowed: {', '.join(reads)}",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    return given


def body(raw: bytes, media: str, reads: Any) -> Any:
    """The body as its model, where the route has one for this media type. Raises Problem 400 or 422."""
    if media != JSON or isinstance(reads, dict):
        return None
    models: Sequence[type[Model]] = reads if isinstance(reads, tuple) else (reads,)
    values = table(raw)
    chosen = _chosen(models, values)
    _refuse_undecided(chosen, values)
    try:
        return chosen[0].model_validate_json(raw, strict=True)
    except pydantic.ValidationError as error:
        raise _invalid(error, HTTPStatus.UNPROCESSABLE_ENTITY) from None


def table(raw: bytes) -> dict[str, Any]:
    """A body as the table it is, for those who understand it themselves. Raises Problem 400 or 422."""
    try:
        values = pydantic.TypeAdapter(Any).validate_json(raw)
    except pydantic.ValidationError as error:
        raise wrong("", f"the body is not JSON: {error.errors()[0]['msg'][:200]}", HTTPStatus.BAD_REQUEST) from None
    if not isinstance(values, dict):
        raise wrong("", "the body is not a JSON object")
    field = _unstorable(values, "")
    if field is not None:
        raise wrong(field, "holds a character that cannot be stored")
    _refuse_twice(raw)
    return values


def _refuse_twice(raw: bytes) -> None:
    """Raises Problem 422 for a name that stands twice in an object: which of the two was meant, nobody can say."""
    # Numbers are not looked at, and may be of any length.
    said = json.loads(raw, object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=str)
    field = _twice(said, "")
    if field is not None:
        raise wrong(field, "is given more than once")


def _twice(value: Any, path: str) -> str | None:
    """The path of the first such name; objects are tuples of their pairs here, and lists are lists."""
    names: set[str] = set()
    pairs = value if isinstance(value, tuple) else ()
    for name, _ in pairs:
        if name in names:
            return f"{path}.{name}".lstrip(".")[:200]
        names.add(name)
    inside = [(f"{path}.{name}".lstrip("."), item) for name, item in pairs]
    if isinstance(value, list):
        inside = [(f"{path}[{n}]", item) for n, item in enumerate(value)]
    return next((found for place, item in inside if (found := _twice(item, place)) is not None), None)


def _unstorable(value: Any, path: str) -> str | None:
    if isinstance(value, str):
        return path if UNSTORABLE.search(value) else None
    if isinstance(value, dict):
        pairs = [(f"{path}.{key}".lstrip("."), item) for key, item in value.items()]
    elif isinstance(value, list):
        pairs = [(f"{path}[{n}]", item) for n, item in enumerate(value)]
    else:
        return None
    return next((found for place, item in pairs if (found := _unstorable(item, place)) is not None), None)


def _chosen(models: Sequence[type[Model]], values: Mapping[str, Any]) -> list[type[Model]]:
    """The models that have most of the given fields."""
    fitting = [len(_names(model) & values.keys()) for model in models]
    return [model for model, fits in zip(models, fitting, strict=True) if fits == max(fitting)]


def _refuse_undecided(models: Sequence[type[Model]], values: Mapping[str, Any]) -> None:
    """Raises Problem 422 for a body that may yet become one model or another, with what each of them wants."""
    wanted = [[name for name in _required(model) if name not in values] for model in models]
    if len(wanted) > 1 and all(wanted):
        ways = ", or ".join(" and ".join(names) for names in wanted)
        raise wrong(wanted[0][0], f"is missing; give {ways}")


def _required(model: type[Model]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items() if field.is_required()]


def _names(model: type[Model]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _invalid(error: pydantic.ValidationError, status: HTTPStatus) -> Problem:
    errors = mistakes.told(error.errors(include_url=False))
    first = errors[0]
    return Problem(status, f"{first.field}: {first.reason}" if first.field else first.reason, errors=errors)
