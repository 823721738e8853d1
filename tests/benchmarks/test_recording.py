from benchmarks import recording


def test_both_passes_are_timed_and_printed(capsys):
    recording.main(["--archs", "complete,star", "--scores", "dot", "--repeats", "2", "--texts", "2", "--length", "5"])
    lines = capsys.readouterr().out.splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert names == ["arch", "complete, dot", "star, dot"]
    for line in lines[-2:]:
        without, recorded, ratio = (float(cell) for cell in line.split("|")[2:5])
        assert min(without, recorded, ratio) > 0
