"""When to try again what provably was not sent.

Waits triple from 15 seconds to half an hour: 15 s, 45 s, 2 min, 7 min, 20 min, 30 min, 30 min. Each is shortened
to between half and all of itself, by a share that follows from the message and the attempt, so that messages
which failed together do not come back together. Eight attempts so bridge an outage of about one to two hours; a mail
has more, since what a relay puts off for hours is still of use when it comes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b

MAX_ATTEMPTS = 8
MAIL_ATTEMPTS = 100  # about a day and a half
# Where one recipient's policy is against us: long enough to see whether it is all the others', too, and no longer.
ALONE_ATTEMPTS = 4
ALONE_WAIT = timedelta(minutes=10)
FIRST_WAIT = timedelta(seconds=15)
GROWTH = 3
LONGEST_WAIT = timedelta(minutes=30)


def next_attempt(
    attempt: int, now: datetime, *, key: str, wait: timedelta | None, use_by: datetime, most: int = MAX_ATTEMPTS
) -> datetime | None:
    """When to make the attempt after `attempt` (1 is the first), which has just failed.

    `wait` is what the provider asked for (Retry-After): never sooner than that, and spread out after it. None
    when `most` attempts are used up or the next would come at `use_by` or later.
    """
    asked, left = wait or timedelta(0), use_by - now
    if attempt >= most or asked >= left:
        return None
    step = min(FIRST_WAIT * GROWTH ** (min(attempt, MAX_ATTEMPTS) - 1), LONGEST_WAIT)
    own = step * _share(key, attempt)
    pause = max(own, asked + own - step / 2)
    return now + pause if pause < left else None


def _share(key: str, attempt: int) -> float:
    """Draw from [0.5, 1) without dice: the same message and attempt always get the same share."""
    digest = blake2b(f"{key} {attempt}".encode(), digest_size=4).digest()
    return 0.5 + int.from_bytes(digest) / 2**33
