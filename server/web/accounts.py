"""Colleagues' accounts: who may sign in, with which role and password.

Passwords are kept as argon2id hashes. Making one takes a core for a while and 64 MB, so it is done in threads of its
own, two at a time: a storm of sign-ins makes sign-ins slow and nothing else.
"""

import asyncio
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from server.core.errors import BadValue, NotAllowed, NotFound
from server.core.identity import StaffRole
from server.core.model import StaffId
from server.core.ports import Account, Store

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_PASSWORD = 10  # characters
MAX_PASSWORD = 256  # characters: a longer one only costs us
MAX_LOGIN = 100  # characters
MAX_NAME = 80  # characters: it stands beside every message
MAX_ACCOUNTS = 1000

_threads = ThreadPoolExecutor(2, thread_name_prefix="password")


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobodys_hash() -> str:
    """A hash that no password fits: comparing with it takes as long as with a colleague's."""
    return _hasher().hash(secrets.token_urlsafe(32))


def _matches(hashed: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    nobodys = _nobodys_hash()  # made before anybody is compared with, so that the first to be unknown takes no longer
    try:
        _hasher().verify(hashed or nobodys, password)
        return bool(hashed)
    except (VerificationError, InvalidHashError):
        return False


async def hash_password(password: str) -> str:
    """Return what is stored of a password.

    Raises:
        BadValue: it is too short or too long.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise BadValue("password", f"{MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return await asyncio.get_running_loop().run_in_executor(_threads, lambda: _hasher().hash(password))


async def is_password(account: Account | None, password: str) -> bool:
    """Whether this is the account's password. Takes the same time when there is no such account, or none to sign in."""
    hashed = "" if account is None or account.disabled else account.password
    password = password[: MAX_PASSWORD + 1]
    return await asyncio.get_running_loop().run_in_executor(_threads, lambda: _matches(hashed, password))


def folded_login(login: str) -> str:
    """Return a login as it is compared: `Anna ` and `anna` are one."""
    return unicodedata.normalize("NFKC", login).strip().casefold()


def _clean(field: str, text: str, longest: int) -> str:
    text = " ".join(unicodedata.normalize("NFC", text).split())
    odd = any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn") for character in text)
    if odd or not 1 <= len(text) <= longest:
        raise BadValue(field, f"1 to {longest} visible characters")
    return text


class Accounts:
    """The accounts of this clinic's staff."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def listing(self) -> list[Account]:
        """Return all accounts, by name."""
        return sorted(await self._store.accounts(), key=lambda account: (account.disabled, account.name.casefold()))

    async def by_login(self, login: str) -> Account:
        """Return the account of this login.

        Raises:
            NotFound: nobody signs in under it.
        """
        account = await self._store.account_by_login(folded_login(login))
        if account is None:
            raise NotFound
        return account

    async def works_here(self, id: StaffId) -> bool:
        """Whether somebody has an account that is in use."""
        account = await self._store.account(id)
        return account is not None and not account.disabled

    async def get(self, id: StaffId) -> Account:
        """Return an account.

        Raises:
            NotFound: there is none.
        """
        account = await self._store.account(id)
        if account is None:
            raise NotFound
        return account

    async def add(
        self,
        login: str,
        name: str,
        role: StaffRole,
        password: str,
        *,
        id: StaffId | None = None,
        language: str | None = None,
    ) -> Account:
        """Add a colleague; an empty password lets nobody in.

        Raises:
            BadValue: a login, name or password that cannot be used.
            LoginTaken: somebody else signs in under this name.
        """
        login = folded_login(_clean("login", login, MAX_LOGIN))
        if any(character.isspace() for character in login):
            raise BadValue("login", "no spaces")
        account = Account(
            id=id or secrets.token_hex(8),
            login=login,
            name=_clean("name", name, MAX_NAME),
            role=StaffRole(role).value,
            password=await hash_password(password) if password else "",
            language=language,
        )
        if len(await self._store.accounts()) >= MAX_ACCOUNTS:
            raise BadValue("staff", f"at most {MAX_ACCOUNTS} accounts")
        await self._store.save_account(account)
        return account

    async def change(
        self,
        id: StaffId,
        *,
        name: str | None = None,
        role: StaffRole | None = None,
        disabled: bool | None = None,
        password: str | None = None,
        language: str | None = None,
    ) -> Account:
        """Change what is given. A new password, a new role or being disabled ends every session of theirs.

        Raises:
            NotFound: there is no such account.
            NotAllowed: it is the last admin's, who must stay one.
            BadValue: as ``add``.
        """
        before = await self.get(id)
        after = msgspec.structs.replace(
            before,
            name=before.name if name is None else _clean("name", name, MAX_NAME),
            role=before.role if role is None else StaffRole(role).value,
            disabled=before.disabled if disabled is None else disabled,
            password=before.password if password is None else await hash_password(password),
            language=before.language if language is None else language,
        )
        if _is_admin(before) and not _is_admin(after):
            await self._need_another_admin(id)
        ends = (after.role, after.disabled, after.password) != (before.role, before.disabled, before.password)
        if ends:
            after = msgspec.structs.replace(after, generation=before.generation + 1)
        if after != before:
            await self._store.save_account(after)
        return after

    async def raise_generation(self, id: StaffId) -> Account:
        """End every session of this colleague.

        Raises:
            NotFound: there is no such account.
        """
        before = await self.get(id)
        after = msgspec.structs.replace(before, generation=before.generation + 1)
        await self._store.save_account(after)
        return after

    async def _need_another_admin(self, id: StaffId) -> None:
        if not any(_is_admin(other) for other in await self._store.accounts() if other.id != id):
            raise NotAllowed


def _is_admin(account: Account) -> bool:
    return account.role == StaffRole.ADMIN and not account.disabled
