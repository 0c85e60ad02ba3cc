"""What happens is told while it happens: frames, watchers, and the bell between processes."""
