"""Texts: one file a provider, each with `submit(text) -> Outcome`, `lookup(text) -> Lookup` and `close()`."""
