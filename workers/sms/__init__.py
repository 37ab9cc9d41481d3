"""Texts: one file a provider, each with `submit(text) -> Outcome`, `lookup(text) -> Lookup` and `close()`.

A provider that knows a submission by its key says with `remembers` for how long: that long, the same text submitted
again, where no answer came, is no second text.
"""
