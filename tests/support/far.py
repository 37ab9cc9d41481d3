"""An installation whose texts, mail and commands all end at far sides that keep books."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.checker import Findings, check
from tests.support.fake_crm import Crm
from tests.support.fake_sms import ACCOUNT, FakeSms
from tests.support.installation import Installation, trigger
from tests.support.ledger import Ledger
from tests.support.programs import Program, eventually
from tests.support.smtp_stub import SmtpStub

Install = Callable[..., Awaitable[Installation]]

# Nothing is due or under way. What a provider took and tells nothing more of has come to its end.
UNFINISHED: Final = """
SELECT (SELECT count(*) FROM actions WHERE state = 'planned' AND due_at <= clock_timestamp())
     + (SELECT count(*) FROM messages WHERE state IN ('queued', 'claimed', 'submitting'))
     + (SELECT count(*) FROM messages WHERE state = 'accepted' AND account = ANY ($1::text[]))"""
# As if the time had gone by that is waited before the next try.
WAITED: Final = (
    "UPDATE messages SET due_at = clock_timestamp() WHERE state = 'queued'"
    " AND (reason LIKE 'retry:%' OR reason = 'waited for its provider account')"
)
TEMPLATE: Final = """\
kind = "session"
purpose = "transactional"
sms = "Hi {{ client.first_name }}, see you on {{ session.date }}."
subject = "Your session on {{ session.date }}"
text = "Hi {{ client.first_name }}, see you on {{ session.date }}."
"""


@dataclass
class Far:
    """One installation and all that it speaks to; `run` starts it."""

    here: Installation
    sms: FakeSms
    mail: SmtpStub
    crm: Crm
    others: list[FakeSms] = field(default_factory=list)

    async def run(self, *roles: str, **settings: str) -> Program:
        program = await self.here.run(*roles, **settings)
        for one in (self.sms, *self.others):
            one.here = self.here
        return program

    async def calm(self, *, within: float = 120.0) -> None:
        """Until nothing is due, under way, or waits for a receipt that comes."""
        for one in (self.sms, *self.others):
            await one.reported()
        telling = [f"sms/{one.account}" for one in (self.sms, *self.others) if one.reports]
        await self.here.holds(f"SELECT ({UNFINISHED}) = 0", telling, within=within)

    async def heard(self, *, within: float = 90.0) -> None:
        """Until the CRM has been told everything, and has heard it: what the broker confirmed is on its way yet."""
        await self.here.holds("SELECT count(*) = 0 FROM commands WHERE state <> 'published'", within=within)

        async def fact() -> bool:
            told = await self.here.sql("SELECT command_id FROM commands")
            return {row["command_id"] for row in told} <= self.crm.heard.keys()

        await eventually(fact, within=within, what="the CRM hears all that it was told")

    async def check(self, *, listened: bool = True, ledgers: Sequence[Ledger] = (), patience: float = 30.0) -> Findings:
        """All books against the database; those of commands only where the CRM has been told everything."""
        books: list[Ledger] = [self.sms, *self.others, self.mail, *ledgers]
        if listened:
            return await check(self.here, ledgers=books, crm=self.crm, patience=patience)
        return await check(self.here, self.crm.said, ledgers=books, patience=patience)


@asynccontextmanager
async def far_away(
    install: Install,
    *,
    triggers: str = "",
    settings: str = "",
    others: Sequence[str] = (),
    slots: int = 16,
    listens: bool = True,
    ahead: Sequence[Path] = (),
    **options: Any,
) -> AsyncIterator[Far]:
    """An installation with a provider of texts, a relay and a CRM, furnished, with nothing running yet.

    `settings` come before all others; `others` are accounts at the provider of texts besides; `slots` are of each;
    `listens`: the CRM does so from the start; `ahead` is where its processes look first for what they import.
    """
    async with AsyncExitStack() as stack:
        sms = await stack.enter_async_context(FakeSms(slots=slots))
        more = [await stack.enter_async_context(FakeSms(account=name, slots=slots)) for name in others]
        mail = await stack.enter_async_context(SmtpStub())
        tables = "\n".join(one.table for one in (sms, *more))
        text = f'smtp_url = "smtp://127.0.0.1:{mail.port}"\n{settings}\n{tables}'
        here = await install(text, **options)
        here.ahead += ahead
        await here.done("templates", "apply", str(here.write("session.toml", TEMPLATE)))
        await here.furnish(account=ACCOUNT, triggers=triggers or trigger())
        crm = await stack.enter_async_context(Crm(here.broker_url, listens=listens))
        yield Far(here, sms, mail, crm, more)


def mailing(name: str = "Mailed", processing: str = "blackouts = false") -> str:
    """A trigger file that mails whoever has a session booked."""
    return trigger(name, action="email", processing=processing).replace('text = "', 'template = "session"\n#')
