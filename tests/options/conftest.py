import inspect
import math
import re
import warnings
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Literal, get_args, get_origin
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from graphmtl.architectures import ARCHITECTURES, architecture_class
from graphmtl.cli import run_verb
from graphmtl.config import Options
from graphmtl.errors import InputError
from graphmtl.models.model_options import make_model_options
from graphmtl.options import changed, make_options, options_class, parse_options, read_options
from graphmtl.options.groups import elsewhere
from graphmtl.run import run_and_report
from graphmtl.training.run_folder import Run
from tests.tiny import OPTIONS, flags


@pytest.fixture
def run(tmp_path):
    """The folder of a run of a star with an option that is not the default."""
    Run(tmp_path / "run").create(make_options(arch="star", lr=0.5, epochs=3, output="elsewhere"))
    return tmp_path / "run"

