"""What ``graphmtl explain`` leaves in a run's folder."""

from graphmtl.training.run_folder import Run

PAIRS = [("attention", "ablation_renormalised"), ("contribution", "ablation_zeroed")]


def explain(run: Run) -> dict:
    """Writes ``explanation.json`` with made-up numbers."""
    tasks = list(run.task_graph.tasks)
    picture = [[None if k == j else 0.1 * k + 0.3 * j for j in range(len(tasks))] for k in range(len(tasks))]

    def correlations(shift: float) -> list[dict]:
        found = [0.75 - shift, 0.5 - shift]
        return [
            {"a": a, "b": b, "spearman": x, "p": 0.01, "targets": 3} for (a, b), x in zip(PAIRS, found, strict=True)
        ]

    explanation = {
        "arch": run.options.arch,
        "split": "test",
        "tasks": tasks,
        "pictures": dict.fromkeys(("attention", "contribution", "ablation_renormalised", "ablation_zeroed"), picture),
        "correlations": correlations(0.0),
        "controls": {
            "untrained": {"correlations": correlations(0.625)},
            "shuffled_labels": {"correlations": correlations(0.5)},
        },
        "removal": {"edges": [1, 2], "top": [0.2, 0.3], "random": [0.1, 0.15], "bottom": [0.0, 0.01]},
    }
    run.write_json("explanation.json", explanation)
    return explanation
