"""``optdet`` and ``python -m optdet``."""

from optdet.cli.app import main

if __name__ == "__main__":
    main()
