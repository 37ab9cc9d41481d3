"""Gather, decide, apply: what happens to events, actions, replies and commands."""
