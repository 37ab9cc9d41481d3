"""What only mail needs is not loaded by a worker that sends texts."""

from __future__ import annotations

import subprocess
import sys


def test_who_sends_texts_loads_nothing_that_is_for_mail() -> None:
    code = (
        "import sys; import workers.writing, workers.sms.twilio, workers.delivery;"
        "from control_center.domain import words;"
        "words.text_message({'sms': 'Hi'}, {});"
        "print(sorted({'nh3', 'css_inline', 'mjml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
