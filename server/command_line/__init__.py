"""What a person can ask of Onethread at a terminal: one module a command, loaded when asked for."""
