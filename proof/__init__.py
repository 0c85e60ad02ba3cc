"""Onethread under fire: real processes that are killed, frozen, cut off and flooded, and what was seen of it."""
