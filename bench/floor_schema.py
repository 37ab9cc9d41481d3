"""The tables of the floors: what the plainest job queue with deduplication would have."""

from __future__ import annotations

import asyncpg

SCHEMA = """
CREATE TABLE inbox (id text NOT NULL PRIMARY KEY, body text NOT NULL, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE jobs (
    id     bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state  text        NOT NULL DEFAULT 'waiting',
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    body   text        NOT NULL);
CREATE INDEX jobs_due ON jobs (due_at, id) WHERE state = 'waiting';
CREATE TABLE outgoing (
    id     bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job    bigint      NOT NULL UNIQUE,
    state  text        NOT NULL DEFAULT 'waiting',
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    body   text        NOT NULL);
CREATE INDEX outgoing_due ON outgoing (due_at, id) WHERE state = 'waiting';
ALTER TABLE jobs SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);"""

CLAIM = """
WITH due AS MATERIALIZED (
     SELECT id FROM jobs WHERE state = 'waiting' AND due_at <= statement_timestamp()
      ORDER BY due_at, id LIMIT 100 FOR UPDATE SKIP LOCKED)
UPDATE jobs SET state = 'claimed' FROM due WHERE jobs.id = due.id RETURNING jobs.id, body"""

DONE = "UPDATE jobs SET state = 'done' WHERE id = ANY ($1::bigint[])"

WAKE = "floor_wake"


async def nothing(_connection: asyncpg.Connection) -> None:
    """An empty database."""


async def waiting(connection: asyncpg.Connection, count: int, body: str) -> None:
    """So many jobs, all due."""
    await connection.execute("INSERT INTO jobs (body) SELECT $2 FROM generate_series(1, $1)", count, body)
