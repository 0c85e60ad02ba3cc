"""All content in one piece: the clinic's files as they are, and staff's edits. The same content is the same bytes.

What is published is kept in the store as such a piece, so that every process builds from the very same words, wherever
it runs and whatever its own files have become.
"""

import zlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from knowledge_base.entries import Entry
from knowledge_base.snapshot import content_files
from server.library.outcomes import Real

LEVEL = 6
MOST = 512 * 1024**2  # bytes when unpacked
FILES = 2000
_NONE = Raw(msgspec.msgpack.encode(()))


class _Packed(Struct, frozen=True, array_like=True):
    files: dict[str, bytes]
    edits: tuple[Entry, ...]
    real: tuple[Real, ...] = ()


class _Files(Struct, frozen=True, array_like=True):
    """The same, with everything but the files left as it is: making each entry would hold up everybody else."""

    files: dict[str, bytes]
    edits: Raw = _NONE
    real: Raw = _NONE


class Unpackable(Exception):
    """A piece of content is not what was packed."""

    code = "unpackable"

    def __init__(self) -> None:
        super().__init__("This piece of content is damaged.")


def pack(folder: Path, edits: Sequence[Entry], real: Sequence[Real] = ()) -> bytes:
    """Return a folder's files and these edits as one piece; files that cannot be read are left out.

    Args:
        real: what came of answers: whoever builds from the piece comes to the same confidence.
    """
    files = {}
    for name, path in islice(content_files(folder).items(), FILES):
        try:
            files[name] = path.read_bytes()
        except OSError:
            continue  # whoever reads the content says which one is missing
    whole = _Packed(files, tuple(sorted(edits, key=lambda each: each.id)), tuple(real))
    return zlib.compress(msgspec.msgpack.encode(whole, order="deterministic"), LEVEL)


def unpack(packed: bytes, folder: Path) -> tuple[tuple[Entry, ...], tuple[Real, ...]]:
    """Write the files into an empty folder and return the edits, and what came of answers.

    Raises:
        Unpackable: it is damaged.
    """
    try:
        inflate = zlib.decompressobj()
        whole = msgspec.msgpack.decode(inflate.decompress(packed, MOST), type=_Packed)
    except (zlib.error, msgspec.MsgspecError):
        raise Unpackable from None
    if not inflate.eof or any(Path(name).name != name for name in whole.files):
        raise Unpackable
    for name, text in whole.files.items():
        (folder / name).write_bytes(text)
    return whole.edits, whole.real


def with_file(packed: bytes, path: Path) -> bytes | None:
    """Return the same piece with one file as it is now; ``None`` where it is as it was.

    Raises:
        OSError: it cannot be read.
    """
    whole, now = msgspec.msgpack.decode(zlib.decompress(packed), type=_Files), path.read_bytes()
    if whole.files.get(path.name) == now:
        return None
    new = replace(whole, files=dict(sorted({**whole.files, path.name: now}.items())))
    return zlib.compress(msgspec.msgpack.encode(new, order="deterministic"), LEVEL)


def same_files(packed: bytes, folder: Path) -> bool:
    """Whether the files of a folder are still those that were packed."""
    try:
        now = {name: path.read_bytes() for name, path in content_files(folder).items()}
        return now == msgspec.msgpack.decode(zlib.decompress(packed), type=_Files).files
    except (OSError, zlib.error, msgspec.MsgspecError):
        return False
