"""What must not have happened in a soak, beside what every history is checked for.

`twice` asks nobody but the far side: what a text or a subject begins with, up to its colon, is one thing to say.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from tests.soak.stage import Stage
from tests.soak.stream import Diary

SUBJECT: Final = re.compile(rb"^Subject: ([^:\r\n]+):", re.MULTILINE)
MAIL: Final = "mail "
TAGS: Final = ("Booked", "Remind", "Moved", "Confirm", "Score", "Offer", "Prices")
ALWAYS: Final = ("Booked", "Mailed")  # the triggers that nothing but their own record stops
ON_OPEN_DAYS: Final = ["Remind", "Confirm"]
WHAT_CAME: Final = """
SELECT actions.record_id, triggers.name, actions.state AS action, actions.reason AS action_reason, messages.state,
       messages.reason, messages.address,
       EXISTS (SELECT FROM attempts WHERE attempts.studio_id = messages.studio_id
                  AND attempts.message_id = messages.message_id AND outcome = 'refused') AS refused
  FROM actions JOIN triggers USING (studio_id, trigger_id) LEFT JOIN messages USING (studio_id, action_id)
 WHERE triggers.name = ANY ($1)"""
SENT_TO: Final = """
SELECT key, address, started_at FROM attempts JOIN messages USING (studio_id, message_id)
 WHERE origin IN ('trigger', 'bulk') AND channel = 'sms' AND address = ANY ($1)"""
SENT_BETWEEN: Final = """
SELECT key FROM attempts JOIN messages USING (studio_id, message_id)
  JOIN triggers ON triggers.studio_id = messages.studio_id AND triggers.trigger_id = messages.trigger_id
 WHERE triggers.name = ANY ($1) AND started_at > $2 AND started_at < $3"""
DEAD: Final = "SELECT address FROM messages WHERE state = 'failed' AND channel = 'sms'"

REACHED: Final = frozenset({"delivered", "accepted", "undelivered", "unknown"})


def twice(stage: Stage) -> list[str]:
    """What one address was told more than once."""
    texts = [(str(one["to"]), str(one["text"]).partition(":")[0]) for one in stage.provider.accepted]
    mails = [(" ".join(one.recipients), _subject(one.content)) for one in stage.relay.accepted]
    times = Counter((to, what) for to, what in [*texts, *mails] if what.startswith((*TAGS, MAIL)))
    return [f"{number} times to {to}: {what}" for (to, what), number in times.items() if number > 1]


def _subject(content: bytes) -> str:
    found = SUBJECT.search(content)
    return f"{MAIL}{found[1].decode()}" if found else ""


async def silent(stage: Stage, diary: Diary) -> list[str]:
    """Sessions that were booked and stayed so, and nobody wrote to their client, for no reason of the client's."""
    told = {json.loads(body)["id"] for body in stage.crm.said}
    came: dict[tuple[str, str], Any] = {
        (row["record_id"], row["name"]): row for row in await stage.sql(WHAT_CAME, ALWAYS)
    }
    unreachable = {row[0] for row in await stage.sql(DEAD)} | set(stage.provider.stopped)
    booked = [one.name for one in diary.sessions if not one.ever_left and f"{one.name}-1" in told]
    return [
        f"{name} of {record}: {_words(row)}"
        for record in booked
        for name in ALWAYS
        if not _accounted_for(row := came.get((record, name)), unreachable)
    ]


def _accounted_for(row: Any, unreachable: set[str]) -> bool:
    if row is None or row["state"] is None:
        return False
    return row["state"] in REACHED or bool(row["refused"]) or row["address"] in unreachable


def _words(row: Any) -> str:
    if row is None:
        return "there is no action"
    if row["state"] is None:
        return f"its action is {row['action']}: {row['action_reason']}"
    return f"its message is {row['state']}: {row['reason']}"


async def after_stop(stage: Stage) -> list[str]:
    """Attempts that began after the STOP of their address had been answered."""
    stopped = stage.provider.stopped
    return [
        f"{row['key']} at {row['started_at']:%H:%M:%S.%f}, after the STOP of {stopped[row['address']]:%H:%M:%S.%f}"
        for row in await stage.sql(SENT_TO, list(stopped))
        if row["started_at"] > stopped[row["address"]]
    ]


async def on_closed_days(stage: Stage) -> list[str]:
    """Attempts that began while the day was closed for certain."""
    return [
        f"{row['key']} between {begins:%H:%M:%S} and {ends:%H:%M:%S}"
        for begins, ends in stage.desk.closed
        for row in await stage.sql(SENT_BETWEEN, ON_OPEN_DAYS, begins, ends)
    ]


def said_of_itself(stage: Stage) -> Iterator[str]:
    """What programs had to say that only a fault of theirs makes them say."""
    yield from (f"{number} times {words}" for words, number in stage.complaints.most_common())
