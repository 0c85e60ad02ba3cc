"""Writes the secrets that compose.yaml wants, once: python3 deploy/prepare.py https://chat.your-clinic.example

What exists already is left alone: another password would lock everybody out of the data. Standard library only.
"""

import base64
import os
import secrets
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEMBERS = "mongo-1:27017,mongo-2:27017,mongo-3:27017"

PUBLIC = """\
# No secret: Onethread and the proxy are told this.
ONETHREAD_PUBLIC_URL={public_url}
"""
ONETHREAD = """\
# What Onethread is told. docs/settings.md has every variable; whatever is added here reaches every process.
ONETHREAD_SECRET={secret}
ONETHREAD_MONGODB_URI=mongodb://onethread:{password}@{members}/?replicaSet=onethread&authSource=admin
ONETHREAD_REDIS_URL=redis://:{bus_password}@valkey:6379/0
"""
MONGO = """\
# For whoever administers the database; Onethread never sees it.
MONGO_ROOT_PASSWORD={root_password}
"""
VALKEY = """\
# For Valkey alone; ONETHREAD_REDIS_URL has the same.
VALKEY_PASSWORD={bus_password}
"""


def write(public_url: str, folder: Path = HERE) -> list[Path]:
    """Write what is missing in ``folder``, readable by its owner alone; return what was written."""
    bus_password = secrets.token_urlsafe(24)
    texts = {
        "public.env": PUBLIC.format(public_url=public_url),
        "onethread.env": ONETHREAD.format(
            secret=secrets.token_urlsafe(48),
            password=secrets.token_urlsafe(24),
            members=MEMBERS,
            bus_password=bus_password,
        ),
        "mongo.env": MONGO.format(root_password=secrets.token_urlsafe(24)),
        "mongo.key": base64.b64encode(secrets.token_bytes(96)).decode() + "\n",
        "valkey.env": VALKEY.format(bus_password=bus_password),
    }
    existing = [name for name in texts if (folder / name).exists()]
    if existing:
        return []
    for name, text in texts.items():
        number = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
    return [folder / name for name in texts]


def main(arguments: list[str]) -> int:
    """Write them; the result is the exit code."""
    if len(arguments) != 1 or not arguments[0].startswith("https://"):
        print(__doc__, file=sys.stderr)
        return 2
    written = write(arguments[0])
    if not written:
        print(f"There are secrets in {HERE.name}/ already; nothing was changed.", file=sys.stderr)
        return 1
    print(*(f"Wrote {path.parent.name}/{path.name}" for path in written), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
