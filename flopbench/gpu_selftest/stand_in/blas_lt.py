"""nvmath.bindings.cublasLt over host memory, as far as flopbench calls it: FP8 products. Signatures are those of nvmath-python.

Descriptors are read when a product is planned or made, so that a wrong attribute, size or order gives a refusal or a wrong number here too.
"""

from __future__ import annotations

import itertools

import numpy as np

from flopbench.gpu_selftest.stand_in.memory import column_major, matrix
from flopbench.gpu_selftest.stand_in.schedule import Schedule

_MAGIC = 0x466C6F7062656E63  # marks an algorithm that the heuristic has given out
#: cublasLtMatmulDescAttributes_t -> (name, NumPy name of the value); cublasLtMatmulPreferenceAttributes_t likewise
_DESC = {
    3: ("transa", "int32"),
    4: ("transb", "int32"),
    17: ("scale_a", "uint64"),
    18: ("scale_b", "uint64"),
    25: ("fast", "int8"),
}
_PREFERENCE = {1: ("workspace", "uint64")}


class CublasLtError(Exception):
    """As nvmath.bindings.cublasLt.cuBLASLtError."""

    def __init__(self, status: int, name: str) -> None:
        self.status = status
        super().__init__(f"{name} ({status})")


def _invalid() -> CublasLtError:
    return CublasLtError(7, "CUBLAS_STATUS_INVALID_VALUE")


def _not_supported() -> CublasLtError:
    return CublasLtError(15, "CUBLAS_STATUS_NOT_SUPPORTED")


class CublasLt:
    """The module, for compute capability `capability`."""

    cuBLASLtError = CublasLtError  # noqa: N815 - nvmath's name

    def __init__(self, schedule: Schedule, capability: tuple[int, int]) -> None:
        self._schedule, self._capability = schedule, capability
        self._numbers = itertools.count(3001)
        self.made: dict[int, dict] = {}  # what has been created and not destroyed
        self.refuse: CublasLtError | None = None  # raised by the next matmul, for tests of the error path
        self.fast = False  # whether the last product was summed fast

    def get_version(self):
        return 120905

    def create(self):
        return self._new(what="handle")

    def destroy(self, light_handle):
        self._gone(light_handle, "handle")

    def matmul_desc_create(self, compute_type, scale_type):
        unset = dict.fromkeys((name for name, _ in _DESC.values()), 0)
        return self._new(what="operation", compute=compute_type, scale=scale_type, **unset)

    def matmul_desc_destroy(self, matmul_desc):
        self._gone(matmul_desc, "operation")

    def matmul_desc_set_attribute(self, matmul_desc, attr, buf, size_in_bytes):
        self._set(self._known(matmul_desc, "operation"), _DESC, attr, buf, size_in_bytes)

    def matrix_layout_create(self, type, rows, cols, ld):
        if ld < rows:
            raise _invalid()
        return self._new(what="layout", type=type, rows=rows, cols=cols, ld=ld)

    def matrix_layout_destroy(self, mat_layout):
        self._gone(mat_layout, "layout")

    def matmul_preference_create(self):
        return self._new(what="preference", workspace=0)

    def matmul_preference_destroy(self, pref):
        self._gone(pref, "preference")

    def matmul_preference_set_attribute(self, pref, attr, buf, size_in_bytes):
        self._set(self._known(pref, "preference"), _PREFERENCE, attr, buf, size_in_bytes)

    def matmul_algo_get_heuristic(
        self, light_handle, operation_desc, adesc, bdesc, cdesc, ddesc, preference, requested_algo_count,
        heuristic_results_array, return_algo_count,
    ):  # fmt: skip
        self._known(light_handle, "handle")
        wanted = self._known(preference, "preference")["workspace"]
        taken = self._fits(operation_desc, adesc, bdesc, cdesc, ddesc)
        matrix(return_algo_count, 1, 1, 1, "int32")[0, 0] = int(taken)
        if taken:  # 96 bytes: the algorithm (8 words), workspace, state, waves, 4 words reserved
            matrix(heuristic_results_array, 9, 1, 9, "uint64")[:, 0] = [_MAGIC, *[0] * 7, min(wanted, 4096)]

    def matmul(
        self, light_handle, compute_desc, alpha, a, adesc, b, bdesc, beta, c, cdesc, d, ddesc, algo, workspace,
        workspace_size_in_bytes, stream,
    ):  # fmt: skip
        self._known(light_handle, "handle")
        if self.refuse:
            error, self.refuse = self.refuse, None
            raise error
        if not self._fits(compute_desc, adesc, bdesc, cdesc, ddesc) or any(x % 16 for x in (a, b, c, d)):
            raise _not_supported()
        if matrix(algo, 1, 1, 1, "uint64")[0, 0] != _MAGIC:
            raise _invalid()
        operation = dict(self._known(compute_desc, "operation"))
        layouts = [dict(self._known(desc, "layout")) for desc in (adesc, bdesc, ddesc)]
        areas = [
            column_major(at, x["rows"], x["cols"], x["ld"], kind)
            for at, x, kind in zip((a, b, d), layouts, ("uint8", "uint8", "float32"), strict=True)
        ]
        work = column_major(workspace, workspace_size_in_bytes, 1, workspace_size_in_bytes, "uint8")
        scales = [
            column_major(operation[name], 1, 1, 1, "float32") for name in ("scale_a", "scale_b") if operation[name]
        ]
        for area in (*areas, work, *scales):
            self._schedule.arena.check(area, "device", "cublasLtMatmul")
        factor, keep = (float(matrix(p, 1, 1, 1, "float32")[0, 0]) for p in (alpha, beta))
        self.fast = bool(operation["fast"])

        @np.errstate(all="ignore")  # a GPU does not warn of infinities
        def action() -> None:
            left, right, result = (
                matrix(at, x["rows"], x["cols"], x["ld"], kind)
                for at, x, kind in zip((a, b, d), layouts, ("uint8", "uint8", "float32"), strict=True)
            )
            scale = factor
            for name in ("scale_a", "scale_b"):
                scale *= float(matrix(operation[name], 1, 1, 1, "float32")[0, 0]) if operation[name] else 1.0
            product = np.float32(scale) * (_e4m3(left).T @ _e4m3(right))
            result[...] = product if keep == 0 else product + np.float32(keep) * result

        reads = [*areas[: 3 if keep else 2], *scales]
        self._schedule.submit(self._schedule.streams[stream], "cublasLtMatmul", reads, [areas[2], work], action)

    def _fits(self, operation: int, a: int, b: int, c: int, d: int) -> bool:
        """Whether there is an algorithm: FP8 in TN with FP32 sums, sizes and leading dimensions in multiples of 16."""
        op = self._known(operation, "operation")
        a, b, c, d = (self._known(desc, "layout") for desc in (a, b, c, d))
        if c != d or a["rows"] != b["rows"] or (d["rows"], d["cols"]) != (a["cols"], b["cols"]):
            raise _invalid()
        return (
            self._capability >= (8, 9)
            and (op["compute"], op["scale"], op["transa"], op["transb"]) == (68, 0, 1, 0)
            and (a["type"], b["type"], d["type"]) == (28, 28, 0)
            and not any(x[size] % 16 for x in (a, b, d) for size in ("rows", "cols", "ld"))
        )

    def _set(self, target: dict, attributes: dict, attribute: int, buf: int, size: int) -> None:
        if attribute not in attributes or size != np.dtype(attributes[attribute][1]).itemsize:
            raise _invalid()
        name, kind = attributes[attribute]
        target[name] = int(matrix(buf, 1, 1, 1, kind)[0, 0])

    def _new(self, **entry) -> int:
        number = next(self._numbers)
        self.made[number] = entry
        return number

    def _known(self, number: int, what: str) -> dict:
        if self.made.get(number, {}).get("what") != what:
            raise _invalid()
        return self.made[number]

    def _gone(self, number: int, what: str) -> None:
        self._known(number, what)
        del self.made[number]


def _e4m3(bits: np.ndarray) -> np.ndarray:
    """The numbers of these bit patterns, float32."""
    exponent, rest = (bits >> 3 & 15).astype(np.int32), (bits & 7).astype(np.float32)
    size = np.where(exponent == 0, np.ldexp(rest, -9), np.ldexp(rest + 8, exponent - 10))
    size[(bits & 127) == 127] = np.nan
    return np.where(bits & 128, -size, size).astype(np.float32)
