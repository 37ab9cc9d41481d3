"""What a client has left in each table, emptied; keys, versions, states, times and counts stay.

docs/explanation/personal-data.md goes through all tables, also those that nothing is done to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from control_center.store.db import Connection
from control_center.store.fences import KEPT
from control_center.store.halves import BOTH
from control_center.store.records import Key

RECORDS = """
SELECT kind, record_id FROM records WHERE studio_id = $1 AND client_id = $2
 UNION
SELECT kind, record_id FROM records WHERE studio_id = $1 AND kind = 'client' AND record_id = $2"""


async def records_of(tx: Connection, studio: str, client_id: str) -> list[Key]:
    """The client's record and what is theirs."""
    return [(studio, row[0], row[1]) for row in await tx.fetch(RECORDS, studio, client_id)]


# Where they were reached by the CRM's word, and where they were written to or wrote from besides.
ADDRESSES = f"""
SELECT unnest(reach) FROM records WHERE studio_id = $1 AND kind = 'client' AND record_id = $2
 UNION
SELECT lower(address) FROM {BOTH} AS messages
 WHERE studio_id = $1 AND client_id = $2 AND erased_at IS NULL
   AND split_part(coalesce(recipient::jsonb ->> 'role', 'client'), ':', 1) IN ('client', 'family', 'unknown')"""


async def addresses_of(tx: Connection, studio: str, client_id: str) -> list[str]:
    """Every number and address of a client and their family, as messages and the ledger spell them."""
    return sorted({row[0].lower() for row in await tx.fetch(ADDRESSES, studio, client_id)})


LISTED = (
    "SELECT recipient_id FROM bulk_recipients WHERE studio_id = $1 AND client_id = $2 ORDER BY bulk_id, 1 FOR UPDATE"
)


async def lock_lists(tx: Connection, studio: str, client_id: str) -> None:
    """Wait for whoever makes a message for a place on a list, so that it is seen."""
    await tx.execute(LISTED, studio, client_id)


# Of a number that is theirs, what is linked to nobody, too.
MESSAGES = f"""
WITH named AS MATERIALIZED (
     SELECT message_id FROM {BOTH} AS messages WHERE studio_id = $1 AND client_id = $2
      UNION
     SELECT message_id FROM {BOTH} AS messages
      WHERE studio_id = $1 AND lower(address) = ANY ($3::text[]) AND client_id IS NULL
      UNION
     SELECT about.message_id
       FROM unnest($4::text[], $5::text[]) AS record (kind, record_id)
      CROSS JOIN LATERAL (
            SELECT message_id FROM {BOTH} AS messages
             WHERE messages.studio_id = $1 AND messages.kind = record.kind AND messages.record_id = record.record_id
               AND client_id IS NULL OFFSET 0) AS about)
SELECT message_id, state, rides_with, kind || '/' || record_id
  FROM messages
 WHERE studio_id = $1 AND message_id = ANY (ARRAY (SELECT message_id FROM named)) AND erased_at IS NULL
 ORDER BY message_id FOR UPDATE"""


@dataclass(frozen=True, slots=True)
class Piece:
    """A message that is to be emptied, locked. `subject` is the record that it is about."""

    message_id: int
    state: str
    rides_with: int | None
    subject: str | None


async def messages_of(
    tx: Connection, studio: str, client_id: str, addresses: Sequence[str], keys: Collection[Key]
) -> list[Piece]:
    """Lock what passed between the studio and a client, unless it was emptied before."""
    kinds, ids = [key[1] for key in keys], [key[2] for key in keys]
    return [Piece(*row) for row in await tx.fetch(MESSAGES, studio, client_id, addresses, kinds, ids)]


# What a worker heard from there and the engine has yet to read: a STOP may be among it, or that a number is dead.
UNREAD = "SELECT EXISTS (SELECT FROM arrivals WHERE waiting AND lower(sender) = ANY ($1::text[]))"
CARRIERS = """
SELECT message_id FROM messages
 WHERE studio_id = $1 AND message_id = ANY ($2::bigint[]) AND state IN ('claimed', 'submitting')
 ORDER BY message_id FOR UPDATE"""


async def is_unread(tx: Connection, addresses: Sequence[str]) -> bool:
    """Whether anything waits to be read that was heard from these addresses."""
    return bool(await tx.fetchval(UNREAD, addresses))


async def busy_carriers(tx: Connection, studio: str, message_ids: Sequence[int]) -> list[int]:
    """Those of these messages that a worker has in hand."""
    return [row[0] for row in await tx.fetch(CARRIERS, studio, list(message_ids))]


@dataclass(frozen=True, slots=True)
class Whose:
    """Everything that a client is found by.

    `subjects` are their records as commands name them, `shown` also records that were theirs, as events do; `carriers`
    are messages of which theirs were a part, and `values` what only a text about them has in it, in small letters.
    """

    studio: str
    client_id: str
    keys: Sequence[Key]
    subjects: Sequence[str]
    shown: Sequence[str]
    messages: Sequence[int]
    carriers: Sequence[int]
    addresses: Sequence[str]
    values: Sequence[str]


# Bodies of others may have a blank behind a colon.
_NAMES: Final = (
    "EXISTS (SELECT FROM unnest({}::text[]) AS value WHERE position(value IN lower(replace({}, '\": ', '\":'))) > 0)"
)

OF_RECORDS = """
UPDATE records
   SET body = json_build_object('id', records.record_id, 'version', version, 'kind', records.kind,
                                'client_id', client_id)::text,
       first_facts = CASE WHEN first_facts IS NOT NULL THEN '{}' END, reach = NULL, deleted = true,
       changed_at = clock_timestamp(), erased_at = clock_timestamp()
  FROM unnest($2::text[], $3::text[]) AS erased (kind, record_id)
 WHERE records.studio_id = $1 AND records.kind = erased.kind AND records.record_id = erased.record_id
   AND erased_at IS NULL"""
OF_EVENTS = f"""
UPDATE events SET body = ''
 WHERE studio_id = $1 AND body <> ''
   AND (subject = ANY ($2::text[]) OR type = 'crm.snapshot' AND {_NAMES.format("$3", "body")})"""
OF_MESSAGES = f"""
UPDATE messages
   SET state = CASE WHEN state IN ('queued', 'held') THEN 'cancelled' ELSE state END,
       ended_at = CASE WHEN state IN ('queued', 'held') THEN clock_timestamp() ELSE ended_at END,
       reason = CASE WHEN state IN ('queued', 'held') OR reason <> '' THEN 'erased' || {KEPT} ELSE '' END,
       address = 'erased-' || message_id,
       recipient = coalesce('{{"role":' || ((recipient::json) -> 'role')::text || '}}', '{{}}'),
       subject = NULL, body = CASE WHEN body IS NOT NULL THEN '' END, html = NULL, media = NULL, enrols = NULL,
       attention = NULL, erased_at = clock_timestamp()
 WHERE studio_id = $1 AND message_id = ANY ($2::bigint[])"""
OF_CARRIERS = """
UPDATE messages SET subject = NULL, body = CASE WHEN body IS NOT NULL THEN '' END, html = NULL
 WHERE studio_id = $1 AND message_id = ANY ($2::bigint[]) AND body <> ''"""
# A worker that has been away for long may write what became of an attempt: by its words it sees that they are gone.
OF_ATTEMPTS = """
UPDATE attempts SET subject = NULL, body = 'erased', html = NULL, reason = NULL
 WHERE studio_id = $1 AND message_id = ANY ($2::bigint[]) AND body <> 'erased'"""
OF_RECEIPTS = """
UPDATE receipts SET body = '', reason = NULL, numbers = NULL, spellings = NULL
 WHERE studio_id = $1 AND message_id = ANY ($2::bigint[])"""
# Of those that nobody knows the message of yet, what names the number: it is found by the ids, too.
OF_EARLY_RECEIPTS = f"""
UPDATE receipts SET body = '', reason = NULL, numbers = NULL, spellings = NULL
 WHERE studio_id = '' AND message_id IS NULL AND body <> '' AND {_NAMES.format("$1", "concat_ws(' ', body, reason)")}"""
OF_ANSWERS = """
UPDATE answers SET words = ''
 WHERE studio_id = $1 AND message_id = ANY ($2::bigint[]) AND meaning <> 'scored' AND words <> ''"""
OF_ACTIONS = """
UPDATE actions SET reason = 'erased'
  FROM unnest($2::text[], $3::text[]) AS erased (kind, record_id)
 WHERE actions.studio_id = $1 AND actions.kind = erased.kind AND actions.record_id = erased.record_id
   AND reason NOT IN ('', 'erased')"""
OF_LADDERS = """
DELETE FROM ladders USING unnest($2::text[], $3::text[]) AS erased (kind, record_id), actions
 WHERE actions.studio_id = $1 AND actions.kind = erased.kind AND actions.record_id = erased.record_id
   AND ladders.studio_id = actions.studio_id AND ladders.action_id = actions.action_id"""
# One that a person linked to somebody else stays theirs.
OF_CONVERSATIONS = """
DELETE FROM conversations
 WHERE studio_id = $1 AND channel IN ('sms', 'email') AND theirs = ANY ($3::text[])
   AND (client_id IS NULL OR client_id = $2)"""
# Parts of a longer text stand without a studio, and without their words once the whole was read.
OF_ARRIVALS = """
UPDATE arrivals SET sender = 'erased', body = ''
 WHERE studio_id IN ($1, '') AND NOT waiting AND sender <> 'erased'
   AND (studio_id <> '' AND message_id = ANY ($2::bigint[])
        OR lower(sender) = ANY ($3::text[]) AND (studio_id <> '' OR body = ''))"""
OF_LISTS = """
UPDATE bulk_recipients
   SET state = CASE WHEN state IN ('listed', 'unticked') THEN 'barred' ELSE state END,
       reason = CASE WHEN state IN ('listed', 'unticked') OR reason <> '' THEN 'erased' ELSE '' END,
       address = CASE WHEN state = 'released' THEN 'erased-' || recipient_id END, name = ''
 WHERE studio_id = $1 AND client_id = $2
   AND (name <> '' OR address IS NOT NULL AND address <> 'erased-' || recipient_id)"""
# A command that the CRM has not had is not for it any more; a report that it has not had says what became of what.
OF_COMMANDS = f"""
UPDATE commands
   SET data = CASE WHEN state = 'published' OR position('.' IN verb) = 0 THEN '{{"erased":true}}' ELSE
              (SELECT (coalesce(jsonb_object_agg(key, value), '{{}}') || '{{"to":"erased-"}}')::text
                 FROM jsonb_each(data::jsonb)
                WHERE key IN ('message', 'channel', 'state', 'action', 'purpose', 'says', 'at', 'cause')) END,
       subject = CASE WHEN subject ~ '^(sms|email)/' THEN split_part(subject, '/', 1) || '/erased' ELSE subject END,
       published_at = CASE WHEN position('.' IN verb) = 0 THEN coalesce(published_at, clock_timestamp())
                           ELSE published_at END,
       state = CASE WHEN position('.' IN verb) = 0 THEN 'published' ELSE state END
 WHERE studio_id = $1 AND data <> '{{"erased":true}}' AND position('erased-' IN data) = 0
   AND (subject = ANY ($2::text[]) OR {_NAMES.format("$3", "concat_ws(' ', subject, data)")})"""
# Whoever repeats a call under its key hears that it was done, and not what it was.
OF_KEPT_ANSWERS = f"""
UPDATE idempotency_keys
   SET answer = json_build_object('status', (answer::json ->> 'status')::integer, 'body', NULL)::text
 WHERE studio_id = $1 AND {_NAMES.format("$2", "answer")}"""
EVIDENCE = "SELECT empty_evidence($1, $2)"
TRAIL = "SELECT empty_trail($1, $2, $3)"
# Nobody can say whose a body is that names no studio: it is taken for this one's.
OF_DEAD_EVENTS = f"""
UPDATE dead_events
   SET body = '', field = '', reason = 'erased',
       discarded_at = CASE WHEN replayed_at IS NULL THEN coalesce(discarded_at, clock_timestamp()) END
 WHERE body <> ''
   AND (position(convert_to('"' || $1 || '"', 'UTF8') IN body) > 0 OR position('"studio"'::bytea IN body) = 0)
   AND {_NAMES.format("$2", "encode(body, 'escape')")}"""


async def empty(tx: Connection, whose: Whose) -> dict[str, int]:
    """Empty every table of what a client has left in it; returns how many rows of each kind that were."""
    kinds, ids = [key[1] for key in whose.keys], [key[2] for key in whose.keys]
    resources = [f"message/m-{one}" for one in whose.messages] + [f"consent/{one}" for one in whose.addresses]
    said_in = [*whose.messages, *whose.carriers]
    steps: list[tuple[str, str, Sequence[object]]] = [
        ("records", OF_RECORDS, (kinds, ids)),
        ("events", OF_EVENTS, (whose.shown, [*whose.values, f'"id":"{whose.client_id.lower()}"'])),
        ("messages", OF_MESSAGES, (whose.messages,)),
        ("", OF_CARRIERS, (whose.carriers,)),
        ("attempts", OF_ATTEMPTS, (said_in,)),
        ("receipts", OF_RECEIPTS, (said_in,)),
        ("answers", OF_ANSWERS, (whose.messages,)),
        ("", OF_ACTIONS, (kinds, ids)),
        ("", OF_LADDERS, (kinds, ids)),
        ("conversations", OF_CONVERSATIONS, (whose.client_id, whose.addresses)),
        ("arrivals", OF_ARRIVALS, (whose.messages, whose.addresses)),
        ("places on lists", OF_LISTS, (whose.client_id,)),
        ("commands and reports", OF_COMMANDS, (whose.subjects, whose.values)),
        ("kept answers", OF_KEPT_ANSWERS, (whose.values,)),
    ]
    counts: dict[str, int] = {}
    for kind, statement, values in steps:
        number = int((await tx.execute(statement, whose.studio, *values)).split()[1])
        if kind:
            counts[kind] = number
    counts["receipts"] += int((await tx.execute(OF_EARLY_RECEIPTS, whose.values)).split()[1])
    counts["lines of consent"] = int(await tx.fetchval(EVIDENCE, whose.studio, whose.addresses))
    counts["entries of the trail"] = int(await tx.fetchval(TRAIL, whose.studio, resources, whose.values))
    counts["dead events"] = int((await tx.execute(OF_DEAD_EVENTS, whose.studio, whose.values)).split()[1])
    return counts
