"""Which colleagues look at which thread, here and in other processes. Ephemeral: a process that dies is forgotten."""

from collections.abc import Iterable

from server.core.model import StaffId, ThreadId
from server.live.protocol import Present

AWAY = 75.0  # seconds after which another process that says nothing more is forgotten; they speak every 30


class _Here:
    """A colleague in this process: how many lines, and whether typing."""

    __slots__ = ("lines", "name", "typing")

    def __init__(self, name: str) -> None:
        self.name, self.lines, self.typing = name, 0, False


class Presence:
    """Who is there."""

    def __init__(self) -> None:
        self._here: dict[ThreadId, dict[StaffId, _Here]] = {}
        self._away: dict[tuple[str, ThreadId], tuple[float, tuple[Present, ...]]] = {}
        self._places: dict[ThreadId, set[tuple[str, ThreadId]]] = {}

    def enter(self, thread: ThreadId, id: StaffId, name: str) -> bool:
        """Note a line of a colleague; return whether that changes who is seen from here."""
        there = self._here.setdefault(thread, {})
        known = there.get(id)
        if known is None:
            known = there[id] = _Here(name)
        known.lines += 1
        return known.lines == 1

    def leave(self, thread: ThreadId, id: StaffId) -> bool:
        """Note that such a line has ended; return whether that changes who is seen from here."""
        there = self._here.get(thread, {})
        known = there.get(id)
        if known is None:
            return False
        known.lines -= 1
        if known.lines:
            return False
        del there[id]
        if not there:
            del self._here[thread]
        return True

    def typing(self, thread: ThreadId, id: StaffId, on: bool) -> None:
        """Note that a colleague here types, or has stopped."""
        known = self._here.get(thread, {}).get(id)
        if known is not None:
            known.typing = on

    def here(self, thread: ThreadId) -> tuple[Present, ...]:
        """Return who looks at this thread in this process."""
        return tuple(Present(id, each.name, each.typing) for id, each in self._here.get(thread, {}).items())

    def threads(self) -> list[ThreadId]:
        """Return the threads that somebody in this process looks at."""
        return list(self._here)

    def heard(self, process: str, thread: ThreadId, staff: Iterable[Present], now: float) -> bool:
        """Note who looks at this thread in another process; return whether that is news."""
        place, there = (process, thread), tuple(staff)
        before = self._away.pop(place, (0.0, ()))[1]
        if there:
            self._away[place] = (now, there)
            self._places.setdefault(thread, set()).add(place)
        else:
            self._forget(place)
        return before != there

    def expire(self, now: float) -> set[ThreadId]:
        """Forget processes that have been silent for too long; return the threads for which that is news."""
        silent = [place for place, (at, _) in self._away.items() if at < now - AWAY]
        for place in silent:
            del self._away[place]
            self._forget(place)
        return {thread for _, thread in silent}

    def of(self, thread: ThreadId) -> list[Present]:
        """Return who looks at this thread, each once, in the order of their names."""
        seen: dict[StaffId, Present] = {}
        away = (self._away[place][1] for place in self._places.get(thread, ()))
        for each in (self.here(thread), *away):
            for present in each:
                known = seen.get(present.id)
                typing = present.typing or (known is not None and known.typing)
                seen[present.id] = Present(present.id, present.name, typing)
        return sorted(seen.values(), key=lambda present: (present.name, present.id))

    def _forget(self, place: tuple[str, ThreadId]) -> None:
        places = self._places.get(place[1])
        if places is not None:
            places.discard(place)
            if not places:
                del self._places[place[1]]
