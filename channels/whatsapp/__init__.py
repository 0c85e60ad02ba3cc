"""WhatsApp as a door to the thread, by any of three providers.

`wire.py` says what may arrive, `outgoing.py` what may leave, `providers.py` who carries it. Everything here is a
function of its arguments: nothing waits, nothing is stored, nothing is sent.
"""
