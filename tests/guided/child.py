"""One surface under Atheris, in a process of its own: what it imports is rewritten, and a failure ends the process.

python -m tests.guided.child NAME FOLDER SECONDS INPUTS
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped] # in a folder of its own, see tool.py

with atheris.instrument_imports(include=["control_center", "workers", "icalendar", "liquid", "tests.guided.planted"]):
    from tests.guided.surfaces import EACH
from tests.support.hostile import accept

LARGEST = 8_192  # bytes of an input that is made up
MEGABYTES = 1_024  # of the whole process


def main() -> None:
    name, folder, seconds, count = sys.argv[1:]
    surface = EACH[name]
    corpus = Path(folder) / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(surface.corpus):
        (corpus / f"real-{number}").write_bytes(one)
    words = Path(folder) / "words"
    words.write_text("".join(f'"{quoted(word)}"\n' for word in surface.words if word))
    options = [
        f"-max_total_time={seconds}",
        f"-runs={count}",
        f"-max_len={LARGEST}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        *([f"-dict={words}"] if words.stat().st_size else []),
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: accept(surface, data))
    atheris.Fuzz()


def quoted(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
