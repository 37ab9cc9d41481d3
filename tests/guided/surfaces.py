"""The surfaces that can be fuzzed this way, by their names: those of the fault suite, and one with a known defect."""

from __future__ import annotations

from typing import Final

from tests.faults.test_hostile_input import ALONE, STORED
from tests.guided.planted import PLANTED

REAL: Final = {surface.name: surface for surface in (*ALONE, *STORED)}
EACH: Final = {**REAL, PLANTED.name: PLANTED}
