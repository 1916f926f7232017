"""A large product of two fp32 matrices: what the machine can do.

python -m benchmarks.loops.matmul --size 2048 --repeat 60
"""

import argparse

import torch

from benchmarks.measuring.serving import Counts, Turn, serve


def loop(size: int, repeat: int) -> Turn:
    """A turn multiplies `repeat` times."""
    a, b, out = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)

    def turn(number: int) -> Counts:
        for _ in range(repeat):
            torch.mm(a, b, out=out)
        return {"flop": 2.0 * repeat * size**3}

    return turn


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="A large product of two matrices.")
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--repeat", type=int, default=60)
    parser.add_argument("--serve", action="store_true", help="take turns as told on standard input")
    arguments = parser.parse_args()
    serve(lambda: loop(arguments.size, arguments.repeat), arguments.serve)


if __name__ == "__main__":
    main()
