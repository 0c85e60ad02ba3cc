"""How many bytes and frames one connection may send: so much at once, and after that so much a second."""

BURST_SECONDS = 4.0  # of frames at once: a console that comes back asks for every open thread again


class Budget:
    """What one connection has left. Full buckets, emptied by frames, filled by time."""

    __slots__ = ("_at", "_bytes", "_frames")

    def __init__(self, allowed: "Allowed", now: float) -> None:
        self._bytes, self._frames, self._at = allowed.bytes, allowed.frames, now

    def spend(self, size: int, allowed: "Allowed", now: float) -> float:
        """Take one frame of ``size`` bytes; return 0.0, or the seconds after which it would have fitted."""
        passed = now - self._at
        self._at = now
        self._bytes = min(allowed.bytes, self._bytes + passed * allowed.bytes_per_second) - size
        self._frames = min(allowed.frames, self._frames + passed * allowed.frames_per_second) - 1.0
        if self._bytes >= 0.0 and self._frames >= 0.0:
            return 0.0
        return max(-self._bytes / allowed.bytes_per_second, -self._frames / allowed.frames_per_second)


class Allowed:
    """What every connection of this process may send."""

    __slots__ = ("bytes", "bytes_per_second", "frames", "frames_per_second")

    def __init__(self, bytes: float, bytes_per_second: float, frames_per_second: float) -> None:
        self.bytes, self.bytes_per_second = float(bytes), float(bytes_per_second)
        self.frames, self.frames_per_second = frames_per_second * BURST_SECONDS, float(frames_per_second)
