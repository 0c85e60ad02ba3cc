"""`run.py templates check`: whether the clinic's WhatsApp templates are what the provider has approved.

Prints one line for each difference. Nothing is changed, here or there.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from channels.whatsapp.accounts import Account
from channels.whatsapp.template_listing import Difference, What
from channels.whatsapp.templates import Template
from server.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It can only compare."""
    parser.add_argument("what", choices=["check"], help="compare `templates.yaml` with each number's provider")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Compare; the result is 1 when some template cannot be sent as it is written."""
    from channels.whatsapp.template_file import TemplateFileError
    from knowledge_base.source import ContentError
    from server.whatsapp_house import DEMO_ACCOUNT, accounts_of, templates_of

    try:
        accounts = [account for account in accounts_of(settings) if account is not DEMO_ACCOUNT]
        templates = templates_of(settings)
    except (ContentError, TemplateFileError) as error:
        print(error, file=sys.stderr)
        return 1
    if not accounts:
        print("There is no WhatsApp number to compare with: docs/whatsapp.md says how to get one.", file=sys.stderr)
        return 1
    return max(asyncio.run(_check(account, list(templates.values()))) for account in accounts)


async def _check(account: Account, templates: Sequence[Template]) -> int:
    """Compare with the provider of one number."""
    from channels.whatsapp.template_client import CannotList, listed
    from channels.whatsapp.template_listing import compare
    from server.core.errors import Unavailable

    try:
        theirs = await listed(account)
    except (CannotList, Unavailable) as error:
        print(f"{account.id}: {error}", file=sys.stderr)
        return 1
    differences = compare(templates, theirs, account.provider)
    print(*(f"{account.id}: {line(each)}" for each in differences), sep="\n")
    wrong = sum(each.what.blocks for each in differences)
    print(
        f"{account.id}: {len(templates)} templates here, {len(theirs)} wordings there, {wrong} that cannot be sent so."
    )
    return 1 if wrong else 0


def line(difference: Difference) -> str:
    """Return a difference as a person reads it."""
    where = f"{difference.template} ({difference.language})"
    match difference.what:
        case What.MISSING:
            return f"{where}: the provider does not have it"
        case What.SPARE:
            return f"{where}: only the provider has it"
        case what:
            return f"{where}: {what} differs\n    here:  {difference.ours!r}\n    there: {difference.theirs!r}"
