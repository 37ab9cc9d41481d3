"""From claimed messages to such as are about to pass the point of no return, decided and written as all is now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from control_center.domain.links import Links
from control_center.store import cases, db, messages, scores
from control_center.store.cases import Case
from control_center.store.messages import Claimed, Return
from control_center.store.rulebooks import Rulebooks
from control_center.store.submissions import Ready
from workers.neighbours import few
from workers.pacing import pace
from workers.rationing import ration
from workers.settling import tell
from workers.spending import afford
from workers.writing import prepare


class Preparation:
    """Decides and writes what one worker has claimed, and puts back what may not go now."""

    def __init__(self, owner: UUID, clock: Callable[[], datetime], *, links: Links | None) -> None:
        self._owner = owner
        self._clock = clock
        self._links = links
        self._rulebooks = Rulebooks()

    async def make_ready(
        self, connection: db.Connection, claimed: Sequence[Claimed | Case], *, at_hand: Iterable[Ready]
    ) -> list[Ready]:
        """What of these may go, beside what is `at_hand` already; a Case is one that is decided again."""
        ids = [
            one if isinstance(one, Claimed) else Claimed(one.studio.studio, one.message_id, one.token, one.use_by, 0)
            for one in claimed
        ]
        found = await cases.gather(connection, ids, self._owner)
        books = await self._rulebooks.of(connection, {case.studio.studio: case.studio for case in found})
        wanted = [(case.trigger_id, case.about.trigger_version, case.record) for case in found]
        sessions = await scores.sessions(connection, wanted, books)
        now = self._clock()
        rations = await ration(connection, found, (one.case for one in at_hand), now)
        ready: list[Ready] = []
        returns: list[tuple[Case, Return]] = []
        for case in found:
            session = sessions.get(case.record.key) if case.record else None
            decided = prepare(case, books[case.studio.studio], now, session=session, links=self._links)
            match rations.take(decided) if isinstance(decided, Ready) else decided:
                case Ready() as one:
                    ready.append(one)
                case Return() as back:
                    returns.append((case, back))
        await messages.put_back(connection, [back for _, back in returns])
        for case, back in returns:
            tell(case, back.state, back.reason, due_at=back.due_at)
        ready = await few(connection, ready, now)
        placed = {one.message_id for one in claimed if isinstance(one, Case)}  # decided again, and paced before
        # Looked at before a place is taken for what there is no money for, and paid by what has one.
        ready = await afford(connection, ready, now, paying=False)
        return await afford(connection, await pace(connection, ready, now, placed=placed), now)
