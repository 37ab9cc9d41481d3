"""What is wrong with a resource, told by the names of its own fields and not by the place that a file would have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from control_center.domain.errors import Malformed
from control_center.engine.trigger_files import Mistakes
from control_center.web.problems import Error, Problem, wrong


@contextmanager
def of(*places: str) -> Iterator[None]:
    """Within this, what is found wrong at `PLACE, field` is answered as `field`, every field of several."""
    try:
        yield
    except Mistakes as mistakes:
        errors = [Error(_plain(one.field, places), one.reason) for one in mistakes.all][:20]
        first = errors[0]
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{first.field}: {first.reason}", errors=errors) from None
    except Malformed as error:
        raise wrong(_plain(error.field, places), error.reason) from None


def _plain(field: str, places: Sequence[str]) -> str:
    for start in (f"{place}{sign}" for place in places for sign in (", ", ".")):
        if field.startswith(start):
            return field.removeprefix(start)
    return field
