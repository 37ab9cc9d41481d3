"""A studio that limits what its texts of a day may cost, and has spent it."""

from __future__ import annotations

from datetime import date
from typing import Final

from control_center.store import db
from tests.support.rows import a_message

LIMITED: Final = """
UPDATE studios SET revision = revision + 1, settings = (settings::jsonb
       || '{"plan": {"price_per_segment": "0.01", "currency": "USD"}}'
       || '{"sms": {"numbers": ["+13125550100"], "limits": {"money_per_day": "0.10"}}}')::text
 WHERE studio_id = $1"""
SPENT: Final = """
INSERT INTO spending (studio_id, day, spent, full_at, held_since, reason)
VALUES ($1, $2, 0.1, 0.1, now(), 'money: 0.10 of this day''s 0.10 USD are spent, and the next text costs 0.01')"""


async def a_spent_day(pool: db.Pool, day: date, studio: str = "main", *, address: str = "+13125550144") -> None:
    """It has a text that waits because of that."""
    await pool.execute(LIMITED, studio)
    await pool.execute(SPENT, studio, day)
    await a_message(pool, studio=studio, origin="person", state="held", reason="money: spent", address=address)
