"""Comparisons anybody can repeat: what the server does beside others doing the same, in one run on one machine."""
