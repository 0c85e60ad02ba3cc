"""Files that browsers load from us: the widget, the console's script and styles. Read once, kept in memory, few.

A name with the content's hash in it never changes and is kept for a year; a stable name is asked about again after a
minute, which an unchanged file answers with 304. Types come from a short list: what is not on it is not served.
"""

import gzip
import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wav": "audio/wav",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
WORTH_PACKING = frozenset({".css", ".html", ".js", ".json", ".map", ".svg", ".txt", ".webmanifest"})
FOR_EVER = "public, max-age=31536000, immutable"
SHORT = "public, max-age=60, must-revalidate"
READ, OTHER = ("GET", "HEAD"), ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
BRAND = re.compile(rb"--brand:#[0-9a-f]{6}")  # in the widget's style sheet, once: `widget/build.mjs` sees to it
MAX_FILE = 4 * 1024 * 1024  # bytes: anything longer does not belong here


def reading(path: str, answer: Callable[[Request], Awaitable[Response]]) -> Route:
    """Return a route that is only read from. It takes other methods too: to say so, where a mount below would not."""

    async def only_read(request: Request) -> Response:
        if request.method not in READ:
            raise HTTPException(405, headers={"allow": ", ".join(READ)})
        return await answer(request)

    return Route(path, only_read, methods=[*READ, *OTHER])


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent."""

    body: bytes
    packed: bytes | None  # gzip, where that is shorter
    type: str
    hash: str  # the first 16 digits of its SHA-256

    @classmethod
    def of(cls, path: Path) -> "File":
        """Return the file at ``path``."""
        return cls.made(path.read_bytes(), path.suffix)

    @classmethod
    def made(cls, body: bytes, suffix: str) -> "File":
        """Return a file with this content; ``suffix``: what its name ends in, such as `.js`."""
        packed = _packed(body) if suffix in WORTH_PACKING else b""
        smaller = packed if packed and len(packed) < len(body) else None
        return cls(body, smaller, TYPES[suffix], hashlib.sha256(body).hexdigest()[:16])


@lru_cache(maxsize=64)
def _packed(body: bytes) -> bytes:
    """Return it as gzip; what several houses of one process send is packed once."""
    return gzip.compress(body, 9, mtime=0)


class Files:
    """The files of one folder, under one path."""

    def __init__(self, folder: Path, *, everywhere: bool = False) -> None:
        """Read ``folder``; ``everywhere``: pages of any origin may load these."""
        self._everywhere = everywhere
        self._files = _read(folder) if folder.is_dir() else {}

    def add(self, name: str, file: File) -> None:
        """Serve ``file`` also under another name."""
        self._files[name] = file

    def get(self, name: str) -> File | None:
        """Return the file of this name."""
        return self._files.get(name)

    def url(self, base: str, name: str) -> str:
        """Return where a page finds this file, with a mark that lets browsers keep it for ever."""
        file = self._files.get(name)
        return f"{base}/{name}?v={file.hash}" if file is not None else f"{base}/{name}"

    async def door(self, request: Request) -> Response:
        """Answer `/static/…`."""
        return self.answer(request, request.path_params["path"])

    def answer(self, request: Request, name: str, *, for_ever: bool | None = None) -> Response:
        """Return the file of this name.

        Args:
            for_ever: whether it may be kept; ``None``: when the address carries the right mark.

        Raises:
            HTTPException: there is no such file.
        """
        file = self._files.get(name)
        if file is None:
            raise HTTPException(404)
        if for_ever is None:
            for_ever = request.url.query == f"v={file.hash}"
        headers = {
            "cache-control": FOR_EVER if for_ever else SHORT,
            "etag": f'"{file.hash}"',
            "vary": "Accept-Encoding",
        }
        if self._everywhere:
            headers |= {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}
        if f'"{file.hash}"' in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        body = file.body
        if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body = file.packed
            headers |= {"content-encoding": "gzip"}
        return Response(body, headers=headers, media_type=file.type)


def _read(folder: Path) -> dict[str, File]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in TYPES and path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_FILE:
            found[path.relative_to(folder).as_posix()] = File.of(path)
    return found


class Built(msgspec.Struct, frozen=True):
    """What the widget's build says of itself: the hashed name's parts, and the digest for `integrity`."""

    file: str
    hash: str
    sri: str


class Widget:
    """The built widget: `v1/onethread.js` and what it loads, and the script as it was built under its hashed name.

    The chat's button is drawn before anything is asked of us, so the clinic's colour comes with the script itself. What
    a page has pinned by its digest never changes: it has the widget's own colour.
    """

    def __init__(self, folder: Path) -> None:
        """Read what `widget/build.mjs` made."""
        self.files = Files(folder, everywhere=True)
        manifest = self.files.get("manifest.json")
        self.built = msgspec.json.decode(manifest.body, type=Built) if manifest is not None else None
        self._script = self.files.get(self.built.file) if self.built is not None else None
        if self._script is not None and self.hashed_name is not None:
            self.files.add(self.hashed_name, self._script)

    @property
    def hashed_name(self) -> str | None:
        """The name that never changes its content."""
        return f"onethread.{self.built.hash}.js" if self.built is not None else None

    def paint(self, colour: str) -> None:
        """Have the chat in this colour, `#rrggbb`, on pages that load from now on; empty: in the widget's own."""
        if self.built is None or self._script is None:
            return
        body = self._script.body
        painted = BRAND.sub(b"--brand:" + colour.encode(), body, count=1) if colour else body
        self.files.add(self.built.file, File.made(painted, ".js") if painted != body else self._script)

    async def answer(self, request: Request) -> Response:
        """Answer `/widget/…`."""
        path: str = request.path_params["path"]
        if self.built is not None and path == self.hashed_name:
            return self.files.answer(request, path, for_ever=True)
        if path.startswith("v1/"):
            return self.files.answer(request, path.removeprefix("v1/"), for_ever=False)
        raise HTTPException(404)
