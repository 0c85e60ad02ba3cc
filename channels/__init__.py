"""Doors to the same thread: each channel says in values what its provider says in bytes, and decides nothing.

A channel knows the core and nothing above it.
"""
