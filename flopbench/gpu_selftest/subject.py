"""Small jobs that the self-test runs in a process of their own, since CUDA reads its environment only once.

python -m flopbench.gpu_selftest.subject solve N NB GPU      SHA-256 of x
python -m flopbench.gpu_selftest.subject tf32-error GPU      error of a TF32 product, relative to its typical element
"""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> None:
    from flopbench_kernels.cuda.libraries import CupyLibraries

    from flopbench.gpu_selftest.arithmetic import tf32_error
    from flopbench.gpu_selftest.bench import Bench, solve
    from flopbench.gpu_selftest.solving import digest

    bench = Bench(CupyLibraries, index=int(arguments[-1]))
    if arguments[0] == "solve":
        print(digest(solve(bench, int(arguments[1]), int(arguments[2]))[0].x))
    else:
        print(tf32_error(bench))


if __name__ == "__main__":
    main(sys.argv[1:])
