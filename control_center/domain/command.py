"""Commands and reports to the CRM: written where they are caused, published later, the same for the same cause."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

BUCKETS = 8  # one relay at a time publishes a bucket, so that order holds within a record

COMMAND_EXCHANGE = "crm.commands"
REPORT_EXCHANGE = "control-center.reports"


@dataclass(frozen=True, slots=True)
class Cause:
    """What made a command: carried in it, so that the CRM's answer leads back here."""

    trigger: str | None
    trigger_version: int | None
    action: str | None
    event_id: str | None
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Command:
    """One command (`create_call`) or report (`message.sent`) about a record, not yet published."""

    studio: str
    command_id: str
    subject: str
    verb: str
    data: str

    @property
    def bucket(self) -> int:
        return zlib.crc32(self.subject.encode()) % BUCKETS


def command(studio: str, subject: str, verb: str, data: Mapping[str, Any], *, cause: Cause, of: str) -> Command:
    """One command; `of` names its cause exactly, so that the same cause always makes the same id."""
    body = {**data, "cause": cause}
    return Command(studio, id_of(studio, subject, verb, of=of), subject, verb, msgspec.json.encode(body).decode())


def id_of(studio: str, subject: str, verb: str, *, of: str) -> str:
    """The id that `command` gives for the same cause."""
    return sha256(f"{studio}\n{subject}\n{verb}\n{of}".encode()).hexdigest()[:32]


def cloud_event(stored: Command, *, sequence: int, created_at: datetime) -> bytes:
    """The CloudEvent that a stored command is published as."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": stored.command_id,
            "source": f"/control-center/{stored.studio}",
            "type": event_type(stored.verb),
            "subject": stored.subject,
            "time": created_at,
            "studio": stored.studio,
            "sequence": sequence,
            "datacontenttype": "application/json",
            "data": msgspec.Raw(stored.data.encode()),
        }
    )


def is_report(verb: str) -> bool:
    """Reports tell what happened; commands ask for something. Reports' names have a dot."""
    return "." in verb


def event_type(verb: str) -> str:
    return f"control_center.{verb}" if is_report(verb) else f"control_center.command.{verb}"


def exchange(verb: str) -> str:
    return REPORT_EXCHANGE if is_report(verb) else COMMAND_EXCHANGE
