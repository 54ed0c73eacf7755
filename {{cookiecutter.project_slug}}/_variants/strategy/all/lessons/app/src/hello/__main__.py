"""Print a greeting in colour: `hello NAME ...` or `python -m hello NAME ...`."""

import sys

import rich

from hello._hello import greeting


def main() -> None:
    """Print a greeting for each name, or for the world."""
    for name in sys.argv[1:] or ["world"]:
        rich.print(greeting(name))


if __name__ == "__main__":
    main()
