"""What a process has no use for is not loaded by it."""

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


def test_a_process_that_serves_no_web_loads_none_of_it() -> None:
    code = "import sys; import control_center.daemon.running; print('control_center.web' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
