"""Plain arrays that stand in a folder and are mapped into memory, not read: a snapshot is there at once.

Nothing in such a folder is code: arrays are loaded without pickles, and the rest is JSON.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

_S = TypeVar("_S", bound=Struct)
Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]


class Unusable(Exception):
    """A folder of arrays is not what was saved, or was saved by another version of this program."""

    code = "unusable_index"

    def __init__(self, what: str) -> None:
        super().__init__(f"This index cannot be used: {what}.")


class Texts(Struct, frozen=True, eq=False):
    """Many texts, one after the other; each is only made into a string when somebody asks for it."""

    letters: Bytes
    ends: Places

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        """Return these texts; half a surrogate is kept as it is."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        letters = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        return cls(letters, np.cumsum([0, *map(len, encoded)], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, number: int) -> str:
        return self.letters[self.ends[number] : self.ends[number + 1]].tobytes().decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(len(self)))


def save(folder: Path, name: str, arrays: Struct) -> None:
    """Write every array of a struct into a folder."""
    for field in arrays.__struct_fields__:
        np.save(folder / f"{name}-{field}.npy", getattr(arrays, field), allow_pickle=False)


def load(folder: Path, name: str, kind: type[_S]) -> _S:
    """Return a struct whose arrays are mapped from a folder, read-only.

    Raises:
        Unusable: one is missing or damaged.
    """
    return kind(*(_mapped(folder / f"{name}-{field}.npy") for field in kind.__struct_fields__))


def _mapped(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))  # as a plain array: slices are cheaper
    except ValueError as error:
        if path.stat().st_size > np.lib.format.MAGIC_LEN and "empty" in str(error):
            return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]  # nothing cannot be mapped
        raise Unusable(f"`{path.name}` is damaged") from None
    except (OSError, EOFError):
        raise Unusable(f"`{path.name}` is missing") from None


def save_header(folder: Path, header: Struct) -> None:
    """Write the part of an index that is no array."""
    (folder / "header.json").write_bytes(msgspec.json.encode(header))


def load_header(folder: Path, kind: type[_S]) -> _S:
    """Return the part of an index that is no array.

    Raises:
        Unusable: it is missing or of another form.
    """
    try:
        return msgspec.json.decode((folder / "header.json").read_bytes(), type=kind)
    except OSError:
        raise Unusable("`header.json` is missing") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Unusable("`header.json` is of another form") from None
