"""Whether a database is still the one that was written to: a failover or a restore forgets what was sent last."""

from __future__ import annotations

from dataclasses import dataclass

HELD = "fence:"  # how the reason begins of whatever may have gone out in a time that the database has forgotten
MAY_HAVE_GONE = f"{HELD} it was due before the database lost its newest rows, and may have gone out"


# Of a list that was to begin later: it has not gone, but may have been ended.
MAY_HAVE_ENDED = f"{HELD} it waited when the database lost its newest rows, and may have been ended since"


@dataclass(frozen=True, slots=True)
class Home:
    """The database that sending was armed on: its cluster's number, its timeline, and how often a person armed it."""

    cluster: int
    timeline: str  # eight hexadecimal digits; each promotion and each recovery to a point in time begins a new one
    arming: int


@dataclass(frozen=True, slots=True)
class Sight:
    """A database as a process has seen it: where it was, what it said its home was, and how far it was on disk."""

    cluster: int
    timeline: str
    position: int  # bytes of its log that were durable
    arming: int
    beats: int  # how often somebody had found all well


def doubt(home: Home, now: Sight, seen: Sight | None) -> str | None:
    """Why the database may have forgotten what was sent; None where it has not.

    `home` is what the database says of itself, `now` where it is, `seen` what this host remembers of it. What a person
    armed since this host looked is not questioned again.
    """
    if now.cluster != home.cluster:
        return "this is a copy of another database"
    if now.timeline != home.timeline:
        timelines = f"its timeline is {int(now.timeline, 16)}, and was {int(home.timeline, 16)}"
        return f"the database failed over or was recovered: {timelines}"
    if seen is None or home.arming > seen.arming:
        return None
    if seen.cluster != now.cluster:
        return "this host has worked with another database"
    behind = now.beats < seen.beats or now.position < seen.position
    if home.arming < seen.arming or seen.timeline > now.timeline or behind:
        return "the database was put back to an earlier state than this host has seen"
    return None
