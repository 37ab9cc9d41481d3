"""The messages hub: one list of everything that was sent and came in, texts and emails, narrowed and searched."""

from __future__ import annotations

from control_center.domain import number
from control_center.store import db, message_search, studios, views_messages
from control_center.store.message_search import PATIENCE, Sought
from control_center.store.pages import Page
from control_center.store.views_messages import Filter, Message


async def messages(
    pool: db.Pool,
    studio: str,
    wanted: Filter,
    text: str | None = None,
    *,
    cursor: str | None = None,
    limit: int = 50,
    patience: float = PATIENCE,
) -> Page[Message]:
    """A page of a studio's messages, newest first; with `text` those that have its words, or that address.

    A search of more than `patience` seconds gives what it has found, with a cursor to go on. Raises Malformed for a
    cursor that is none.
    """
    async with db.session(pool) as tx:
        if text is None:
            return await views_messages.messages(tx, studio, wanted, cursor=cursor, limit=limit)
        sought = Sought(text, await _address(tx, studio, text))
        return await message_search.search(tx, studio, sought, wanted, cursor=cursor, limit=limit, patience=patience)


async def _address(tx: db.Connection, studio: str, text: str) -> str | None:
    """The number or address that a text is as a whole, as messages spell it; None where it is neither."""
    if "@" in text:
        mail = number.email(text.strip())
        return mail if isinstance(mail, str) else None
    known = (await studios.get(tx, [studio])).get(studio)
    found = number.phone(text, known.country if known is not None else "ZZ", recipient=False)
    return found.e164 if isinstance(found, number.Phone) else None
