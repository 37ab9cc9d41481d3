"""Every state that a protocol can come to, breadth first: the first law that breaks, with the shortest way to it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.protocol import successors, tidy
from tests.faults.state import ENDS, FALSE, GHOST, STUCK, Protocol, State, start


@dataclass(frozen=True, slots=True)
class Finding:
    """What an exploration came to: a broken law with the shortest way to it, or none after all states."""

    states: int
    wrong: str = ""
    way: tuple[str, ...] = ()


def broken(s: State) -> str:
    """The law that this state breaks, if any."""
    if s.wrong:
        return s.wrong
    if s.held or s.asking or any(w.phase != "idle" for w in s.workers[:2]):
        return ""
    if s.taken and s.row in ("failed", "suppressed"):
        return FALSE
    return GHOST if s.row == "accepted" and not s.taken else ""


def explore(how: Protocol, law: str = "") -> Finding:
    """Breadth first through every state, up to the first that breaks a law, or this one; then whether all can end."""
    first = start(how)
    names = {_same(first): 0}
    reached: list[tuple[State, int, str]] = [(first, -1, "")]
    back: list[list[int]] = [[]]
    for number, (s, _, _) in enumerate(reached):  # grows while it is read
        for what, after in successors(s, how):
            then = tidy(after, how)
            same = _same(then)
            known = names.get(same)
            if known is None:
                known = names[same] = len(reached)
                reached.append((then, number, what))
                back.append([])
                if (wrong := broken(then)) and law in ("", wrong):
                    return Finding(len(reached), wrong, _way(reached, known))
            back[known].append(number)
    stuck = _without_end(reached, back)
    return Finding(len(reached), STUCK, _way(reached, stuck)) if stuck is not None else Finding(len(reached))


def _same(s: State) -> tuple[object, ...]:
    """Workers have no names: which of two is which makes no difference, save to the inquiry of the first."""
    first, second, *dead = s.workers
    if not s.asking and second < first:
        first, second = second, first
    return s[: State._fields.index("workers")], first, second, *(sorted(dead) if len(dead) > 1 else dead), s.wrong


def _without_end(reached: list[tuple[State, int, str]], back: list[list[int]]) -> int | None:
    ahead = [n for n, (s, _, _) in enumerate(reached) if s.row in ENDS and not broken(s) and not s.held]
    good = set(ahead)
    while ahead:
        fresh = [n for n in back[ahead.pop()] if n not in good]
        good.update(fresh)
        ahead += fresh
    return next((n for n in range(len(reached)) if n not in good), None)


def _way(reached: list[tuple[State, int, str]], number: int) -> tuple[str, ...]:
    way = []
    while number > 0:
        _, number, what = reached[number]
        way.append(what)
    return tuple(reversed(way))
