"""The bytes of files: both stores keep them whole, give them back from any place, and forget them."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.core.errors import NotFound
from server.core.ports import Store
from server.store.folder_blobs import FolderBlobs
from tests.contract.scenes import Place

NAME = "0123456789abcdef" * 2
BYTES = secrets.token_bytes(2_400_000)  # several chunks of either store, and more than is sent at once


async def in_pieces(data: bytes, size: int = 300_001) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def whole(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


class Hung(Exception):
    """Whoever sent this has gone."""


async def cut_short(data: bytes) -> AsyncIterator[bytes]:
    yield data
    raise Hung


async def test_a_file_comes_back_whole_also_from_another_process(place: Place) -> None:
    store, other = await place.open(), await place.open()
    await store.blobs.write(NAME, in_pieces(BYTES))

    assert await whole(await other.blobs.read(NAME)) == BYTES


async def test_a_store_knows_how_much_room_files_take_and_leave(store: Store) -> None:
    assert (await store.blobs.space()).used == 0

    await store.blobs.write(NAME, in_pieces(BYTES))

    space = await store.blobs.space()
    assert space.used == len(BYTES)
    assert space.free is not None
    assert space.free > 0


async def test_any_part_of_a_file_can_be_read(store: Store) -> None:
    await store.blobs.write(NAME, in_pieces(BYTES))

    for start, length in (
        (0, 1),
        (261_119, 3),
        (1_000_000, 700_000),
        (2_399_999, 9),
        (2_400_000, 5),
        (9_000_000, None),
    ):
        end = None if length is None else start + length
        assert await whole(await store.blobs.read(NAME, start, length)) == BYTES[start:end]


async def test_writing_again_replaces_also_with_nothing(store: Store) -> None:
    for data in (BYTES, b"less", b""):
        await store.blobs.write(NAME, in_pieces(data))
        assert await whole(await store.blobs.read(NAME)) == data


async def test_what_was_cut_short_is_no_file_and_can_be_begun_again(store: Store) -> None:
    with pytest.raises(Hung):
        await store.blobs.write(NAME, cut_short(BYTES))
    with pytest.raises(NotFound):
        await store.blobs.read(NAME)

    await store.blobs.write(NAME, in_pieces(b"once more"))
    assert await whole(await store.blobs.read(NAME)) == b"once more"


async def test_what_was_dropped_is_gone_and_dropping_again_is_fine(store: Store) -> None:
    await store.blobs.write(NAME, in_pieces(BYTES))
    await store.blobs.drop(NAME)
    await store.blobs.drop(NAME)

    with pytest.raises(NotFound):
        await store.blobs.read(NAME)


@pytest.mark.parametrize("name", ["../../secret", "a" * 31, "G" * 32, "0" * 32 + "\n", ""])
async def test_a_name_that_is_none_of_ours_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    blobs = FolderBlobs(tmp_path / "files")

    with pytest.raises(NotFound):
        await blobs.write(name, in_pieces(b"x"))
    with pytest.raises(NotFound):
        await blobs.read(name)
    assert not (tmp_path / "files").exists()


async def test_files_in_the_folder_are_for_their_owner_alone_and_nothing_unfinished_stays(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "files")
    await blobs.write(NAME, in_pieces(b"words"))
    with pytest.raises(Hung):
        await blobs.write("f" * 32, cut_short(b"words"))

    files = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert [(path.name, path.stat().st_mode & 0o777) for path in files] == [(NAME, 0o600)]
