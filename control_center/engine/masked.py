"""Lines of a forecast for whoever need not see where it goes."""

from __future__ import annotations

import msgspec

from control_center.domain.forecast import Line
from control_center.logs.masking import scrub


def masked(line: Line) -> Line:
    """The same line with every number and address in it masked, but its words as they are."""
    return msgspec.structs.replace(line, address=scrub(line.address), reason=scrub(line.reason))
