import io

import pytest
from rich.console import Console

from graphmtl.reporting.benefit_tables import benefit_tables

CHOICE = {"chosen": 0.02, "random": 0.01, "best": 0.05, "regret": 0.03, "share": 0.25}
KNOWN = {"within": 0.412, "p_value": 0.0004999, "sign": 0.71, "choice": CHOICE, "rows": 6}
UNKNOWN = {"within": None, "p_value": None, "sign": None, "choice": None, "rows": 0}
GAINS = {
    "conclusion": "attention predicts which partner helps in part (0.41 of 0.70)",
    "ceiling": {
        "split_half": 0.25,
        "reliability": 0.5,
        "correlation": 0.7,
        "by_target": [0.1, 0.4, 0.2, 0.3],
        "p_value": 0.012,
    },
    "guide": CHOICE,
    "pictures": {"attention": KNOWN, "ablation_zeroed": UNKNOWN},
    "without_graph": {"tfidf": {**KNOWN, "within": -0.2, "p_value": 0.7341}},
    "truth": None,
}
FOUND = {
    "tasks": ["a", "b", "c", "d"],
    "seeds": [0, 1, 2],
    "together": GAINS,
    "left_out": {**GAINS, "truth": KNOWN},
    "top": 2,
    "groups": {
        "attention": {"loss": [0.5, 0.6, 0.7], "score": [0.7, 0.7, 0.7]},
        "tfidf": {"loss": [0.6, 0.6, 0.6], "score": [0.6, 0.6, 0.6]},
        **{name: {"loss": [0.6, 0.7, 0.8], "score": [0.65] * 3} for name in ("random", "gains", "all", "alone")},
    },
}


@pytest.fixture
def printed():
    def printed(found):
        console = Console(file=io.StringIO(), width=80)
        for title, table in benefit_tables(found, {"tfidf": "TF-IDF cosine"}).items():
            console.print(title)
            console.print(table)
        return console.file.getvalue()

    return printed


def test_the_ceiling_and_the_conclusion_stand_first(printed):
    title = next(iter(benefit_tables(FOUND, {"tfidf": "TF-IDF cosine"})))
    assert title.splitlines()[1:] == [
        GAINS["conclusion"],
        "noise ceiling 0.70: halves of seeds and texts agree by 0.25, p .012",
        "who helps is most settled for b 0.40, d 0.30, c 0.20",
    ]


def test_rows(printed):
    lines = [line.split() for line in printed(FOUND).splitlines()]
    assert ["attention", "+0.41", "<.001", "0.71", "0.0300", "25%"] in lines
    assert ["ablation,", "zeroed", "-", "-", "-", "-", "-"] in lines
    assert ["TF-IDF", "cosine", "-0.20", ".734", "0.71", "0.0300", "25%"] in lines
    assert ["a", "source", "at", "random", "0.0400", "0%"] in lines
    assert sum(line[:3] == ["the", "true", "edges"] for line in lines) == 1  # where they are known


def test_graphs_against_all_edges(printed):
    lines = [line.split() for line in printed(FOUND).splitlines()]
    assert ["attention", "0.6000", "-0.1000", "±", "0.0000", "70.0"] in lines
    assert ["TF-IDF", "cosine", "0.6000", "-0.1000", "±", "0.2484", "60.0"] in lines
    assert ["all", "edges", "0.7000", "65.0"] in lines


def test_without_groups_there_is_no_table_of_them(printed):
    assert "The graph cut to 2 sources" in printed(FOUND)
    assert "The graph cut" not in printed({**FOUND, "groups": {}})


def test_all_lines_fit_80_columns():
    long = "attention predicts which partner helps in part (0.41 of 0.70); TF-IDF cosine, which needs no graph, too"
    found = {**FOUND, "together": {**GAINS, "conclusion": long}}
    tables = benefit_tables(found, {"tfidf": "TF-IDF cosine"})
    assert max(len(line) for title in tables for line in title.splitlines()) <= 80
    for table in tables.values():
        assert Console(width=200).measure(table).maximum <= 80
