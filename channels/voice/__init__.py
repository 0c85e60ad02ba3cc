"""The phone as a door to the same conversations: live calls at Twilio, and what others' agents report of theirs."""
