"""Settings: defaults that serve one machine, and refusals that say everything at once and no secret."""

import stat
import threading
from ipaddress import ip_address
from pathlib import Path

import pytest

from server.settings import Settings, WrongSettings, is_loopback

SECRET = "0123456789abcdef0123456789abcdef"


def refused(**given: str) -> list[str]:
    """What is said of these settings, the variables' prefix left out."""
    with pytest.raises(WrongSettings) as wrong:
        Settings.from_environment({f"ONETHREAD_{name}": value for name, value in given.items()})
    return wrong.value.problems


def read(**given: str) -> Settings:
    """The settings these variables make, the prefix left out."""
    return Settings.from_environment({f"ONETHREAD_{name}": value for name, value in given.items()})


def test_without_any_variable_the_demo_is_served_to_this_machine_alone() -> None:
    settings = read()

    assert settings == Settings()
    assert (settings.demo, settings.only_this_machine, settings.origin()) == (True, True, "http://127.0.0.1:8000")


def test_an_empty_variable_counts_as_unset() -> None:
    assert read(PORT="", HOST=" ") == Settings()


def test_values_are_read_as_what_they_are() -> None:
    settings = read(PORT="9000", POSTS_PER_SECOND="0.5", WORKER="off", PROXY="10.0.0.1", DATA="/srv/clinic")

    assert (settings.port, settings.posts_per_second, settings.worker) == (9000, 0.5, False)
    assert (settings.proxy, settings.data) == (ip_address("10.0.0.1"), Path("/srv/clinic"))


def test_all_wrong_values_are_refused_at_once_by_name_and_with_what_was_expected() -> None:
    assert refused(PORT="80o0", WORKER="yes", PING_SECONDS="-1", PROXY="10.0.0.0/8") == [
        "ONETHREAD_PORT: expected a whole number from 0 to 65535.",
        "ONETHREAD_PROXY: expected one IP address.",
        "ONETHREAD_WORKER: expected `on` or `off`.",
        "ONETHREAD_PING_SECONDS: expected a number from 1 to 300.",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "٨٠٠٠"),
        ("PORT", "1e3"),
        ("POSTS_PER_SECOND", "nan"),
        ("POSTS_PER_SECOND", "inf"),
        ("HOST", "127.0.0.1/24"),
        ("HOST", "a b"),
        ("PUBLIC_URL", "chat.example.org"),
        ("PUBLIC_URL", "https://chat.example.org/onethread"),
        ("PUBLIC_URL", "https://user:word@chat.example.org"),
        ("PUBLIC_URL", "https://chat.example.org:99999"),
        ("PUBLIC_URL", "javascript://chat.example.org"),
        ("LOG_LEVEL", "INFO"),
        ("MONGODB_DATABASE", "a.b"),
        ("REDIS_URL", "http://localhost"),
    ],
)
def test_a_value_of_another_shape_is_refused(name: str, value: str) -> None:
    assert refused(**{name: value})[0].startswith(f"ONETHREAD_{name}: expected ")


def test_a_refusal_repeats_no_value() -> None:
    said = "\n".join(refused(SECRET="hush", MONGODB_URI="http://anna:hush@db", REDIS_URL="hush", PUBLIC_URL="//hush"))

    assert "hush" not in said


def test_the_settings_when_printed_show_no_secret() -> None:
    settings = read(SECRET=SECRET, MONGODB_URI="mongodb://anna:hush@db", REDIS_URL="redis://:hush@db")

    assert SECRET not in repr(settings)
    assert "hush" not in repr(settings)


def test_a_variable_that_does_not_exist_is_refused_with_the_likely_meaning() -> None:
    assert refused(MONGO_URI="mongodb://db") == [
        "ONETHREAD_MONGO_URI: there is no such setting. Did you mean ONETHREAD_MONGODB_URI?"
    ]


def test_variables_of_the_tests_are_none_of_the_servers_business() -> None:
    assert read(FIXTURES="/a", TEST_MONGODB_URI="mongodb://db", BENCH_SECONDS="3") == Settings()


@pytest.mark.parametrize(
    "outside",
    [
        {"HOST": "192.0.2.7"},
        {"HOST": "clinic.example.org"},
        {"PUBLIC_URL": "https://chat.example.org"},
        {"PROXY": "127.0.0.1"},
    ],
)
def test_the_demo_is_off_where_others_could_reach_it_and_refused_when_asked_for(outside: dict[str, str]) -> None:
    assert read(**outside).demo is False
    assert refused(**outside, DEMO="on")[0].startswith("ONETHREAD_DEMO: ")


def test_the_demo_can_be_had_on_loopback_under_any_of_its_names() -> None:
    assert all(read(HOST=host, DEMO="on").demo for host in ("localhost", "127.0.0.2", "::1"))
    assert not is_loopback("localhost.example.org")


def test_listening_on_every_address_needs_the_public_one() -> None:
    assert refused(HOST="0.0.0.0")[0].startswith("ONETHREAD_PUBLIC_URL: needed ")
    assert read(HOST="0.0.0.0", PUBLIC_URL="https://Chat.example.org/").origin() == "https://chat.example.org"


@pytest.mark.parametrize("url", ["http://chat.example.org", "http://10.0.0.5:8000", "http://localhost.example.org"])
def test_a_public_address_that_is_not_https_is_refused_unless_it_is_this_machine(url: str) -> None:
    (said,) = refused(PUBLIC_URL=url)
    assert said.startswith("ONETHREAD_PUBLIC_URL: expected `https://` ")
    assert url not in said
    assert read(PUBLIC_URL="http://127.0.0.1:9000").origin() == "http://127.0.0.1:9000"
    assert read(HOST="0.0.0.0", PUBLIC_URL="http://localhost:8000").origin() == "http://localhost:8000"


def test_processes_that_share_a_mongodb_need_a_secret_to_share() -> None:
    assert refused(MONGODB_URI="mongodb://db")[0].startswith("ONETHREAD_SECRET: needed ")
    assert read(MONGODB_URI="mongodb://db", SECRET=SECRET).signing_key() == SECRET


def test_the_origin_names_the_port_that_was_really_taken() -> None:
    assert read(PORT="0", HOST="::1").origin(port=4321) == "http://[::1]:4321"


def test_settings_that_contradict_each_other_are_refused() -> None:
    assert refused(SUGGEST_CONFIDENCE="0.9", FRAME_BYTES="300000", VISITS_NEW_PER_HOUR="10") == [
        "ONETHREAD_SUGGEST_CONFIDENCE: expected at most ONETHREAD_ANSWER_CONFIDENCE.",
        "ONETHREAD_VISITS_NEW_PER_MINUTE: expected at most ONETHREAD_VISITS_NEW_PER_HOUR.",
        "ONETHREAD_FRAME_BYTES: expected at most ONETHREAD_BUDGET_BYTES.",
    ]


def test_the_signing_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "clinic")

    first, again = settings.signing_key(), settings.signing_key()

    assert first == again
    assert len(first) >= 32
    assert stat.S_IMODE((tmp_path / "clinic" / "secret").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "clinic").iterdir()] == ["secret"]


def test_many_that_start_at_once_sign_with_the_same_key(tmp_path: Path) -> None:
    settings, keys = Settings(data=tmp_path), set[str]()
    threads = [threading.Thread(target=lambda: keys.add(settings.signing_key())) for _ in range(20)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(keys) == 1


def test_a_damaged_signing_key_is_refused_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("short")

    with pytest.raises(WrongSettings):
        Settings(data=tmp_path).signing_key()
