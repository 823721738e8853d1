"""What several tests of training have: a transfer in its quickest form, and a task that joins."""

import pytest

from graphmtl.cli import main
from graphmtl.training.run import Run

FILE = """
tasks:
  tone:
    train: tone.tsv
    test: tone.tsv
    valid: 0.25
    labels: [dull, so so, fine, great]
"""


@pytest.fixture
def tone(tmp_path) -> str:
    """A task of other labels, with words of its own; its test split is its training split."""
    rows = [
        f"{word}{i % 5} film {i}\t{label}" for i in range(30) for word, label in (("bad", "dull"), ("Good", "great"))
    ]
    rows += ["so\tso so", "well well\tfine", "well\tfine", "so so so\tso so"]
    (tmp_path / "tone.tsv").write_text("\n".join(["text\tlabel", *rows, ""]))
    (tmp_path / "tone.yaml").write_text(FILE)
    (tmp_path / "more.yaml").write_text(FILE.replace("tone:", "more:"))
    return str(tmp_path / "tone.yaml")


@pytest.fixture
def transfer(tmp_path, capsys):
    """``graphmtl transfer`` in its quickest form."""

    def transfer(source, task, *arguments, output="new") -> Run:
        flags = ["--steps", "0", "--epochs", "2", "--no-progress", "--output", str(tmp_path / output)]
        main(["transfer", str(source), "--task", task, *flags, *map(str, arguments)])
        return Run.open(tmp_path / output)

    return transfer
