"""How likely clients are to recommend a studio, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.support.rows import a_message, a_trigger
from tests.web.conftest import Caller


async def answered(app: Caller, score: str, at: datetime, **message: object) -> None:
    question = await a_message(app.pool, state="accepted", question="nps", **message)  # type: ignore[arg-type]
    await app.pool.execute(
        "INSERT INTO answers (studio_id, message_id, meaning, words, at) VALUES ('main', $1, 'scored', $2, $3)",
        question,
        score,
        at,
    )


async def test_scores_are_counted_for_the_studio_by_month_and_by_what_asked(app: Caller) -> None:
    asks = await a_trigger(app.pool, "How was it?")
    # Chicago is six hours behind: the first hours of April are March there.
    for score, at in (("10 lovely", (4, 1, 4)), ("9", (3, 31, 12)), ("3", (4, 1, 12)), ("7", (4, 30, 12))):
        await answered(app, score, datetime(2027, *at, tzinfo=UTC), trigger_id=asks)
    await answered(app, "0", datetime(2027, 4, 2, tzinfo=UTC), origin="person", channel="email")

    found = (await app.get("/scores?since=2027-03-01&until=2027-04-30")).json

    assert found["total"] == {"responses": 5, "promoters": 2, "passives": 1, "detractors": 2, "score": 0.0}
    assert [(one["month"], one["responses"], one["score"]) for one in found["months"]] == [
        ("2027-03", 2, 100.0),
        ("2027-04", 3, -200 / 3),
    ]
    assert {one["asked_by"]: one["score"] for one in found["asked_by"]} == {"How was it?": 25.0, "person": -100.0}
    of_one = (await app.get("/scores?since=2027-04-01&until=2027-04-30&trigger=How was it?")).json
    assert (of_one["total"]["responses"], of_one["total"]["score"]) == (2, -50.0)


async def test_without_answers_there_is_no_score_for_a_year(app: Caller) -> None:
    found = (await app.get("/scores")).json

    assert (found["total"]["score"], found["asked_by"], len(found["months"])) == (None, [], 12)


async def test_what_cannot_be_meant_is_refused_by_name(app: Caller) -> None:
    for query in ("since=2027-04-02&until=2027-04-01", "until=0001-01-01", "since=1990-01-01", "until=9999-12-31"):
        assert (await app.get(f"/scores?{query}")).status in (400, 422), query
    assert (await app.get("/scores?trigger=Nope")).status == 404
