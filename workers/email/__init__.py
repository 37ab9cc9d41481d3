"""Mail: one file a way of sending it, each with `submit(mail) -> Outcome`, `lookup(mail) -> Lookup` and `close()`."""
