"""Which BLAS and OpenMP libraries this process has loaded, in which version, for which processor, on how many threads."""

from __future__ import annotations

import os
from typing import Any


def load_usual() -> None:
    """Import the libraries that bring a BLAS: NumPy and SciPy carry one each. Until then there is nothing to see."""
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401


def take_control() -> None:
    """Let this thread, and no other, set how many threads OpenBLAS uses from now on.

    From threadpoolctl 3.8 on only the first thread that sets a limit can set others; on any other thread a limit is silently ignored.
    Whoever hands kernels over to a thread of their own calls this there.
    """
    import threadpoolctl

    openblas = getattr(threadpoolctl, "OpenBLASController", None)
    if hasattr(openblas, "clear_controlling_thread"):  # older ones let every thread
        openblas.clear_controlling_thread(force=True)


def loaded() -> list[dict[str, Any]]:
    """threadpoolctl's view of the libraries in the process now.

    Keys: user_api (blas | openmp), internal_api, prefix, library (file name without its folder, which is the user's own affair),
    version, num_threads; for OpenBLAS and BLIS also threading_layer and architecture.
    """
    from threadpoolctl import threadpool_info

    libraries = []
    for entry in threadpool_info():
        library = {key: value for key, value in entry.items() if key != "filepath"}
        library["library"] = os.path.basename(entry["filepath"])
        libraries.append(library)
    return sorted(libraries, key=lambda e: (e["user_api"], e["library"]))
