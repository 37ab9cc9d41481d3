"""Texts that wait for something that their studio has to have first: a plan with room, or money for the day."""

from __future__ import annotations


def studios_holding(why: str) -> str:
    """The statement for the studios that have texts waiting for a reason that begins so.

    Studio by studio along the index of what is held for that reason, however much that is; there has to be one.
    """
    return f"""
WITH RECURSIVE holding AS (
     (SELECT studio_id FROM messages WHERE state = 'held' AND starts_with(reason, '{why}')
       ORDER BY studio_id LIMIT 1)
      UNION ALL
     SELECT (SELECT messages.studio_id FROM messages
              WHERE state = 'held' AND starts_with(reason, '{why}') AND messages.studio_id > holding.studio_id
              ORDER BY messages.studio_id LIMIT 1)
       FROM holding WHERE holding.studio_id IS NOT NULL)
SELECT studio_id FROM holding WHERE studio_id IS NOT NULL"""
