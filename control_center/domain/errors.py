"""The few things that are exceptional; what is merely expected is a value.

ControlCenterError
├── Malformed          bytes or a file that is not what the contract says; names field, value, what is allowed
├── ConfigurationError a setting, file or server that is not as it must be; says what to do
├── NotFound           an id that names nothing
├── Refused            a change that the present state does not allow; says why
├── Outdated           an edit made from a version that is no longer the current one
└── Conflict           two writers met; the transaction is to be tried again
"""

from __future__ import annotations


class ControlCenterError(Exception):
    """Base of all errors that this package raises on purpose."""


class Malformed(ControlCenterError):  # noqa: N818 - reads as the sentence "raise Malformed(...)"
    """Something from outside cannot be understood.

    `field` is a path such as `data.record.version`; `reason` says what was found and what is allowed.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class ConfigurationError(ControlCenterError):
    """The installation is not as it must be; the message says what to type."""


class NotFound(ControlCenterError):  # noqa: N818
    """An id names nothing in this studio."""


class Refused(ControlCenterError):  # noqa: N818
    """The present state does not allow this change; `reason` is a sentence for the person who asked."""


class Outdated(ControlCenterError):  # noqa: N818
    """Somebody else saved in between: look at what they wrote, and edit that."""


class Conflict(ControlCenterError):  # noqa: N818
    """Two transactions met in a way that only trying again resolves."""
