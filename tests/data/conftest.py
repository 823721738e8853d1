import pytest


@pytest.fixture
def data_dir(tmp_path):
    """A tiny FDU-MTL, 300 training and 10 test reviews in each of two domains."""
    folder = tmp_path / "data" / "fdu-mtl"
    folder.mkdir(parents=True)
    for name in ("books", "MR"):
        for split, n in {"train": 300, "test": 10}.items():
            lines = [f"{i % 2}\t{name} {split} review number {i} ." for i in range(n)]
            (folder / f"{name}.task.{split}").write_text("".join(f"{line}\n" for line in lines))
    return tmp_path / "data"
