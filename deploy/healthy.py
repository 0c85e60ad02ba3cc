"""Whether the process in this container is ready: what the image's health check runs. Standard library only."""

import os
import sys
import urllib.error
import urllib.request


def main() -> int:
    """Ask `/health/ready` on the port that the process was told; the result is the exit code."""
    port = os.environ.get("ONETHREAD_WORKER_PORT") or os.environ.get("ONETHREAD_PORT") or "8000"
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=3) as answer:
            return int(answer.status != 200)
    except urllib.error.HTTPError as refused:
        print(refused.read(500).decode(errors="replace"))  # which part is missing: `docker inspect` shows it
    except OSError as error:
        print(type(error).__name__)
    return 1


if __name__ == "__main__":
    sys.exit(main())
