"""The one door to Onethread at a terminal: ``python3 run.py`` serves, ``python3 run.py --help`` says what else it does.

It needs nothing but Python on the machine; what Onethread itself needs goes into `.venv` on the first run. This file
can be read by Pythons too old for the rest, which are told so: hence no newer syntax and no import of ours before that.
"""

import shutil
import sys

OLDEST = (3, 11)


def too_old() -> str:
    """One line for somebody whose `python3` is too old, with a newer one's name if the machine has it."""
    newer = [name for name in (f"python3.{minor}" for minor in range(OLDEST[1], 20)) if shutil.which(name)]
    advice = f"try `{newer[-1]} run.py`" if newer else "install a newer one"
    this, oldest = (".".join(map(str, version)) for version in (sys.version_info[:2], OLDEST))
    return f"Onethread needs Python {oldest} or newer and this is {this}: {advice}."


if __name__ == "__main__":
    if sys.version_info[:2] < OLDEST:
        sys.exit(too_old())
    from server.command_line.environment import main

    sys.exit(main(sys.argv[1:]))
