from benchmarks.processes import table


def test_the_table_has_medians_and_what_two_are_worth_of_one():
    found = {("star", 32): {1: [90.0, 100.0, 4000.0], 2: [150.0, 10.0, 160.0]}}
    assert table(found)[2:] == ["| star | 32 | 100 | 150 | 1.50 |"]
