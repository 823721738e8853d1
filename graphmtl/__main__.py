"""``python -m graphmtl VERB``, which is ``graphmtl VERB``."""

from graphmtl.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
