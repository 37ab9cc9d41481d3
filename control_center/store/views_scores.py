"""The scores that clients gave in answer to our questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from control_center.store.db import Connection


@dataclass(frozen=True, slots=True)
class Given:
    """So many gave this score in one span of time, asked by what this is: a trigger by its name, else the origin."""

    span: int
    asked_by: str
    trigger: bool
    score: int
    times: int


# Spans come as instants: where a month of the studio begins is not for the server's own time zones to say.
GIVEN = """
SELECT span, coalesce(triggers.name, 'trigger ' || messages.trigger_id, origin), messages.trigger_id IS NOT NULL,
       split_part(answers.words, ' ', 1)::integer, count(*)
  FROM unnest($2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY AS spans (since, until, span)
  JOIN answers ON answers.studio_id = $1 AND answers.at >= since AND answers.at < until
  JOIN messages ON messages.studio_id = answers.studio_id AND messages.message_id = answers.message_id
  LEFT JOIN triggers ON triggers.studio_id = messages.studio_id AND triggers.trigger_id = messages.trigger_id
 WHERE answers.meaning = 'scored'
 GROUP BY 1, 2, 3, 4"""


async def given(tx: Connection, studio: str, spans: Sequence[tuple[datetime, datetime]]) -> list[Given]:
    """The scores of each of these spans, which are numbered from 0."""
    rows = await tx.fetch(GIVEN, studio, [since for since, _ in spans], [until for _, until in spans])
    return [Given(row[0] - 1, *row[1:]) for row in rows]
