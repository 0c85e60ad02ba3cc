"""What the benchmark makes of what it measured."""

import math
import xml.etree.ElementTree as ET

import pytest

from bench import calls, charts, idle, storm, webhooks
from bench.clients import Counting
from bench.load import Slice, lost
from bench.tables import micro, table, times


def test_a_slice_says_messages_a_second_and_percentiles() -> None:
    measured = Slice(2.0, 500, tuple(n / 1000 for n in range(1, 101)))

    assert measured.per_second == 250.0
    assert measured.percentile(50) == pytest.approx(0.0505)
    assert measured.percentile(99) == pytest.approx(0.09999)


def test_a_slice_without_messages_has_no_percentiles() -> None:
    assert math.isnan(Slice(1.0, 0, ()).percentile(50))


async def test_what_is_doubled_missing_or_altered_is_counted() -> None:
    client = Counting(0)
    room = client.add("t1")
    room.sent = 4

    for seq, text in ((1, "Mondays?"), (1, "Mondays?"), (3, "please."), (4, "something else")):
        client.saw(b'{"thread":"t1","seq":%d,"text":"%s"}' % (seq, text.encode()))

    assert (client.faults.doubled, client.faults.out_of_order, client.faults.altered) == (1, 1, 1)
    assert lost(client) == 1


def test_a_table_is_markdown_with_figures_on_the_right() -> None:
    assert table(("who", "how fast"), [["onethread", "9"]]) == "| who | how fast |\n| --- | ---: |\n| onethread | 9 |"


def test_figures_are_multiples_of_whoever_they_are_compared_with() -> None:
    assert (times(3.0, 2.0), times(3.0, 0.0), micro(0.00012)) == ("1.50", "–", "120 µs")


def test_accepting_is_compared_with_a_bare_socket() -> None:
    assert "| 300 µs | 1.50 |" in idle.shown({idle.OURS: 0.0003, idle.BARE: 0.0002}, 10)


def test_a_storm_is_compared_with_the_relay() -> None:
    shown = storm.shown({storm.OURS: [storm.Came(0.1, 0.3, 0.001)], storm.RELAY: [storm.Came(0.1, 0.2, 0.001)]}, 10)

    assert "| 100 ms | 300 ms | 1.50 | 1000 µs |" in shown


def test_answering_webhooks_is_compared_with_a_bare_door() -> None:
    waited = {
        name: webhooks.Waited([wait] * 3, cpu=[wait / 2])
        for name, wait in ((webhooks.OURS, 0.003), (webhooks.BARE, 0.002))
    }

    assert "| 3.0 ms | 1.50 | 3.0 ms | 1500 µs | 0 |" in webhooks.shown(waited)


def test_first_words_on_the_phone_are_compared_with_a_bare_socket() -> None:
    heard = {
        name: calls.Heard([wait] * 3, [0.3 / wait], [wait / 2])
        for name, wait in ((calls.OURS, 0.003), (calls.BARE, 0.002))
    }

    assert "| 3.0 ms | 1.50 | 3.0 ms | 100 | 0.67 | 1500 µs | 0 |" in calls.shown(heard)


def test_a_chart_is_drawn_to_scale_and_can_be_read_without_seeing_it() -> None:
    bars = [charts.Bar("a < b", 50.0, "50"), charts.Bar("onethread", 100.0, "100", ours=True)]

    drawn = ET.fromstring(charts.chart("Speed", "longer is better", bars))

    name = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.attrib["width"]) for bar in drawn.iter(f"{name}rect")]
    assert widths[1] == pytest.approx(2 * widths[0])
    assert drawn.findtext(f"{name}desc") == "a < b: 50; onethread: 100"
    assert "prefers-color-scheme: dark" in (drawn.findtext(f"{name}style") or "")
