"""What we are measured against: each does the least that could be called a chat."""
