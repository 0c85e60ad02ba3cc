"""What we do: load, decide, append, announce. One job per file; everything outside comes in through a port."""
