"""`python -m control_center VERB` is `control-center VERB`."""

from control_center.cli import main

main()
