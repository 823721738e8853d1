"""Options that ship with the package, ``--config NAME``: those behind the tables of benchmarks/results."""

from pathlib import Path

from graphmtl.errors import InputError

__all__ = ["preset_file", "presets"]

_FOLDER = Path(__file__).parent


def presets() -> list[str]:
    """Their names."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def preset_file(name: str) -> Path:
    """The file that ``--config`` names: a path, or else a preset.

    Raises:
        InputError: it is neither.
    """
    if name in presets() and not Path(name).exists():
        return _FOLDER / f"{name}.yaml"
    if not Path(name).suffix and "/" not in name and not Path(name).exists():
        raise InputError(f"--config {name}: no such file, and no preset of that name (known: {', '.join(presets())})")
    return Path(name)
