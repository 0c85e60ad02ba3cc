"""Care of what is kept: taking a backup, bringing one back, carrying everything from one kind of store to the other."""
