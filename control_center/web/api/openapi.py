"""The OpenAPI 3.1 document, written from the routes that are served."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from control_center.web.api import ids, versions
from control_center.web.api.routes import JSON, Model, Route
from control_center.web.problems import ProblemDocument

PROBLEM = "application/problem+json"
_REFS = "#/components/schemas/{name}"

# An event is understood by its own code and not by a schema: this says what every one has.
_CLOUD_EVENT = {
    "type": "object",
    "description": "CloudEvents 1.0, structured. `data` holds the record and, where it changed, the client.",
    "required": ["specversion", "id", "source", "type", "time", "studio", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1, "maxLength": 200},
        "source": {"type": "string", "minLength": 1, "maxLength": 200},
        "type": {"type": "string", "examples": ["crm.session.status_changed", "crm.snapshot", "crm.catalog"]},
        "subject": {
            "type": "string",
            "description": "the record; of crm.snapshot and crm.catalog it may be left out",
            "examples": ["session/4711"],
        },
        "time": {"type": "string", "format": "date-time"},
        "studio": {"type": "string"},
        "data": {"type": "object"},
    },
}


def document(routes: Sequence[Route], *, server: str, prefix: str) -> dict[str, Any]:
    """The document for these routes; `server` is our public address."""
    asked = [model for route in routes for reads in route.reads.values() for model in _models(reads)]
    answered = list(dict.fromkeys(shape for route in routes for shape in _answers(route) if _is_type(shape)))
    shapes, schemas = msgspec.json.schema_components([*answered, ProblemDocument], ref_template=_REFS)
    of_answer = dict(zip(answered, shapes, strict=False))
    _, described = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(asked)], ref_template=_REFS.replace("{name}", "{model}")
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        answers = [of_answer[shape] if _is_type(shape) else shape for shape in _answers(route)]
        operation = _operation(route, answers)
        paths.setdefault(prefix + route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Control Center",
            "version": "1",
            "summary": "What a studio sends, and why",
        },
        "servers": [{"url": server}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {**schemas, **described.get("$defs", {}), "CloudEvent": _CLOUD_EVENT},
        },
    }


def _operation(route: Route, answers: Sequence[Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": _needs(route),
        "security": [{"bearer": [route.role]}],
        "x-role": route.role,
        "parameters": [*_in_path(route), *_in_query(route.query), *_headers(route)],
        "responses": _responses(route, answers),
    }
    if route.reads:
        content = {media: {"schema": _read(reads)} for media, reads in route.reads.items()}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _needs(route: Route) -> str:
    whole = " The caller must be for every studio." if route.everywhere else ""
    return f"Needs the role {route.role} or a higher one.{whole}"


def _in_path(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": ids.pattern(route.path)}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _in_query(model: type[Model]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(one)}
        for name, one in schema.get("properties", {}).items()
    ]


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out is never null: there is no null in an address."""
    plain = {key: value for key, value in schema.items() if key not in {"anyOf", "default", "title"}}
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            plain |= option
    return plain if schema.get("default") is None else {**plain, "default": schema["default"]}


def _headers(route: Route) -> list[dict[str, Any]]:
    headers = []
    if route.heeds:
        words = "The ETag that was read: where somebody else has saved since, the answer is 412 and nothing is changed."
        schema: dict[str, Any] = {"type": "string", "pattern": versions.PATTERN}
        headers.append({"name": "If-Match", "in": "header", "required": False, "description": words, "schema": schema})
    if route.method != "POST":
        return headers
    schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[ -~]+$"}
    words = "The same key with the same request gets the first answer again, and nothing happens twice."
    key = {"name": "Idempotency-Key", "in": "header", "required": False, "description": words, "schema": schema}
    return [*headers, key]


def _responses(route: Route, answers: Sequence[Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if answers:
        answer = answers[0] if len(answers) == 1 else {"oneOf": list(answers)}
        good["content"] = {JSON: {"schema": _list_of(answer) if route.listed else answer}}
    if route.versioned and answers:
        good["headers"] = {"ETag": {"description": "names the version", "schema": {"type": "string"}}}
    failures = [HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND]
    if route.method != "GET":
        failures += [HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY]
    if route.heeds:
        failures.append(HTTPStatus.PRECONDITION_FAILED)
    if route.reads:
        failures += [
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ]
    content = {PROBLEM: {"schema": {"$ref": _REFS.format(name="ProblemDocument")}}}
    bad = {str(one.value): {"description": one.phrase, "content": content} for one in failures}
    unavailable = {"description": HTTPStatus.SERVICE_UNAVAILABLE.phrase, "content": content}
    return {str(route.status): good, **bad, "503": unavailable}


def _answers(route: Route) -> tuple[Any, ...]:
    """The shapes that a good answer may have."""
    if route.answers is None:
        return ()
    return route.answers if isinstance(route.answers, tuple) else (route.answers,)


def _is_type(shape: Any) -> bool:
    """Whether it is to be described; else it is an OpenAPI schema already."""
    return not isinstance(shape, dict)


def _list_of(item: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["items", "next_cursor"],
        "properties": {"items": {"type": "array", "items": item}, "next_cursor": {"type": ["string", "null"]}},
    }


def _models(reads: Any) -> tuple[type[BaseModel], ...]:
    if isinstance(reads, dict):
        return ()
    return reads if isinstance(reads, tuple) else (reads,)


def _read(reads: Any) -> Any:
    if isinstance(reads, dict):
        return reads
    refs = [{"$ref": _REFS.format(name=model.__name__)} for model in _models(reads)]
    return refs[0] if len(refs) == 1 else {"oneOf": refs}
