"""Rows, views and search: projections that never go back and are quick to page through."""

from datetime import datetime, timedelta

import pytest

from server.core.errors import BadValue
from server.core.model import WAITING_FLOOR, Address, Assurance, Channel, Floor, Linked, Role, Thread
from server.core.ports import Preview, Row, Store, View
from tests.contract.scenes import HOUR, NOON, SECOND

HELLO = Preview(1, Role.PERSON, "Hello, $name")
LATER = Preview(2, Role.STAFF, 'Good "day"')


def thread(id: str, seq: int = 1, minutes: int = 0, open: bool = True, **more: object) -> Thread:
    return Thread(id=id, seq=seq, open=open, updated_at=NOON + timedelta(minutes=minutes), **more)  # type: ignore[arg-type]  # of Thread


async def listed(store: Store, view: View, staff: str | None = "anna", now: datetime = NOON) -> list[str]:
    return [row.thread.id for row in (await store.rows(view, staff, now)).rows]


async def test_a_row_comes_back_as_it_was(store: Store) -> None:
    full = thread(
        "t",
        7,
        said=2**62 - 1,
        name='$Ida {"a": 1}',
        floor=Floor.of("anna"),
        created_at=NOON,
        addresses=(Linked(Address(Channel.WHATSAPP, "+49", "wa_id", "+49151"), Assurance.PROVEN),),
    )
    await store.save_rows([Row(full, HELLO), Row(Thread("u"))])
    await store.save_rows([])

    assert await store.row("t") == Row(full, HELLO)
    assert await store.row("u") == Row(Thread("u"))
    assert await store.row("nobody") is None


async def test_an_older_row_loses_and_the_same_again_wins(store: Store) -> None:
    await store.save_rows([Row(thread("t", 5), HELLO)])

    await store.save_rows([Row(thread("t", 4, open=False))])
    assert await store.row("t") == Row(thread("t", 5), HELLO)
    assert await listed(store, View.CLOSED) == []

    rebuilt = Row(thread("t", 5, name="Ida"), LATER)
    await store.save_rows([rebuilt])
    assert await store.row("t") == rebuilt


async def test_a_row_from_before_an_erasure_loses_whatever_its_number(store: Store) -> None:
    erased = Row(thread("t", 5, erased=1))
    await store.save_rows([Row(thread("t", 4), HELLO)])
    await store.save_rows([erased])

    await store.save_rows([Row(thread("t", 9, name="Ida"), LATER)])

    assert await store.row("t") == erased  # and no words of before


async def test_a_row_without_words_leaves_the_last_ones(store: Store) -> None:
    await store.save_rows([Row(thread("t", 1), HELLO)])
    await store.save_rows([Row(thread("t", 2))])

    assert await store.row("t") == Row(thread("t", 2), HELLO)


async def test_the_newest_words_stand_whichever_process_comes_first_with_its_row(store: Store) -> None:
    await store.save_rows([Row(thread("t", 3, name="Ida"))])

    await store.save_rows([Row(thread("t", 2, open=False), LATER)])
    assert await store.row("t") == Row(thread("t", 3, name="Ida"), LATER)

    await store.save_rows([Row(thread("t", 4), HELLO)])
    assert await store.row("t") == Row(thread("t", 4), LATER)

    rebuilt = Row(thread("t", 4), HELLO)
    await store.save_rows([rebuilt])
    assert await store.row("t") == rebuilt


async def test_each_view_shows_its_threads(store: Store) -> None:
    until = NOON + HOUR
    await store.save_rows(
        [
            Row(thread("bot", 1, 1)),
            Row(thread("waiting", 1, 2, floor=WAITING_FLOOR)),
            Row(thread("given", 1, 3, floor=WAITING_FLOOR, assigned="anna")),
            Row(thread("floor", 1, 4, floor=Floor.of("anna"), assigned="berta", last_person=1)),
            Row(thread("talking", 1, 5, floor=Floor.of("berta"), assigned="berta")),
            Row(thread("snoozed", 1, 6, floor=WAITING_FLOOR, assigned="anna", snoozed_until=until)),
            Row(thread("closed", 1, 7, open=False, assigned=None)),
            Row(thread("moved", 1, 8, open=False, moved_to="bot")),
        ]
    )

    assert await listed(store, View.NEEDS_REPLY) == ["floor", "given", "waiting"]
    assert await listed(store, View.MINE) == ["floor", "given"]
    assert await listed(store, View.MINE, "berta") == ["talking", "floor"]
    assert await listed(store, View.UNASSIGNED) == ["waiting"]
    assert await listed(store, View.BOT) == ["bot"]
    assert await listed(store, View.SNOOZED) == ["snoozed"]
    assert await listed(store, View.CLOSED) == ["closed"]
    assert await listed(store, View.ALL) == [
        "moved", "closed", "snoozed", "talking", "floor", "given", "waiting", "bot",
    ]  # fmt: skip
    assert await listed(store, View.NEEDS_REPLY, now=until) == ["snoozed", "floor", "given", "waiting"]
    assert await listed(store, View.SNOOZED, now=until) == []
    assert await store.counts("anna", NOON) == {
        View.NEEDS_REPLY: 3,
        View.MINE: 2,
        View.UNASSIGNED: 1,
        View.BOT: 1,
        View.SNOOZED: 1,
        View.CLOSED: 1,
        View.ALL: 8,
    }


async def test_a_thread_leaves_a_list_when_it_no_longer_belongs_there(store: Store) -> None:
    await store.save_rows([Row(thread("t", 1, floor=WAITING_FLOOR))])
    await store.save_rows([Row(thread("t", 2, 1, floor=Floor.of("anna"), assigned="anna"))])

    assert await listed(store, View.UNASSIGNED) == []
    assert await listed(store, View.MINE) == ["t"]
    assert await listed(store, View.ALL) == ["t"]


async def test_pages_hold_every_thread_once_urgent_first_then_newest(store: Store) -> None:
    threads = [thread(f"t{n:02}", 1, n // 3, urgent=n % 7 == 0, floor=WAITING_FLOOR) for n in range(40)]
    await store.save_rows([Row(each) for each in threads])
    expected = sorted(threads, key=lambda t: (t.urgent, t.updated_at, t.id), reverse=True)

    found: list[str] = []
    after: str | None = None
    for _ in range(20):
        page = await store.rows(View.NEEDS_REPLY, None, NOON, after, 6)
        found += [row.thread.id for row in page.rows]
        after = page.next
        if after is None:
            break

    assert found == [each.id for each in expected]
    assert (await store.rows(View.NEEDS_REPLY, None, NOON, limit=40)).next is None


async def test_a_page_goes_on_where_it_ended_whatever_comes_in_meanwhile(store: Store) -> None:
    await store.save_rows([Row(thread(id, 1, n)) for n, id in enumerate("abcd")])
    page = await store.rows(View.ALL, None, NOON, limit=2)

    await store.save_rows([Row(thread("new", 1, 60))])

    rest = await store.rows(View.ALL, None, NOON, page.next, 2)
    assert [row.thread.id for row in (*page.rows, *rest.rows)] == ["d", "c", "b", "a"]


@pytest.mark.parametrize("after", ["", "x", "1", "2.5.t", "1.-5.t", "1.٣.t", "1." + "9" * 30 + ".t"])
async def test_a_made_up_page_is_refused(store: Store, after: str) -> None:
    with pytest.raises(BadValue):
        await store.rows(View.ALL, None, NOON, after)


async def test_a_browser_in_which_nothing_was_said_stands_in_no_list(store: Store) -> None:
    browser = Linked(Address(Channel.WEB, "demo", "visitor", "hash"), Assurance.PROVEN)
    silent = thread("silent", addresses=(browser,))
    await store.save_rows([Row(silent), Row(thread("talking", addresses=(browser,), last_message=1))])

    assert await listed(store, View.ALL) == ["talking"]
    assert await store.row("silent") == Row(silent)


async def test_search_finds_threads_by_how_words_begin(store: Store) -> None:
    await store.save_rows([Row(thread(id, 1, n)) for n, id in enumerate(["ida", "jan", "kim"])])
    await store.save_words(
        [("ida", "muller"), ("ida", "zahn"), ("jan", "mullberg"), ("kim", "zahnarzt"), ("kim", "5678")]
    )
    await store.save_words([("ida", "muller"), ("jan", "zahn"), ("gone", "muller")])
    await store.save_words([])

    pairs = [("ida", "muller"), ("ida", "mull"), ("nobody", "muller")]
    assert await store.missing_words(pairs) == pairs[1:]
    assert await store.missing_words([]) == []
    await store.drop_words([("ida", "muller"), ("ida", "nothing"), ("nobody", "zahn")])
    await store.drop_words([])
    assert await store.missing_words([("ida", "muller"), ("ida", "zahn")]) == [("ida", "muller")]
    await store.save_words([("ida", "muller")])

    async def found(*words: str) -> list[str]:
        return [hit.row.thread.id for hit in await store.search(words)]

    assert await found("mull") == ["jan", "ida"]
    assert await found("muller") == ["ida"]
    assert await found("zahn", "mul") == ["jan", "ida"]
    assert await found("zahn") == ["kim", "jan", "ida"]
    assert await found("5678") == ["kim"]
    assert await found("muller", "5678") == []
    assert await found("ullberg") == []
    assert await found("m%") == []
    assert await found(".*") == []
    assert await found("") == []
    assert await found() == []
    assert [hit.words for hit in await store.search(["zahn", "mull", "zahn"], 1)] == [("zahn", "mull")]


async def test_search_for_a_common_word_finds_the_newest(store: Store) -> None:
    threads = [thread(f"t{n:04}", 1, n // 2) for n in range(2_300)]  # two at a time
    await store.save_rows([Row(each) for each in threads])
    await store.save_words([(each.id, "termin") for each in threads] + [("t0007", "selten"), ("t2299", "seltsam")])
    await store.save_words([(each.id, "platz") for each in threads[:2_050]])  # the others lie before them

    assert [hit.row.thread.id for hit in await store.search(["termin"], 3)] == ["t2299", "t2298", "t2297"]
    assert [hit.row.thread.id for hit in await store.search(["term", "selt"])] == ["t2299", "t0007"]
    assert [hit.row.thread.id for hit in await store.search(["ter", "term"], 2)] == ["t2299", "t2298"]
    older = [f"t{n:04}" for n in range(2_049, 1_899, -1)]
    assert [hit.row.thread.id for hit in await store.search(["platz", "termin"], 150)] == older
    assert (await store.counts("anna", NOON))[View.BOT] == 1000


async def test_a_row_that_was_never_updated_still_has_its_place(store: Store) -> None:
    await store.save_rows([Row(Thread("t", seq=1)), Row(thread("u"))])

    first = await store.rows(View.ALL, None, NOON + SECOND, limit=1)
    assert [row.thread.id for row in first.rows] == ["u"]
    assert [row.thread.id for row in (await store.rows(View.ALL, None, NOON, first.next)).rows] == ["t"]
