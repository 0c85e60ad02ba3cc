"""Colleagues' accounts: who may sign in to the console, and as what.

Passwords are asked for without echo, or read from standard input when that is not a terminal; they are never part of a
command. What ends sessions ends them at once on HTTP, and within a few seconds on open sockets.
"""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from server.core.errors import OnethreadError, Refused, Unavailable
from server.core.identity import StaffRole
from server.core.ports import Account, Store
from server.settings import Settings

FAILED = 1

EXAMPLES = """\
examples:
  python3 run.py staff add anna --name "Anna Weber" --role reception
  python3 run.py staff password anna < password.txt
  python3 run.py staff disable anna
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be done with accounts."""
    parser.epilog = EXAMPLES
    actions = parser.add_subparsers(dest="action", required=True, metavar="what")
    add = actions.add_parser("add", help="add a colleague; asks for a password")
    add.add_argument("login", help="what they sign in with, such as a name or an address")
    add.add_argument("--name", required=True, help="what patients and colleagues see")
    add.add_argument("--role", required=True, choices=[role.value for role in StaffRole], help="what they may do")
    add.add_argument("--language", help="the console's language for them, such as de")
    actions.add_parser("list", help="show all accounts")
    for action, text in (
        ("disable", "keep a colleague from signing in, and end their sessions"),
        ("enable", "let a colleague sign in again"),
        ("password", "set a new password, and end their sessions"),
        ("sign-out", "end a colleague's sessions"),
    ):
        actions.add_parser(action, help=text).add_argument("login")
    link = actions.add_parser("link", help="print a one-time link into the demo's console")
    link.add_argument("login", nargs="?", default="alex", help="a colleague of the demo: alex, sofie or weber")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Do it; the result is the exit code."""
    try:
        return asyncio.run(_run(args, settings))
    except Unavailable:
        print("The database cannot be reached.", file=sys.stderr)
    except Refused as refused:
        print(refused if refused.code != "not_found" else f"Nobody signs in as {args.login}.", file=sys.stderr)
    except OnethreadError as error:
        print(error, file=sys.stderr)
    return FAILED


async def _run(args: argparse.Namespace, settings: Settings) -> int:
    from server.stores import store_of

    password = _ask_password() if args.action in ("add", "password") else ""
    if password is None:
        print("The two passwords differ.", file=sys.stderr)
        return FAILED
    store = store_of(settings, exclusive=False)
    await store.open()
    try:
        return await ACTIONS[args.action](store, args, settings, password)
    finally:
        await store.close()


def _ask_password() -> str | None:
    """Return the password typed twice, or the first line of standard input; ``None`` when the two differ."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    return first if getpass.getpass("Again: ") == first else None


async def _add(store: Store, args: argparse.Namespace, settings: Settings, password: str) -> int:
    from server.web.accounts import Accounts

    if not password:
        print("A colleague needs a password: type one, or pass it on standard input.", file=sys.stderr)
        return FAILED
    account = await Accounts(store).add(args.login, args.name, StaffRole(args.role), password, language=args.language)
    print(f"{account.name} can sign in as {account.login} ({account.role}).")
    return 0


async def _list(store: Store, args: argparse.Namespace, settings: Settings, password: str) -> int:
    from server.web.accounts import Accounts

    accounts = await Accounts(store).listing()
    width = max((len(account.login) for account in accounts), default=0) + 2
    for account in accounts:
        print(f"{account.login:<{width}}{account.role:<11}{_state(account):<12}{account.name}")
    if not accounts:
        print("There are no accounts yet: `python3 run.py staff add --help`.")
    return 0


def _state(account: Account) -> str:
    return "disabled" if account.disabled else "active" if account.password else "link only"


async def _disable(store: Store, args: argparse.Namespace, settings: Settings, password: str) -> int:
    return await _change(store, args, settings, "can no longer sign in", disabled=True)


async def _enable(store: Store, args: argparse.Namespace, settings: Settings, password: str) -> int:
    return await _change(store, args, settings, "can sign in again", disabled=False)


async def _password(store: Store, args: argparse.Namespace, settings: Settings, password: str) -> int:
    return await _change(store, args, settings, "has a new password", password=password)


async def _sign_out(store: Store, args: argparse.Namespace, settings: Settings, password: str) -> int:
    from server.web.accounts import Accounts

    accounts = Accounts(store)
    account = await accounts.raise_generation((await accounts.by_login(args.login)).id)
    await _tell(settings, account)
    print(f"{account.name} is signed out everywhere.")
    return 0


async def _change(
    store: Store,
    args: argparse.Namespace,
    settings: Settings,
    said: str,
    *,
    disabled: bool | None = None,
    password: str | None = None,
) -> int:
    from server.web.accounts import Accounts

    accounts = Accounts(store)
    account = await accounts.change((await accounts.by_login(args.login)).id, disabled=disabled, password=password)
    await _tell(settings, account)
    print(f"{account.name} {said}.")
    return 0


async def _tell(settings: Settings, account: Account) -> None:
    """Let the servers' open sockets hear of it at once, where there is a bus; without one they look for themselves."""
    if settings.redis_url is None:
        return
    from server.stores import bus_of
    from server.web.sessions import TOPIC, ended_payload

    bus = bus_of(settings)
    await bus.open(lambda topic, payload: None, lambda: None)
    bus.say(TOPIC, ended_payload(account))
    await bus.close()


async def _link(store: Store, args: argparse.Namespace, settings: Settings, password: str) -> int:
    if not settings.demo:
        print("ONETHREAD_DEMO: sign-in links are for the demo; expected `on`.", file=sys.stderr)
        return FAILED
    from server.web.accounts import Accounts
    from server.web.sessions import new_link

    account = await Accounts(store).by_login(args.login)
    token = await new_link(store, account.id, datetime.now(UTC))
    print(f"{settings.origin()}/console/enter#{token}")
    return 0


Action = Callable[[Store, argparse.Namespace, Settings, str], Awaitable[int]]
ACTIONS: dict[str, Action] = {
    "add": _add,
    "list": _list,
    "disable": _disable,
    "enable": _enable,
    "password": _password,
    "sign-out": _sign_out,
    "link": _link,
}
