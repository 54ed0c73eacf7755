"""`hello NAME ...` greets in colour, `python -m hello` as well."""

import sys

import rich

from hello._hello import greeting


def main() -> None:
    """Greet whoever is named, or the world."""
    for name in sys.argv[1:] or ["world"]:
        rich.print(greeting(name))


if __name__ == "__main__":
    main()
