"""``python -m evenmatch`` is the same program as ``evenmatch``."""

from evenmatch.cli import main

if __name__ == "__main__":
    main()
