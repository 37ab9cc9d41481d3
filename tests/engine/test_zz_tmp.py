from tests.engine.test_replies import *
async def test_tmp(pool):
    m = await a_message(pool, state="submitting")
    await take(pool, a_receipt(m))
    await answer(pool, m, Unknown("read timed out", Stage.SENT))
    print("ATTEMPT", (await attempt(pool, m))["outcome"], (await row(pool,m))["state"])
    m = await a_message(pool, state="submitting")
    await take(pool, a_receipt(m, Fate.SENT))
    await answer(pool, m, Accepted("SM9"))
    print("PID", (await row(pool,m))["provider_id"], (await attempt(pool,m))["provider_id"])
    m = await a_message(pool, state="queued", asked=1)
    await take(pool, a_receipt(m))
    print("QUEUED", (await row(pool,m))["state"])
