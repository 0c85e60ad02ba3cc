"""What may go where."""

from server.core.allowed import Allowed, Content, Rule
from server.core.model import Channel

TABLE = Allowed(((Content.TYPED, Channel.WHATSAPP, Rule.SEND), (Content.MEDICAL, Channel.WHATSAPP, Rule.LINK)))


def test_the_table_says_what_becomes_of_each_content_on_each_channel() -> None:
    assert TABLE.rule(Content.TYPED, Channel.WHATSAPP) is Rule.SEND
    assert TABLE.rule(Content.MEDICAL, Channel.WHATSAPP) is Rule.LINK


def test_where_the_table_says_nothing_results_stay_on_the_website() -> None:
    assert Allowed().rule(Content.RESULTS, Channel.WHATSAPP) is Rule.LINK
    assert {Allowed().rule(content, Channel.WEB) for content in Content} == {Rule.SEND}


def test_a_colleague_is_warned_where_typed_text_is_not_simply_sent() -> None:
    assert not TABLE.warns(Channel.WHATSAPP)
    assert Allowed().warns(Channel.WHATSAPP)
    assert not Allowed().warns(Channel.WEB)
