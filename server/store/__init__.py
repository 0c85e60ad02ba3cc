"""Where conversations are kept: SQLite within this process, or MongoDB. Two stores behind one port, one contract."""
