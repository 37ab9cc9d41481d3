"""Deliver what was released: `python -m workers sms` and `python -m workers email`, any number of each."""
