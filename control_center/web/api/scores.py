"""How likely a studio's clients are to recommend it, over HTTP."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
from pydantic import Field, field_validator

from control_center.domain.net_promoter import Promoters
from control_center.engine import net_promoter
from control_center.engine.net_promoter import Line
from control_center.web.api import ids
from control_center.web.api.routes import Answer, Call, Route, StudioQuery

_Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", json_schema_extra={"format": "date"})]


class ScoresQuery(StudioQuery):
    """The days are the first and the last that are meant, on the studio's calendar; by default a year up to today."""

    since: _Day | None = None
    until: _Day | None = None
    trigger: ids.Name | None = None

    @field_validator("since", "until")
    @classmethod
    def _is_a_day(cls, typed: str | None) -> str | None:
        if typed is not None:
            date.fromisoformat(typed)
        return typed


class Counted(msgspec.Struct, frozen=True):
    """So many answers: from 9 promoters, from 7 passives, below detractors.

    `score` is the per cent of promoters less that of detractors; null where nobody answered.
    """

    responses: int
    promoters: int
    passives: int
    detractors: int
    score: float | None


class OfMonth(Counted, frozen=True, kw_only=True):
    month: str


class AskedBy(Counted, frozen=True, kw_only=True):
    """`asked_by` is the name of a trigger; `person` or `bulk` where a link in such a message asked."""

    asked_by: str


class Scores(msgspec.Struct, frozen=True):
    """What was answered to our questions between two days; the months oldest first."""

    since: date
    until: date
    total: Counted
    months: list[OfMonth]
    asked_by: list[AskedBy]


async def _get(call: Call[ScoresQuery, None]) -> Answer:
    query = call.query
    found = await net_promoter.report(
        call.parts.pool,
        call.parts.clock(),
        call.studio,
        since=_day(query.since),
        until=_day(query.until),
        trigger=query.trigger,
    )
    return Answer(
        Scores(
            found.since,
            found.until,
            Counted(*_counts(found.total)),
            [OfMonth(*_of(one), month=one.name) for one in found.months],
            [AskedBy(*_of(one), asked_by=one.name) for one in found.asked_by],
        )
    )


def _day(typed: str | None) -> date | None:
    return None if typed is None else date.fromisoformat(typed)


def _of(line: Line) -> tuple[int, int, int, int, float | None]:
    return _counts(line.counted)


def _counts(found: Promoters) -> tuple[int, int, int, int, float | None]:
    return found.responses, found.promoters, found.passives, found.detractors, found.score


ROUTES = [
    Route(
        "GET",
        "/scores",
        "get_scores",
        "The net promoter score: of the studio, by month, and by the trigger that asked",
        "viewer",
        _get,
        Scores,
        query=ScoresQuery,
    ),
]
