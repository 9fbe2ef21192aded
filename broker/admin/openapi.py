"""The OpenAPI 3.1 document of a table of routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from broker.admin.routes import Field, Route

_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"what": {"type": "string"}, "number": {"type": "integer"}, "next": {"type": "string"}},
            "required": ["what", "number", "next"],
        }
    },
    "required": ["error"],
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "streampilot broker: admin", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _operation(route: Route) -> dict[str, Any]:
    ids = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    parameters = [{"name": each, "in": "path", "required": True, "schema": {"type": "integer"}} for each in ids]
    parameters += [
        {"name": name, "in": "query", "required": one.required, "description": one.about, "schema": _schema(one)}
        for name, one in route.query.items()
    ]
    operation: dict[str, Any] = {
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            str(route.status.value): {"description": route.status.phrase, "content": {"application/json": {}}},
            "default": {
                "description": "A refusal, and what to do about it",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if route.body:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _object(route.body)}}}
    return operation


def _object(fields: Mapping[str, Field]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {**_schema(one), "description": one.about} for name, one in fields.items()},
        "required": [name for name, one in fields.items() if one.required],
        "additionalProperties": False,
    }


def _schema(one: Field) -> dict[str, Any]:
    bounds = {"minimum": one.least, "maximum": one.most}
    return {"type": one.kind, **{name: value for name, value in bounds.items() if value is not None}}
