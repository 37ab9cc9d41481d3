"""Bounds how many calls are worked on at once, so that a flood waits outside and not in our memory."""

from __future__ import annotations

from http import HTTPStatus

from control_center.web.problems import Problem


class Turnstile:
    """Lets so many in at once; whoever is one too many is told to come again."""

    def __init__(self, most: int, words: str) -> None:
        self._most = most
        self._words = words
        self._inside = 0

    def __enter__(self) -> None:
        if self._inside >= self._most:
            detail = f"{self._words}; come again in a second"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "1", "Connection": "close"})
        self._inside += 1

    def __exit__(self, *_: object) -> None:
        self._inside -= 1
