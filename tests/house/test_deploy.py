"""What a clinic runs it with: the image has what it needs, the set-up means what it says, the proxy lets nobody lie."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from pymongo import MongoClient

from deploy import healthy, mongo_set, prepare
from proof.people import browser, visit
from server import running
from server.app import create_engine
from server.command_line import parts
from server.command_line.part_processes import Mongod, free_port
from server.figures import Figures
from server.service import journal
from server.service.media import MAX_UPLOAD
from server.settings import CHECKOUT, PREFIX, Settings, variable
from server.store import mongo
from server.store.sqlite import SqliteStore
from server.web.metrics import Metrics
from server.web.security import LARGER_SECONDS, MAX_BODY

Json = dict[str, Any]
KNOWN = {variable(setting.name) for setting in fields(Settings)}
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE_TEXT = (CHECKOUT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = cast("Json", yaml.safe_load(COMPOSE_TEXT))
SERVICES: dict[str, Json] = COMPOSE["services"]
CADDYFILE = CHECKOUT / "deploy" / "Caddyfile"
SERVE = "import sys; from server.command_line import commands; sys.exit(commands.start(*commands.chosen(['serve'])))"
"""What `run.py serve` comes to once its packages are there: nothing here may touch those of this checkout."""
OURS = ("serve-1", "serve-2", "worker")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder with what `prepare.py` writes."""
    prepare.write("https://chat.example.org", tmp_path)
    return tmp_path


def read_env(path: Path) -> dict[str, str]:
    lines = [line.partition("=") for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in lines}


# the image ------------------------------------------------------------------------------------------------------------


def copied(stage: str) -> list[tuple[list[str], str]]:
    """Sources and destination of each COPY from the checkout, in a stage of the Dockerfile."""
    found = re.findall(r"(?m)^COPY (?!--)(.+)$", stage)
    return [(words[:-1], words[-1]) for words in (line.split() for line in found)]


def let_through(path: str) -> bool:
    """Whether `.dockerignore` lets this path into the build: the last line that fits decides."""
    through = True
    for line in (CHECKOUT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").rstrip("/")
            above = [Path(path), *Path(path).parents][:-1]
            names = [each.name if pattern.startswith("**/") else each.as_posix() for each in above]
            if any(fnmatch(name, pattern.removeprefix("**/")) for name in names):
                through = line.startswith("!")
    return through


def build(stage: str, app: Path) -> Path:
    """Copy what the stage copies, as a build would."""
    for sources, destination in copied(stage):
        for source in sources:
            assert let_through(source.rstrip("/")), source
            there = CHECKOUT / source
            if there.is_dir():
                shutil.copytree(there, app / destination, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                to = app / destination / there.name if destination.endswith("/") else app / destination
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(there, to)
    return app


def stages() -> list[str]:
    return re.split(r"(?m)^FROM ", DOCKERFILE)[1:]


def test_the_first_stage_has_what_installing_takes(tmp_path: Path) -> None:
    app = build(stages()[0], tmp_path / "app")
    command = re.findall(r'(?m)^RUN python3 -c "(.+)"$', stages()[0])[0]
    asked = command.replace("ensure('core')", "print(LOCKS['core'].read_text()[:6])").replace("ensure", "LOCKS")

    ended = subprocess.run([sys.executable, "-c", asked], cwd=app, capture_output=True, text=True)

    assert ended.stdout == "anyio=\n", ended.stderr


async def test_what_is_copied_into_the_image_is_enough_to_serve(tmp_path: Path) -> None:
    app = build(stages()[1], tmp_path / "app")
    port = free_port()
    environment = {"ONETHREAD_DATA": str(tmp_path / "data"), "ONETHREAD_PORT": str(port), "PATH": os.environ["PATH"]}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220  # takes no time
            [sys.executable, "-c", SERVE], cwd=app, env=environment, stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(60):
            while await ask_health(app, port) != 0:
                assert process.poll() is None, (tmp_path / "log").read_text()
        async with browser(f"http://127.0.0.1:{port}") as http:
            for path in ("/widget/v1/onethread.js", "/demo", "/console/sign-in", "/api/openapi.json"):
                assert (await http.get(path)).status_code == 200, path
        assert (await visit(f"http://127.0.0.1:{port}")).thread
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 30)
    assert process.returncode == 0
    assert await ask_health(app, port) == 1


async def ask_health(app: Path, port: int) -> int:
    """The exit code of the image's own health check."""
    command = re.findall(r"HEALTHCHECK .* CMD \[(.+)\]", DOCKERFILE)[0].replace('"', "").split(", ")
    assert command == ["/app/.venv/bin/python", "deploy/healthy.py"]
    asked = await asyncio.create_subprocess_exec(
        sys.executable,
        "deploy/healthy.py",
        cwd=app,
        env={"ONETHREAD_PORT": str(port)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    return await asked.wait()


def test_the_health_check_asks_the_worker_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(url: str, timeout: float) -> None:
        asked.append(url)
        raise ConnectionRefusedError

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setenv("ONETHREAD_PORT", "8000")
    monkeypatch.setenv("ONETHREAD_WORKER_PORT", "8001")

    assert healthy.main() == 1
    assert asked == ["http://127.0.0.1:8001/health/ready"]


def test_the_image_runs_as_nobody_in_particular_and_installs_by_hash() -> None:
    assert re.search(r"(?m)^USER 10001:10001$", stages()[1])
    assert "ensure('core')" in stages()[0]
    assert "pip install" not in DOCKERFILE
    assert re.search(r"(?m)^VOLUME /data$", stages()[1])
    assert not let_through("deploy/onethread.env")
    assert not let_through("onethread-data")
    assert not let_through("server/__pycache__")


# the set-up -----------------------------------------------------------------------------------------------------------


def test_every_image_is_pinned_by_version_and_by_no_other_name_than_its_own() -> None:
    images = {service["image"] for service in SERVICES.values()}
    images |= {re.findall(r"(?m)^ARG PYTHON=(.+)$", DOCKERFILE)[0].join(("python:", ""))}

    assert all(re.search(r":\d+\.\d+\.\d+(-[a-z0-9-]+)?$", image) for image in images), images
    assert not any("." in image.partition("/")[0] and "/" in image for image in images), images


def test_the_image_is_named_for_this_version() -> None:
    version = re.findall(r'(?m)^version = "(.+)"$', (CHECKOUT / "pyproject.toml").read_text())[0]

    assert {SERVICES[name]["image"] for name in OURS} == {f"onethread:{version}"}


def test_every_variable_of_ours_that_is_set_anywhere_is_a_setting(secrets: Path) -> None:
    deployed = [DOCKERFILE, COMPOSE_TEXT, CADDYFILE.read_text(), *(path.read_text() for path in secrets.glob("*.env"))]
    deployed += [path.read_text() for path in (CHECKOUT / "deploy").glob("*.py")]
    named = {name for text in deployed for name in re.findall(rf"{PREFIX}[A-Z_]+[A-Z]", text)}

    assert len(named) > 8
    assert named <= KNOWN


@pytest.mark.parametrize("name", OURS)
def test_what_a_process_of_ours_is_told_can_be_used(name: str, secrets: Path) -> None:
    told = [read_env(secrets / Path(file).name) for file in SERVICES[name]["env_file"]]
    environment = told[0] | told[1] | SERVICES[name]["environment"] | {"ONETHREAD_DATA": "/data"}
    assert all(isinstance(value, str) for value in environment.values())

    settings = Settings.from_environment(environment)

    assert settings.demo is False
    assert settings.public_url == "https://chat.example.org"
    assert settings.mongodb_uri is not None
    assert settings.mongodb_uri.endswith("replicaSet=onethread&authSource=admin")
    assert settings.redis_url is not None
    assert SERVICES[name]["command"] == [name.partition("-")[0]]


def test_the_parts_meet_where_they_say(secrets: Path) -> None:
    ours = read_env(secrets / "onethread.env")
    serve = SERVICES["serve-1"]["environment"]
    upstreams = re.findall(r"\{\$UPSTREAMS:(.+?)\}", CADDYFILE.read_text())[0].split()

    assert serve["ONETHREAD_PROXY"] == SERVICES["proxy"]["networks"]["inside"]["ipv4_address"]
    assert upstreams == [f"{name}:{serve['ONETHREAD_PORT']}" for name in SERVICES if name.startswith("serve-")]
    members = [f"{name}:27017" for name in SERVICES if re.fullmatch(r"mongo-\d", name)]
    assert ",".join(members) == prepare.MEMBERS
    assert f"@{prepare.MEMBERS}/" in ours["ONETHREAD_MONGODB_URI"]
    assert "@valkey:6379/" in ours["ONETHREAD_REDIS_URL"]
    assert read_env(secrets / "valkey.env")["VALKEY_PASSWORD"] in ours["ONETHREAD_REDIS_URL"]


def test_only_the_proxy_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    reached = {name: set(service.get("networks", ())) for name, service in SERVICES.items()}
    assert {name for name, networks in reached.items() if networks - {"inside"}} == {"proxy"}


def test_whatever_stays_up_starts_again_within_limits_and_has_time_to_end() -> None:
    for name, service in SERVICES.items():
        if name != "mongo-set":
            assert service["restart"] == "unless-stopped", name
            assert service["deploy"]["resources"]["limits"]["memory"], name
    for name in OURS:
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > Settings().drain_seconds + 5
        assert SERVICES[name]["read_only"]
        assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_no_secret_is_written_where_everybody_looks(secrets: Path) -> None:
    written = [path for path in secrets.iterdir() if path.is_file()]

    assert {path.name for path in written} == {"public.env", "onethread.env", "mongo.env", "mongo.key", "valkey.env"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in written)
    assert prepare.write("https://other.example.org", secrets) == []
    assert "chat.example.org" in (secrets / "public.env").read_text()
    assert SERVICES["proxy"]["env_file"] == ["deploy/public.env"]
    assert set(read_env(secrets / "public.env")) == {"ONETHREAD_PUBLIC_URL"}
    assert not re.search(r"(?i)(password|secret|key)\s*[:=]\s*[A-Za-z0-9]{8}", COMPOSE_TEXT)
    ignored = (CHECKOUT / ".gitignore").read_text()
    assert "/deploy/*.env" in ignored
    assert "/deploy/mongo.key" in ignored


def compose_command() -> list[str] | None:
    """Whichever way this machine has to read such a file, if any."""
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


def test_compose_itself_accepts_the_file(tmp_path: Path) -> None:
    command = compose_command()
    if command is None:
        pytest.skip("this machine has no docker compose; the file's structure is checked above all the same")
    shutil.copy(CHECKOUT / "compose.yaml", tmp_path)
    (tmp_path / "deploy").mkdir()
    prepare.write("https://chat.example.org", tmp_path / "deploy")

    ended = subprocess.run([*command, "config"], cwd=tmp_path, capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr
    assert set(yaml.safe_load(ended.stdout)["services"]) == set(SERVICES)


# the database ---------------------------------------------------------------------------------------------------------


class Guarded(Mongod):
    """A member of a set whose members know each other by a key."""

    def command(self) -> list[str]:
        key = self.folder.parent / "mongo.key"
        return [*super().command(), "--keyFile", str(key)]


@pytest.fixture
def members(mongod_program: parts.Program, secrets: Path) -> Iterator[list[Mongod]]:
    """Three servers that belong together and do not know it yet."""
    servers = [Guarded(mongod_program, secrets / f"mongo-{n}", replset="onethread") for n in range(3)]
    try:
        for server in servers:
            server.spawn()
        yield cast("list[Mongod]", servers)
    finally:
        for server in servers:
            server.kill()


def test_three_fresh_servers_become_a_set_that_lets_in_whom_the_settings_name_and_nobody_else(
    members: list[Mongod], secrets: Path
) -> None:
    hosts = ",".join(f"127.0.0.1:{member.port}" for member in members)
    ours = read_env(secrets / "onethread.env") | read_env(secrets / "mongo.env")
    ours |= {"MONGO_HERE": f"127.0.0.1:{members[0].port}"}
    ours["ONETHREAD_MONGODB_URI"] = ours["ONETHREAD_MONGODB_URI"].replace(prepare.MEMBERS, hosts)

    assert [mongo_set.main(ours) for _ in range(2)] == [0, 0]  # again is the same as once

    with MongoClient[Json](ours["ONETHREAD_MONGODB_URI"]) as client:
        client["onethread"]["events"].insert_one({"_id": 1})
        assert len(client.admin.command("hello")["hosts"]) == 3
        with pytest.raises(Exception, match="not authorized"):
            client["other"]["events"].insert_one({"_id": 1})
    with MongoClient[Json](members[0].uri) as stranger, pytest.raises(Exception, match="requires authentication"):
        stranger["onethread"]["events"].find_one()


def test_a_set_without_a_password_is_refused_with_what_to_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert mongo_set.main({"MONGO_ROOT_PASSWORD": "x", "ONETHREAD_MONGODB_URI": "mongodb://mongo-1"}) == 1
    assert "ONETHREAD_MONGODB_URI: expected a user" in capsys.readouterr().err
    assert mongo_set.main({"ONETHREAD_MONGODB_URI": "mongodb://mongo-1"}) == 1
    assert "MONGO_ROOT_PASSWORD is not set" in capsys.readouterr().err


# the proxy ------------------------------------------------------------------------------------------------------------


def test_the_proxy_is_as_strict_as_we_are_and_more_patient_than_heartbeats() -> None:
    said = CADDYFILE.read_text()

    assert "max_size 3MB" in said
    assert MAX_BODY < 3_000_000
    assert "max_size 11MB" in said
    assert MAX_UPLOAD < 11_000_000
    assert "read_body 5m" in said
    assert LARGER_SECONDS <= 300
    assert "read_header 10s" in said
    assert "header_up X-Forwarded-For {remote_host}" in said
    assert "health_uri /health/ready" in said
    assert "stream_timeout" not in said  # an open socket ends when Onethread says so, by its own heartbeat
    assert not re.search(r"\bwrite \d", said)


# what is written for whoever is on call -------------------------------------------------------------------------------

OPERATE = (CHECKOUT / "docs" / "operate.md").read_text(encoding="utf-8")
ALERTS = CHECKOUT / "docs" / "alerts.yaml"
RULES: list[Json] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"]


async def all_figures(folder: Path) -> set[str]:
    """The names of everything that a process with a bus shows."""
    settings = Settings(data=folder, redis_url="redis://127.0.0.1:1")
    metrics = Metrics()
    Figures(create_engine(settings, metrics), metrics, ready=lambda: True)
    return {family.name for family in metrics.registry.collect()}


async def test_every_figure_is_explained_and_none_that_is_not_there(tmp_path: Path) -> None:
    table = OPERATE.split("### Figures\n")[1].split("\n### ")[0]
    shown = {name for name in await all_figures(tmp_path) if not name.startswith("onethread_process_")}

    assert set(re.findall(r"(?m)^\| `(\w+)` \|", table)) == shown


async def test_alerts_watch_what_there_is_and_each_is_explained(tmp_path: Path) -> None:
    known = await all_figures(tmp_path)
    watched = {name for rule in RULES for name in re.findall(r"onethread_[a-z_]+", rule["expr"])}
    plain = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in watched}

    assert plain <= known, plain - known
    assert [rule["alert"] for rule in RULES] == re.findall(r"(?m)^### (Onethread\w+)$", OPERATE)
    assert {rule["labels"]["severity"] for rule in RULES} == {"page", "ticket"}


def test_prometheus_itself_accepts_the_rules() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("this machine has no promtool; the rules' structure is checked above all the same")
    subprocess.run(["promtool", "check", "rules", str(ALERTS)], check=True)


async def test_the_way_to_another_epoch_that_is_written_down_works(tmp_path: Path) -> None:
    command = re.findall(r'`sqlite3 onethread\.db "(UPDATE .+?)"`', OPERATE)[0]
    store = SqliteStore(tmp_path / "onethread.db")
    await store.open()
    before = await store.epoch()
    await store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "onethread.db")) as connection:
        connection.execute(command)
        connection.commit()
    await store.open()

    after = await store.epoch()
    await store.close()

    assert (after != before, len(after)) == (True, len(before))


def test_times_and_variables_that_are_named_are_the_ones_that_hold() -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]+[A-Z]", OPERATE))

    assert named <= KNOWN
    assert f"closes it after {running.KEEP_ALIVE} s" in OPERATE
    assert f"hangs up after {running.HEADER_SECONDS:.0f} s" in OPERATE
    assert f"every {Settings().ping_seconds:.0f} s (`ONETHREAD_PING_SECONDS`)" in OPERATE
    assert f"at {journal.WAITING:,} people are told" in OPERATE
    assert f"at most {mongo.CONNECTIONS} a process" in OPERATE
