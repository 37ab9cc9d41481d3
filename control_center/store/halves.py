"""The two halves in which messages are indexed by address, record and client: what waits, and what is gone.

A message changes its state five times and more, and with each change it is entered anew in every index that it is in.
Among a year of messages each entry is a page somewhere else, to be read, changed and written. What waits is little
beside that, and its pages are at hand: so while a message is claimed, put back and claimed again, only the small half
knows. Whatever reads by one of these keys says which half it means, or reads from both.
"""

from __future__ import annotations

from typing import Final

# As the indexes in schema.sql say it: another wording of the same would not find them. A table in front serves as a
# prefix of what is gone: `messages.{GONE}`.
# Waiting is put as no guard of an update puts it: its index looks empty to the planner, and would be walked for each.
WAITS: Final = "(state IN ('queued', 'held', 'claimed')) IS TRUE"
GONE: Final = "state NOT IN ('queued', 'held', 'claimed')"

# In place of the table, where one of these keys is asked for: each half is read along its own index, in its order.
BOTH: Final = f"(SELECT * FROM messages WHERE {WAITS} UNION ALL SELECT * FROM messages WHERE {GONE})"
# … and where a statement that is planned for what is asked may ask for something else: always true.
EITHER: Final = f"({WAITS} OR {GONE})"
