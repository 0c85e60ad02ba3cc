"""Pages that the server makes: Jinja templates, escaped by default, each with a content policy without exceptions."""

from collections.abc import Mapping
from pathlib import Path
from types import CodeType
from typing import Any

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from litestar import Response
from markupsafe import Markup, escape

from server.web.files import Files
from server.web.security import page_policy

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
CONSOLE = "console/"  # its templates
FRAMED = {"frame-ancestors": "'self'"}


class CompiledOnce(BytecodeCache):
    """Templates as this process has compiled them, for every house in it: compiling takes longer than all the rest."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give it what this source was compiled to, if it was."""
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what this source was compiled to."""
        if bucket.code is not None:
            self._kept[bucket.key, bucket.checksum] = bucket.code


COMPILED = CompiledOnce()


class Pages:
    """Makes pages out of templates."""

    def __init__(self, origin: str, static: Files, *, framed: bool = False) -> None:
        """Make pages for browsers that reach us at ``origin``.

        Args:
            static: what they load from `/static`.
            framed: whether a page of ours may show the console in a frame, as the demo's does.
        """
        self._origin, self._framed = origin, framed
        self.environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            bytecode_cache=COMPILED,
        )
        self.environment.filters["code"] = _code
        self.environment.globals["static"] = lambda name: static.url("/static", name)

    def render(self, template: str, **values: Any) -> str:
        """Return the text of a page."""
        return self.environment.get_template(template).render(**values)

    def page(
        self,
        template: str,
        *,
        status: int = 200,
        trusted_types: bool = False,
        policy: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Response[str]:
        """Return a page.

        Args:
            trusted_types: refuse HTML made of text in the browser, where every script on the page can live with it.
            policy: directives of its content policy that differ.
            values: what the template needs.
        """
        framed = self._framed and template.startswith(CONSOLE)
        extra = {**FRAMED, **(policy or {})} if framed else policy
        said = {"content-security-policy": page_policy(self._origin, trusted_types=trusted_types, extra=extra)}
        if framed:
            said["x-frame-options"] = "SAMEORIGIN"
        return Response(
            self.render(template, **values),
            status_code=status,
            headers={**said, **(headers or {})},
            media_type="text/html",
        )


def _code(text: str) -> Markup:
    """Return a text of ours with what stands in backticks set as code."""
    pieces = [
        escape(piece) if n % 2 == 0 else Markup("<code>{}</code>").format(piece)
        for n, piece in enumerate(text.split("`"))
    ]
    return Markup("").join(pieces)


def preferred(header: str, languages: tuple[str, ...]) -> str:
    """Return the one of ``languages`` that an `Accept-Language` header likes best; the first when it likes none."""
    wishes: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        tag, _, weight = part.strip().partition(";")
        try:
            liking = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError:
            continue
        wishes.append((-liking, tag.split("-")[0].strip().lower()))
    return next((tag for _, tag in sorted(wishes, key=lambda wish: wish[0]) if tag in languages), languages[0])
