"""The API's documentation: OpenAPI as JSON, and the same as a plain page that needs no script and loads nothing."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Litestar, Response, Router, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute

from server.core.errors import NotFound
from server.settings import CHECKOUT
from server.web.guards import AnyRequest
from server.web.pages import Pages
from server.web.refusals import MEDIA_TYPE, SENTENCES

DESCRIPTION = """\
One conversation per patient, whichever way they come. What is said goes over the socket (docs/protocol.md); these are \
the doors around it.

Visitors show the pass from `POST /api/visits` as a bearer token. Staff sign in with `POST /api/staff/session`, keep \
its cookie, and send its `csrf` as `X-CSRF-Token` with everything that changes something. Every error is a problem \
document (RFC 9457) with a `code`."""
VERSION: str = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def _nothing_here(connection: object, handler: object) -> None:
    """Litestar's own pages for a schema load from elsewhere and answer what is missing their own way: none of it."""
    raise NotFound


METHODS = ("get", "post", "put", "patch", "delete")


def configuration() -> OpenAPIConfig:
    """Return what Litestar is told of the API; a new one for each application."""
    return OpenAPIConfig(
        title="Onethread",
        version=VERSION,
        description=DESCRIPTION,
        components=Components(
            security_schemes={
                "pass": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT"),
                "session": SecurityScheme(type="apiKey", name="onethread", security_scheme_in="cookie"),
                "csrf": SecurityScheme(type="apiKey", name="X-CSRF-Token", security_scheme_in="header"),
            }
        ),
        openapi_router=Router("/api/openapi", route_handlers=[], guards=[_nothing_here], include_in_schema=False),
        render_plugins=[JsonRenderPlugin()],
        use_handler_docstrings=True,
    )


@get("/api/openapi.json", include_in_schema=False, sync_to_thread=False)
def openapi_json(request: AnyRequest) -> Response[dict[str, Any]]:
    """Return the API's description for programs."""
    return Response(described(request.app), headers={"cache-control": "public, max-age=300"})


@get("/api/docs", include_in_schema=False, sync_to_thread=False)
def docs_page(request: AnyRequest, pages: NamedDependency[Pages]) -> Response[str]:
    """Return the API's description for people."""
    schema = described(request.app)
    return pages.page(
        "docs.html", trusted_types=True, info=schema["info"], groups=_groups(schema), schemas=_schemas(schema)
    )


def described(app: Litestar) -> dict[str, Any]:
    """Return the OpenAPI document: what the routes say of themselves, and what is true of all of their kind."""
    schema = app.openapi_schema.to_schema()
    schema["components"]["schemas"] |= _read_strictly(app)
    for path, item in schema["paths"].items():
        for method in METHODS:
            if method in item:
                _complete(method, path, item[method])
    return schema


def _read_strictly(app: Litestar) -> dict[str, Any]:
    """Return the types of bodies in the words of what reads them, which says more: what is not named is refused."""
    bodies = {field.annotation for _, handler in handlers(app) if (field := handler.parsed_data_field) is not None}
    types = [each for each in bodies if isinstance(each, type) and issubclass(each, msgspec.Struct)]
    found = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")[1]
    return {name: schema for name, schema in found.items() if "properties" in schema}


def handlers(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    """Return the path and the handler of everything that Litestar answers."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            yield from ((route.path, handler) for handler in route.route_handlers)


def allowed(request: AnyRequest) -> Response[None] | None:
    """Answer `OPTIONS`: with every method that a path knows. Litestar's own answer has those of one handler alone."""
    if request.method != "OPTIONS":
        return None
    here = request.scope["path_template"]
    methods = {
        each for path, handler in handlers(request.app) if _template(path) == here for each in handler.http_methods
    }
    return Response(None, status_code=204, headers={"allow": ", ".join(sorted(methods))})


def _template(path: str) -> str:
    """Return a path as it is documented: without the types of what stands in it."""
    return re.sub(r":\w+}", "}", path)


def _complete(method: str, path: str, operation: dict[str, Any]) -> None:
    """Add the refusals that come with a body or parameters, and the token that comes with changing something."""
    answers: dict[str, Any] = operation["responses"]
    common = (400, 408, 413, 415) if "requestBody" in operation else (400,) if "400" in answers else ()
    for status in (*common, *((404,) if "{" in path else ())):  # of any text at all, a path may also be none of ours
        answers[str(status)] = {
            "description": SENTENCES[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    if "204" in answers:
        answers["204"].pop("content", None)  # there is none to describe
    operation["responses"] = dict(sorted(answers.items()))
    if method != "get":
        for each in operation.get("security", []):
            each.update({"csrf": []} if "session" in each else {})


def _groups(schema: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the operations by their first tag, in the order of their paths."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, item in schema["paths"].items():
        for method in METHODS:
            operation = item.get(method)
            if operation is not None:
                tag = operation.get("tags", ["other"])[0]
                groups.setdefault(tag, []).append(_operation(path, method, operation))
    return sorted(groups.items(), reverse=True)


def _operation(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    body = _json(operation.get("requestBody", {}))
    answers = [
        {"status": status, "text": answer.get("description", ""), "type": _type(_json(answer))}
        for status, answer in operation.get("responses", {}).items()
    ]
    parameters = [
        {
            "name": parameter["name"],
            "where": parameter["in"],
            "type": _type(parameter.get("schema", {})),
            "required": parameter.get("required", False),
        }
        for parameter in operation.get("parameters", [])
    ]
    return {
        "id": f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}",
        "path": path,
        "method": method.upper(),
        "summary": operation.get("summary", ""),
        "text": operation.get("description", ""),
        "parameters": parameters,
        "body": _type(body),
        "answers": answers,
    }


def _json(holder: dict[str, Any]) -> dict[str, Any]:
    for content in holder.get("content", {}).values():
        schema: dict[str, Any] = content.get("schema", {})
        return schema
    return {}


def _type(schema: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a type as pieces of text, each with the name of the schema it leads to, if it does."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return [(name, name)]
    options = schema.get("oneOf") or schema.get("anyOf")
    if options:
        pieces = [_type(option) for option in options]
        return [piece for n, each in enumerate(pieces) for piece in ([(" or ", "")] if n else []) + each]
    match schema.get("type"):
        case "array":
            return [("list of ", ""), *_type(schema.get("items", {}))]
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return [("map of ", ""), *_type(schema["additionalProperties"])]
        case list() as kinds:
            return [(" or ".join(kinds), "")]
        case str() as kind if "enum" in schema:
            return [(kind + ": " + ", ".join(str(value) for value in schema["enum"]), "")]
        case str() as kind:
            return [(kind, "")]
        case _:
            return []


def _schemas(schema: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, each in sorted(schema.get("components", {}).get("schemas", {}).items()):
        required = each.get("required", [])
        fields = [
            {"name": field, "type": _type(kind), "required": field in required}
            for field, kind in each.get("properties", {}).items()
        ]
        found.append({"name": name, "text": each.get("description", ""), "fields": fields, "type": _type(each)})
    return found
