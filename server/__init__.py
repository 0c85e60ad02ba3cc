"""The house: what is true (`core`), what we do (`service`), where it is kept and who is told, and the doors."""
