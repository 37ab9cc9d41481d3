"""What is reached over HTTP: the API, the providers' hooks, and health. `serve` runs it, `Parts` is what it needs."""

from control_center.web.parts import Account, Limits, Parts
from control_center.web.server import application, serve

__all__ = ["Account", "Limits", "Parts", "application", "serve"]
