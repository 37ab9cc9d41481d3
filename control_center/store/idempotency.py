"""Answers to requests that create something, so that a repeat gets the same answer instead of a second thing."""

from __future__ import annotations

from dataclasses import dataclass

from control_center.store.db import Connection

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1 || chr(31) || $2, 0))"


async def lock(tx: Connection, studio: str, key: str) -> None:
    """Make whoever else uses this key wait until this transaction ends."""
    await tx.execute(LOCK, studio, key)


@dataclass(frozen=True, slots=True)
class Answered:
    digest: str
    answer: str


ANSWERED = "SELECT digest, answer FROM idempotency_keys WHERE studio_id = $1 AND key = $2"


async def answered(tx: Connection, studio: str, key: str) -> Answered | None:
    """What this key was answered with, and the digest of the request then."""
    row = await tx.fetchrow(ANSWERED, studio, key)
    return row and Answered(*row)


REMEMBER_ANSWER = """
INSERT INTO idempotency_keys (studio_id, key, digest, answer) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"""


async def remember(tx: Connection, studio: str, key: str, answer: Answered) -> None:
    await tx.execute(REMEMBER_ANSWER, studio, key, answer.digest, answer.answer)
