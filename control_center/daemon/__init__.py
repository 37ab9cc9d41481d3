"""The composition root of `control-center run`. Nothing is imported here: a verb wants only a part of it."""
