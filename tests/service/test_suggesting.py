"""Whose conversation may be the same person's: a reason is named, and a family's number is warned of."""

from server.core.model import Address, Assurance, Channel, Joined, Linked, Thread
from server.core.ports import Row
from server.service.suggesting import Because, because, weighed


def met_at(id: str, number: str, name: str | None = None, channel: Channel = Channel.WHATSAPP) -> Thread:
    address = Address(channel, "4930111222", "wa_id", number)
    return Thread(id, seq=1, name=name, addresses=(Linked(address, Assurance.PROVEN),))


KATRIN = met_at("t1", "4915155501234", "Katrin Möller")


def test_the_same_number_on_another_channel_is_a_reason() -> None:
    called = met_at("t2", "+4915155501234", channel=Channel.VOICE)

    assert because(KATRIN, called) == (Because.NUMBER,)


def test_a_name_is_the_same_without_its_accents_and_a_browser_is_nobody() -> None:
    browser = Address(Channel.WEB, "demo", "visitor", "h4sh")
    one = Thread("t2", seq=1, name="katrin MOLLER", addresses=(Linked(browser, Assurance.PROVEN),))
    other = Thread("t3", seq=1, name="Katrin Möller", addresses=(Linked(browser, Assurance.PROVEN),))

    assert because(one, other) == (Because.NAME,)


def test_what_the_host_site_signed_comes_first() -> None:
    signed = Linked(Address(Channel.WEB, "demo", "identity", "patient-7"), Assurance.PROVEN)
    rows = [Row(Thread(id, seq=1, name="Ann", addresses=held)) for id, held in (("t2", ()), ("t3", (signed,)))]

    found = weighed(Thread("t1", seq=1, name="Ann", addresses=(signed,)), rows)

    assert [(each.row.thread.id, each.because) for each in found.suggestions] == [
        ("t3", (Because.IDENTITY, Because.NAME)),
        ("t2", (Because.NAME,)),
    ]


def test_a_number_under_two_names_is_warned_of() -> None:
    found = weighed(KATRIN, [Row(met_at("t2", "4915155501234", "Jonas Möller"))])

    assert found.sharing == ("Jonas Möller",)


def test_what_was_joined_already_or_goes_on_elsewhere_is_not_suggested() -> None:
    joined = Thread("t1", seq=1, name="Ann", joined=(Joined("t2", 3),))
    moved = Thread("t3", seq=1, name="Ann", moved_to="t9")

    assert weighed(joined, [Row(Thread("t2", seq=1, name="Ann")), Row(moved), Row(joined)]).suggestions == ()
