"""A large product of two fp32 matrices: what the machine can do.

python -m benchmarks.loops.matmul --size 2048 --repeat 60
"""

import argparse

from benchmarks.loops.product import loop
from benchmarks.measuring.serving import serve


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="A large product of two matrices.")
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--repeat", type=int, default=60)
    parser.add_argument("--serve", action="store_true", help="take turns as told on standard input")
    arguments = parser.parse_args()
    serve(lambda: loop("fp32", arguments.size, arguments.repeat, "cpu"), arguments.serve)


if __name__ == "__main__":
    main()
