"""Layers and architectures for models and loops of one's own, in the manner of ``torch.nn`` and ``torch_geometric.nn``.

An architecture takes padded token vectors and a task, and gives the task's states, which any head can read:

>>> import torch
>>> from graphmtl.nn import Star
>>> star = Star(tasks=["books", "dvd"], input_size=300, hidden=64)
>>> x, lengths = torch.randn(2, 7, 300), torch.tensor([7, 3])
>>> states = star(x, "dvd", lengths)
>>> states.shape
torch.Size([2, 7, 128])

Each says of its equations, options and shapes in its docstring, ``help(Star)``. Layers below them are ``LSTM``,
``MessageLSTM`` and ``TaskInteraction``.
"""

from graphmtl.architectures.adapterfusion import AdapterFusion
from graphmtl.architectures.adapters import TaskAdapters
from graphmtl.architectures.adversarial import Adversarial
from graphmtl.architectures.architecture import Architecture
from graphmtl.architectures.cmtr import CMTR
from graphmtl.architectures.complete import Complete
from graphmtl.architectures.cross_stitch import CrossStitch
from graphmtl.architectures.mmoe import MMoE
from graphmtl.architectures.ple import PLE
from graphmtl.architectures.shared import Shared
from graphmtl.architectures.shared_private import SharedPrivate
from graphmtl.architectures.single import Single
from graphmtl.architectures.star import Star
from graphmtl.layers.interaction import EdgeWeights
from graphmtl.layers.message_lstm import LSTM, MessageLSTM
from graphmtl.layers.task_interaction import TaskInteraction

__all__ = [
    "CMTR",
    "LSTM",
    "PLE",
    "AdapterFusion",
    "Adversarial",
    "Architecture",
    "Complete",
    "CrossStitch",
    "EdgeWeights",
    "MMoE",
    "MessageLSTM",
    "Shared",
    "SharedPrivate",
    "Single",
    "Star",
    "TaskAdapters",
    "TaskInteraction",
]
