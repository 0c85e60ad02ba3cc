"""Makes a replica set of fresh MongoDB servers, and Onethread's user in it. Run again, it changes nothing.

It runs beside the first member and reaches it by loopback: a MongoDB that knows nobody lets whoever comes that way make
the first user, and nobody else anything. Members, set, user and password are those of ONETHREAD_MONGODB_URI, so that
they are said once. MONGO_ROOT_PASSWORD is the administrator's, who is called `root`; Onethread never uses it.
"""

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

PATIENCE = 120.0  # seconds for servers to start, and for the set to choose who leads
ROOT = "root"
UNAUTHORIZED, ALREADY_INITIALIZED, NODE_NOT_FOUND, USER_EXISTS = 13, 23, 74, 51003  # as MongoDB numbers them

Client = MongoClient[dict[str, Any]]


class NotMade(Exception):
    """The set cannot be made; the sentence says what to look at."""


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Make it; the result is the exit code."""
    try:
        make(
            uri=environ["ONETHREAD_MONGODB_URI"],
            database=environ.get("ONETHREAD_MONGODB_DATABASE") or "onethread",
            root_password=environ["MONGO_ROOT_PASSWORD"],
            here=environ.get("MONGO_HERE") or "127.0.0.1:27017",
        )
    except KeyError as missing:
        print(f"{missing.args[0]} is not set.", file=sys.stderr)
        return 1
    except NotMade as why:
        print(why, file=sys.stderr)
        return 1
    print("The replica set stands.")
    return 0


def make(*, uri: str, database: str, root_password: str, here: str) -> None:
    """Make the set and the user that ``uri`` names, as far as they are missing.

    Args:
        here: host and port of the first member, as it is reached by loopback.

    Raises:
        NotMade: with what to look at.
    """
    said = parse_uri(uri)
    name, user, password = said["options"].get("replicaSet"), said["username"], said["password"]
    if not (name and user and password):
        raise NotMade("ONETHREAD_MONGODB_URI: expected a user, a password and `replicaSet=` in it.")
    members = [f"{host}:{port}" for host, port in said["nodelist"]]
    by_loopback = f"mongodb://{here}/?directConnection=true"
    with _client(by_loopback) as first:
        if "setName" not in _hello(first):
            _until(lambda: _initiated(first, _configuration(name, members)), "the members do not answer each other")
        if _may_come_in(uri):
            return
        _until(lambda: bool(_hello(first).get("isWritablePrimary")), f"{members[0]} does not lead the set")
        _make_root(first, root_password)
    with _client(by_loopback, username=ROOT, password=root_password) as root:
        _make_user(root, user, password, database)
    if not _may_come_in(uri):
        raise NotMade("The user was made and still may not come in.")


def _configuration(name: str, members: list[str]) -> dict[str, Any]:
    """Return a set that the first member leads where it can: that is where the first user is made."""
    listed = [{"_id": n, "host": host, "priority": 2 if n == 0 else 1} for n, host in enumerate(members)]
    return {"_id": name, "members": listed}


def _initiated(first: Client, configuration: dict[str, Any]) -> bool:
    try:
        first.admin.command("replSetInitiate", configuration)
    except OperationFailure as error:
        if error.code == NODE_NOT_FOUND:
            return False
        if error.code != ALREADY_INITIALIZED:
            raise NotMade(f"The set cannot be made: {error.code}.") from None
    return True


def _make_root(first: Client, password: str) -> None:
    try:
        first.admin.command("createUser", ROOT, pwd=password, roles=["root"])
    except OperationFailure as error:
        if error.code not in (UNAUTHORIZED, USER_EXISTS):  # somebody is there already; or it is `root`
            raise NotMade(f"The administrator cannot be made: {error.code}.") from None


def _make_user(root: Client, user: str, password: str, database: str) -> None:
    roles = [{"role": "readWrite", "db": database}]
    try:
        known = root.admin.command("usersInfo", user)["users"]
        root.admin.command("updateUser" if known else "createUser", user, pwd=password, roles=roles)
    except OperationFailure as error:
        raise NotMade(
            f"The user cannot be made ({error.code}): is MONGO_ROOT_PASSWORD the one it began with?"
        ) from None


def _may_come_in(uri: str) -> bool:
    """Whether the user of ``uri`` is let in, and a majority can be written to."""
    try:
        with _client(uri, serverSelectionTimeoutMS=20_000) as client:
            client.admin.command("ping")
    except PyMongoError:  # refused, or nobody leads yet
        return False
    return True


def _hello(client: Client) -> dict[str, Any]:
    """Return what a server says of itself, once it is there."""
    found: dict[str, Any] = {}

    def there() -> bool:
        try:
            found.update(client.admin.command("hello"))
        except PyMongoError:
            return False
        return True

    _until(there, "the first member does not answer")
    return found


def _until(true: Any, why_not: str) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > until:
            raise NotMade(f"After {PATIENCE:.0f} s {why_not}.")
        time.sleep(0.2)  # other processes can only be asked


def _client(uri: str, **options: Any) -> Client:
    return MongoClient(uri, **{"serverSelectionTimeoutMS": 2_000, "timeoutMS": 20_000, **options})


if __name__ == "__main__":
    sys.exit(main())
