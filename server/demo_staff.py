"""The demo clinic's colleagues. They have no passwords: a one-time link signs them in, on this machine alone."""

from dataclasses import dataclass

import msgspec

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


async def let_in(store: Store) -> None:
    """See to it that they are there.

    Raises:
        Unavailable: the store is away.
    """
    for each in COLLEAGUES:
        known = await store.account(each.id)
        if known is None:
            if await store.account_by_login(each.login) is None:
                await store.save_account(Account(each.id, each.login, each.name, each.role, ""))
        elif known.disabled:
            await store.save_account(msgspec.structs.replace(known, disabled=False))


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
