"""Which triggers brought a change of a record about: the CRM's answers to our commands, led back to their actions."""

from __future__ import annotations

from collections.abc import Sequence

from control_center.store.db import Connection
from control_center.store.records import Key

OF_COMMANDS = """
SELECT asked.studio_id, asked.kind, asked.record_id, actions.chain, actions.trigger_id
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS asked (studio_id, kind, record_id, command_id)
 CROSS JOIN LATERAL (
       SELECT data FROM commands
        WHERE commands.studio_id = asked.studio_id AND commands.command_id = asked.command_id OFFSET 0) AS commands
 CROSS JOIN LATERAL (
       SELECT chain, trigger_id FROM actions
        WHERE actions.studio_id = asked.studio_id
          AND actions.action_id = substr(commands.data::json #>> '{cause,action}', 3)::bigint OFFSET 0) AS actions"""


async def of_commands(tx: Connection, asked: Sequence[tuple[Key, str]]) -> dict[Key, tuple[int, ...]]:
    """For records whose change names the command it answers: the triggers up to the one that gave the command."""
    rows = await tx.fetch(OF_COMMANDS, *_columns([key for key, _ in asked]), [command for _, command in asked])
    return {(row[0], row[1], row[2]): (*map(int, row[3].split()), row[4]) for row in rows}


# The CRM may not say what it answers: then the change to a status that we asked for within ten minutes is the answer.
# They count from when the command was out: it may have waited for the broker.
OF_STATUSES = """
SELECT asked.studio_id, asked.kind, asked.record_id, actions.chain, actions.trigger_id
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS asked (studio_id, kind, record_id, status)
 CROSS JOIN LATERAL (
       SELECT data FROM commands
        WHERE commands.studio_id = asked.studio_id AND commands.subject = asked.kind || '/' || asked.record_id
          AND commands.verb = 'change_status'
          AND coalesce(commands.published_at, commands.created_at) > clock_timestamp() - interval '10 minutes'
          AND commands.data::json ->> 'status' = asked.status
        ORDER BY sequence DESC LIMIT 1) AS commands
 CROSS JOIN LATERAL (
       SELECT chain, trigger_id FROM actions
        WHERE actions.studio_id = asked.studio_id
          AND actions.action_id = substr(commands.data::json #>> '{cause,action}', 3)::bigint OFFSET 0) AS actions"""


async def of_statuses(tx: Connection, asked: Sequence[tuple[Key, str]]) -> dict[Key, tuple[int, ...]]:
    """For records that entered a status, where one of our commands asked for it lately: the triggers up to that one."""
    rows = await tx.fetch(OF_STATUSES, *_columns([key for key, _ in asked]), [status for _, status in asked])
    return {(row[0], row[1], row[2]): (*map(int, row[3].split()), row[4]) for row in rows}


def _columns(keys: Sequence[Key]) -> tuple[list[str], list[str], list[str]]:
    return [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]
