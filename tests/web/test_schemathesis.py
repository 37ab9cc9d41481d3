"""The API held against its own document by a program that neither we nor the document's author wrote."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.support.rows import a_message, a_record, a_trigger, an_action
from tests.web.conftest import OWNER, Caller

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)
EXAMPLES = 8  # of each operation and phase, in a run of seconds
MANY = 100


async def test_every_answer_is_one_that_the_document_describes(
    app: Caller, needs: Any, tmp_path: Path, request: Any
) -> None:
    program = needs("schemathesis")
    await a_record(app.pool)
    await a_trigger(app.pool, "Reminder")
    await an_action(app.pool)
    await a_message(app.pool)
    long = request.config.getoption("--long")
    wanted = [
        *("run", f"{app.base}/api/v1/openapi.json", "--url", app.base, "-H", f"Authorization: Bearer {OWNER}"),
        *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--continue-on-failure"),
        *("--max-examples", str(MANY if long else EXAMPLES)),
        # The long run looks for what no other has found.
        *(("--generation-database", "none") if long else ("--generation-deterministic",)),
        *("--request-timeout", "20", "--warnings", "off", "--no-color"),
    ]

    process = await asyncio.create_subprocess_exec(
        program, *wanted, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()

    assert process.returncode == 0, said.decode()
