"""What a batch of events does to one record, version by version."""

from __future__ import annotations

from dataclasses import dataclass

from control_center.domain.answered import same_score
from control_center.domain.event import Event, Verb
from control_center.domain.record import Picture, project


@dataclass(slots=True)
class Seen:
    """What this batch does to one record."""

    before: Picture | None
    picture: Picture | None
    event: Event | None = None  # the event that showed the newest version
    caused_by: str | None = None  # the command of ours that the entry into its status answers
    snapshot: bool = False

    def fold(self, shown: Picture, event: Event) -> bool:
        """Take one more version in; whether it moved the picture to it.

        Of a record that was erased an old version brings nothing back, and with a newer one we begin anew: what it
        shows is history as of a record never heard of.
        """
        if self.picture is not None and self.picture.erased:
            if shown.version <= self.picture.version:
                return False
            self.before = self.picture = None
        earlier = self.picture
        self.picture = project(earlier, same_score(earlier, shown))
        newest = earlier is None or shown.version > earlier.version
        if newest:
            if event.caused_by is not None or earlier is None or _entry(earlier) != _entry(self.picture):
                self.caused_by = event.caused_by
            self.event = event
            self.snapshot = event.verb is Verb.SNAPSHOT
        return newest

    @property
    def changed(self) -> bool:
        return self.picture != self.before

    @property
    def got_a_score(self) -> bool:
        """Whether it is a session that has another score than before."""
        if self.picture is None or self.picture.kind != "session" or self.snapshot:
            return False
        return self.picture.record.nps not in (None, self.before.record.nps if self.before else None)

    @property
    def entered_status(self) -> bool:
        """Whether the record is in another status than before, or in the same one anew."""
        if self.picture is None or self.before is None or self.snapshot:
            return False
        return _entry(self.before) != _entry(self.picture)


def _entry(picture: Picture) -> tuple[str | None, str | None]:
    return picture.record.status, picture.record.status_changed_at
