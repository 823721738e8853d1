from graphmtl.cli import main


def test_its_help_says_how_a_run_starts_from_it(capsys):
    main(["pretrain", "--help"])
    assert "--pretrained DIR" in capsys.readouterr().out


def test_an_encoder_that_is_pre_trained_already(error_of, tmp_path):
    error = error_of("pretrain", "--encoder", "some-bert", "--output", tmp_path / "folder")
    assert "--encoder some-bert is pre-trained already; accepted: --encoder lstm" in error
