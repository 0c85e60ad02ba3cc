"""Asking the child that builds: started, given its time, and cleaned up after, whatever becomes of it."""

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from server.library.values import NotBuilt
from server.library.work import ANSWER, EDITS, GIVEN, Answer, Request
from server.settings import CHECKOUT

PATIENCE = 300.0  # seconds for everything: ten thousand entries take ten, or a minute where their meaning is compared
UNFINISHED = "building-"
LOOK = 0.02  # seconds between two looks whether it is done
LEFT = 900.0  # seconds after which what nobody finished is swept away
ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT")
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

log = logging.getLogger("onethread.library")


@contextlib.asynccontextmanager
async def asked(
    workplace: Path, request: Request, given: Iterable[bytes], patience: float = PATIENCE
) -> AsyncIterator[tuple[Answer, Path]]:
    """Have a request worked, and give the answer and the folder with what came of it, which goes afterwards.

    Args:
        given: the edits that go with the files, one a line, or the piece of content to use instead; in parts, so that
            nothing large is put together.
        patience: seconds.

    Raises:
        NotBuilt: the child broke off, or took too long.
    """
    out = workplace / f"{UNFINISHED}{os.getpid()}-{secrets.token_hex(4)}"
    await asyncio.to_thread(out.mkdir, 0o700, parents=True)
    try:
        await asyncio.to_thread(_write, out / (EDITS if request.source else GIVEN), given)
        answer = await _worked(replace(request, out=str(out)), patience)
        yield answer, out
    finally:
        await asyncio.to_thread(shutil.rmtree, out, ignore_errors=True)


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(parts)


async def _worked(request: Request, patience: float) -> Answer:
    child = await asyncio.to_thread(_started)
    try:
        async with asyncio.timeout(patience):
            await asyncio.to_thread(_tell, child, request)
            while child.poll() is None:  # noqa: ASYNC110 - nothing rings when it ends, and a thread would wait as long
                await asyncio.sleep(LOOK)
    except TimeoutError:
        log.warning("building the knowledge base took too long")
        raise NotBuilt from None
    finally:
        child.kill()
        await asyncio.to_thread(child.wait)
    if child.returncode != 0:
        log.warning("building the knowledge base broke off", extra={"error": str(child.returncode)})
        raise NotBuilt
    return await asyncio.to_thread(_read, Path(request.out) / ANSWER)


def _started() -> subprocess.Popen[bytes]:
    """Start the child; for a thread.

    The loop's own way copies the tables of all our memory before the child is there: tens of milliseconds for everybody
    in a process that has grown. This one does not.
    """
    return subprocess.Popen(
        (sys.executable, "-m", "server.library.building"),
        cwd=CHECKOUT,
        env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ} | ONE_THREAD,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # a trace may quote content
    )


def _tell(child: subprocess.Popen[bytes], request: Request) -> None:
    """Say what is wanted; for a thread, as it waits until the child reads."""
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError), child.stdin:  # it broke off: its end says so
            child.stdin.write(msgspec.json.encode(request))


def _read(answer: Path) -> Answer:
    return msgspec.json.decode(answer.read_bytes(), type=Answer)


def sweep(workplace: Path) -> None:
    """Remove what was begun long ago and never finished: its process was killed."""
    for folder in workplace.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < time.time() - LEFT:
                shutil.rmtree(folder, ignore_errors=True)
