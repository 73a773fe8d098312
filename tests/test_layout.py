"""What must hold of the tree as a whole: imports go down only, nothing heavy is imported before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"numba", "scipy", "cupy", "mpi4py", "matplotlib", "sqlalchemy", "openpyxl", "flopbench_kernels"}

#: The floors of the house, lowest first; a module may import its own floor and those below (DESIGN: imports go down only).
FLOORS = [
    {"errors", "units"},
    {"precision", "flops", "gpu", "blas_threads"},
    {"kernel_api"},
    {"compiled", "registry", "comm", "hpl_matrix", "machine", "results"},
    {
        "timing",
        "verify",
        "specs",
        "energy",
        "ceiling",
        "progress",
        "provenance",
        "plan",
        "lu_model",
        "gpu_time",
        "choose",
        "peaks",
        "kernel_list",
    },
    {"measure", "record", "hpl_dat", "config"},
    {"hpl_run"},
    {"run", "info"},
    {"report", "compare", "inventory"},
    {"gpu_selftest"},
    {"cli"},
]


def modules(folder: Path):
    return sorted(path for path in folder.rglob("*.py") if ".venv" not in path.parts)


def imported_at_module_level(path: Path) -> set[str]:
    """Dotted names that `path` imports when it is imported, TYPE_CHECKING blocks and functions left out."""
    found: set[str] = set()

    def visit(body):
        for node in body:
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, (ast.Try, ast.With, ast.ClassDef, ast.If)):
                visit(node.body if "TYPE_CHECKING" not in ast.dump(getattr(node, "test", node)) else [])

    visit(ast.parse(path.read_text()).body)
    return found


def floor_of(dotted: str) -> int | None:
    parts = dotted.split(".")
    if parts[0] != "flopbench" or len(parts) < 2:
        return None
    return next((index for index, names in enumerate(FLOORS) if parts[1] in names), None)


@pytest.mark.parametrize("path", modules(ROOT / "flopbench"), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(path):
    own = floor_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if own is None:
        return
    for name in imported_at_module_level(path):
        other = floor_of(name)
        assert other is None or other <= own, f"{path.name} is below {name}, which it imports"


@pytest.mark.parametrize("path", modules(ROOT / "flopbench"), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_harness_imports_no_heavy_library_at_import_time(path):
    parts = path.relative_to(ROOT).parts
    compiled = "compiled" in parts
    # Behind these folders the library is what the module is about; nobody above imports them at module level.
    home = {"numba"} if compiled else {"sqlalchemy"} if "inventory" in parts and "cli" not in parts else set()
    for name in imported_at_module_level(path):
        top = name.split(".")[0]
        assert top not in HEAVY - home, f"{path.name} imports {name} at module level"
        assert "inventory" in parts or not name.startswith("flopbench.inventory"), f"{path.name} imports {name}"
        assert compiled or not name.startswith("flopbench.compiled"), f"{path.name} imports {name} at module level"


@pytest.mark.parametrize("path", modules(ROOT / "kernels"), ids=lambda p: str(p.relative_to(ROOT)))
def test_kernels_see_only_the_contract_and_never_a_clock(path):
    # gpu: may a GPU be used, and which one; one place says why not, to the harness and to kernels (docs/decisions)
    allowed = {"kernel_api", "precision", "errors", "compiled", "gpu", "blas_threads"}
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            parts = name.split(".")
            assert parts[0] not in {"time", "timeit", "datetime"}, (
                f"{path.name} imports {name}: kernels cannot touch the clock"
            )
            assert parts[0] != "flopbench" or parts[1] in allowed, f"{path.name} imports {name}"


@pytest.mark.parametrize(
    "statement",
    [
        "import flopbench",
        "import flopbench.cli",
        "import flopbench.cli.inventory",
        "import flopbench.cli.submit",
        "import flopbench.results",
    ],
)
def test_importing_flopbench_imports_nothing_heavy(statement):
    code = f"{statement}; import sys; print([m for m in {sorted(HEAVY)!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_folders_that_are_no_packages_have_no_init():
    """With one, `kernels` or `tests` would shadow other people's packages of that name when run from the checkout."""
    for folder in ("kernels", "tests", "configs", "results"):
        assert not (ROOT / folder / "__init__.py").exists()
