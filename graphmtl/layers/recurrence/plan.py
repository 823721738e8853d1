"""How the kernels in Triton share out a recurrence among the programs that a GPU runs at once."""

from functools import cache
from typing import NamedTuple

import torch
import triton

from graphmtl.layers.packing import Graph

__all__ = ["Plan", "make_plan", "message_choices", "message_plan", "padded", "plain_plan"]

_TILE = 16384  # numbers in a tile of nodes
_MATRIX = 4096  # numbers in a part of a matrix
_TEXTS = 8  # of a group, where there are multiprocessors for so few
_PROGRAMS = 16  # of a group, at most
_FEW, _MANY = 16, 128  # units of a program: up to the first, and above the second, products are taken as sums


class Plan(NamedTuple):
    """How a recurrence is shared out.

    Attributes:
        groups: of programs that wait for one another.
        programs: in a group.
        texts: of a group.
        units: hidden units of a program.
        tile: texts that a program computes at a time.
        warps: of a program.
    """

    groups: int
    programs: int
    texts: int
    units: int
    tile: int = 8
    warps: int = 8

    def choices(self, dtype: torch.dtype, columns: int) -> dict:
        """What a kernel is compiled for, whose matrices have so many columns for each unit.

        A product is taken as such, or as the sums that it is made of, which are faster where there are few units, and
        need no shared memory where there are too many for it. Products of 2 texts were wrong (Triton 3.6).
        """
        how = "ieee" if _FEW < self.units <= _MANY and self.tile >= _TEXTS and dtype == torch.float32 else "sums"
        least = 16 if how == "ieee" else 1
        return {
            "GROUP": self.programs,
            "UNITS": self.units,
            "TILE": self.tile,
            "PART": min(512, max(least, _MATRIX // (columns * self.units))),
            "HOW": how,
            "num_warps": self.warps,
        }


@cache
def _multiprocessors(device: torch.device) -> int:
    """Of a GPU; so many on the CPU that Triton's interpreter has groups of several programs."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 4


@cache
def make_plan(texts: int, recurrences: int, units: int, programs: int, multiprocessors: int) -> Plan:
    """So many texts to a group as a program computes at a time, or fewer where there are multiprocessors for it.

    Args:
        texts: of the batch.
        recurrences: side by side.
        units: to be shared out in a group.
        programs: of a group, at most.
        multiprocessors: of the GPU, each of which runs one program.
    """
    most = max(1, multiprocessors // recurrences)
    groups = max(min(most, triton.cdiv(texts, _TEXTS)), min(texts, most // programs))
    of_a_group = triton.cdiv(texts, groups)
    groups = triton.cdiv(texts, of_a_group)
    programs = max(1, min(most // groups, programs))
    tile = min(_TEXTS, triton.next_power_of_2(of_a_group))
    return Plan(groups, programs, of_a_group, triton.next_power_of_2(triton.cdiv(units, programs)), tile)


def plain_plan(texts: int, recurrences: int, H: int, device: torch.device) -> Plan:
    """For plain LSTMs: no program has fewer than 8 units."""
    return make_plan(texts, recurrences, H, min(_PROGRAMS, triton.cdiv(H, 8)), _multiprocessors(device))


def message_plan(texts: int, directions: int, graph: Graph, device: torch.device) -> Plan:
    """For a message LSTM: four dimensions of the query are a unit, and a text's nodes are work for all programs."""
    units = graph.nodes.size(-1) + triton.cdiv(graph.attention, 4)
    programs = _PROGRAMS if graph.nodes.ndim == 3 else min(_PROGRAMS, triton.cdiv(units, 8))
    return make_plan(texts, directions, units, programs, _multiprocessors(device))


def padded(size: int) -> int:
    """The next power of 2, of which a tile has 16 or more."""
    return max(16, triton.next_power_of_2(size))


def _below(number: int) -> int:
    """The largest power of 2 that is not above, and 1 where there is none."""
    return 1 << max(0, number.bit_length() - 1)


def message_choices(graph: Graph, plan: Plan) -> dict:
    """What a message kernel is compiled for."""
    H, A = graph.nodes.size(-1), graph.attention
    WP, AP, per_text = padded(2 * H), padded(A), graph.nodes.ndim == 3
    rows = max(1, _TILE // max(WP, AP))
    return {
        "H": H,
        "A": A,
        "WP": WP,
        "AP": AP,
        "PARTS": _below(min(plan.programs // plan.texts, _PROGRAMS)) if per_text else 1,
        "ROWS": rows if per_text else min(rows, padded(graph.nodes.size(2))),
        "SCORE": ("additive", "dot", "static").index(graph.score),
        "BIAS": graph.bias is not None,
        "PER_TEXT": per_text,
    }
