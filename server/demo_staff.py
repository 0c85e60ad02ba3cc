"""The demo clinic's colleagues. They have no passwords: a one-time link signs them in, on this machine alone."""

from dataclasses import dataclass

import msgspec

from server.core.errors import OnethreadError
from server.core.identity import StaffRole
from server.core.ports import Account, Store

ADMIN, RECEPTION, CLINICIAN = "demo-admin", "demo-reception", "demo-clinician"


@dataclass(frozen=True, slots=True)
class Colleague:
    """One of them."""

    id: str
    login: str
    name: str
    role: StaffRole


COLLEAGUES = (
    Colleague(ADMIN, "alex", "Alex Rivera", StaffRole.ADMIN),
    Colleague(RECEPTION, "sofie", "Sofie Berg", StaffRole.RECEPTION),
    Colleague(CLINICIAN, "weber", "Dr. Weber", StaffRole.CLINICIAN),
)


class NotTheDemos(OnethreadError):
    """These conversations are a clinic's: the demo, where anybody signs in, does not begin on them."""

    code = "not_the_demos"

    def __init__(self) -> None:
        super().__init__(
            "This database is a clinic's, and `clinic.yaml` is not in ONETHREAD_DATA: put it back, from a backup for"
            " instance. For the demo, set ONETHREAD_DATA to another folder."
        )


async def let_in(store: Store, *, anyway: bool = False) -> None:
    """See to it that they are there; ``anyway``: also where the store is a clinic's, which asked for them.

    Raises:
        NotTheDemos: it is a clinic's.
        Unavailable: the store is away.
    """
    if not anyway and await _is_a_clinics(store):
        raise NotTheDemos
    for each in COLLEAGUES:
        known = await store.account(each.id)
        if known is None:
            if await store.account_by_login(each.login) is None:
                await store.save_account(Account(each.id, each.login, each.name, each.role, ""))
        elif known.disabled:
            await store.save_account(msgspec.structs.replace(known, disabled=False))


async def _is_a_clinics(store: Store) -> bool:
    """Whether people have written to others than the demo's colleagues: those are not there, or were sent away."""
    ours = {each.id for each in COLLEAGUES}
    working = {each.id for each in await store.accounts() if not each.disabled}
    return bool(working - ours) and not working & ours and bool(await store.each_thread(limit=1))


async def send_away(store: Store) -> None:
    """See to it that nobody is signed in as one of them: this store no longer serves a demo.

    Raises:
        Unavailable: the store is away.
    """
    for each in COLLEAGUES:
        known = await store.account(each.id)
        if known is not None and not known.disabled:
            raised = known.generation + 1
            await store.save_account(msgspec.structs.replace(known, disabled=True, generation=raised))
