"""``python -m hfmemdebug``."""

from hfmemdebug.cli import main

if __name__ == "__main__":
    main()
