"""Loaded by schemathesis in its own process: whose requests these are, and ids of things that really exist.

What it thinks of by itself never meets a conversation or a colleague, and a colleague who signs out is soon nobody.
So a request that is meant to be right gets a real id, and what would end its sender's own way in is asked with a
way in that is thrown away.
"""

import json
import os
from pathlib import Path
from typing import Any

import schemathesis

WHO: dict[str, Any] = json.loads(Path(os.environ["ONETHREAD_PROOF_WHO"]).read_text())


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Put in what exists."""
    asked = f"{case.method.upper()} {case.operation.path}"
    if case.meta is not None and case.meta.generation.mode.is_positive and case.path_parameters:
        case.path_parameters.update(
            {name: value for name, value in WHO["ids"].get(asked, {}).items() if name in case.path_parameters}
        )
    thrown_away = WHO["thrown_away"].get(asked)
    if thrown_away:
        case.headers.update(thrown_away.pop() if len(thrown_away) > 1 else thrown_away[0])
    else:
        case.headers.update(WHO["headers"])
