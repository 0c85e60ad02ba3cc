"""WhatsApp as a door to the thread, by any of three providers.

`wire.py` says what may arrive, `outgoing.py` what may leave, `providers.py` who carries it: functions of their
arguments, that wait for nothing, store nothing and send nothing. Around them stand `webhook.py`, which takes in,
`arriving.py` and `saying.py`, which let it happen, and `client.py`, which sends.
"""
