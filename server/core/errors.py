"""Errors, grouped by who can act on them.

``Refused`` is for the caller, who must not try again as it is. ``Unavailable`` is ours: the same again, later.
``Conflict`` never leaves the service, which catches up and decides again. ``code`` is for programs, the sentence for
people; neither carries what anybody wrote, nor a number of theirs.
"""


class OnethreadError(Exception):
    """The root of everything we raise on purpose."""

    code = "error"


class Refused(OnethreadError):
    """The caller asked for something that will never succeed as it is."""

    code = "refused"


class Unavailable(OnethreadError):
    """We cannot do it now; the same request may succeed in ``retry_ms`` milliseconds."""

    code = "unavailable"

    def __init__(self, sentence: str = "We cannot do this at the moment.", retry_ms: int = 1000) -> None:
        super().__init__(sentence)
        self.retry_ms = retry_ms


class RateLimited(Unavailable):
    """Too much at once from here; nothing was done."""

    code = "rate_limited"


class MessageTooLong(Refused):
    code = "message_too_long"

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"The message has {length} characters; at most {limit} fit.")
        self.length, self.limit = length, limit


class MessageEmpty(Refused):
    code = "message_empty"

    def __init__(self) -> None:
        super().__init__("The message has no words in it.")


class ConsentNeeded(Refused):
    code = "consent_needed"

    def __init__(self, version: str) -> None:
        super().__init__("Please agree to the privacy notice first.")
        self.version = version


class NotYourFloor(Refused):
    code = "not_your_floor"

    def __init__(self) -> None:
        super().__init__("The assistant may not speak while staff have the floor.")


class FloorTaken(Refused):
    code = "floor_taken"

    def __init__(self, holder: str) -> None:
        super().__init__("A colleague has this conversation.")
        self.holder = holder


class FloorMoved(Refused):
    code = "floor_moved"

    def __init__(self) -> None:
        super().__init__("Somebody else has taken this conversation in the meantime.")


class ColleagueReplied(Refused):
    code = "colleague_replied"

    def __init__(self) -> None:
        super().__init__("A colleague has just replied.")


class KeyConflict(Refused):
    code = "key_conflict"

    def __init__(self) -> None:
        super().__init__("This key was used before with other content.")


class BadKey(Refused):
    code = "bad_key"

    def __init__(self) -> None:
        super().__init__("A key must be a UUID.")


class BadValue(Refused):
    code = "bad_value"

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}.")
        self.field = field


class NotAllowed(Refused):
    code = "not_allowed"

    def __init__(self) -> None:
        super().__init__("This is not allowed for you.")


class NotFound(Refused):
    code = "not_found"

    def __init__(self) -> None:
        super().__init__("There is no such thing, or it is not yours to see.")


class Moved(Refused):
    """The conversation goes on in another thread."""

    code = "moved"

    def __init__(self, to: str) -> None:
        super().__init__("This conversation goes on in another thread.")
        self.to = to


class OnlyByPhone(Refused):
    """The person can be met in a call alone, and there is none: a call-back is what can be offered."""

    code = "only_by_phone"

    def __init__(self) -> None:
        super().__init__("This person can only be reached by phone, and is not on the line.")


class NoCall(Refused):
    code = "no_call"

    def __init__(self) -> None:
        super().__init__("There is no call under way.")


class CannotMove(Refused):
    code = "cannot_move"

    def __init__(self, sentence: str = "These conversations cannot be put together or taken apart like this.") -> None:
        super().__init__(sentence)


class LeaseLost(OnethreadError):
    """Somebody else works this lane now: stop, and change nothing."""

    code = "lease_lost"

    def __init__(self) -> None:
        super().__init__("The lease on this work has gone to another worker.")


class LoginTaken(Refused):
    code = "login_taken"

    def __init__(self) -> None:
        super().__init__("Somebody else signs in under this name.")
