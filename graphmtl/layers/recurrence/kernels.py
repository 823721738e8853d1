"""The kernels of :mod:`graphmtl.layers.recurrence.loops_triton`.

The texts of a batch, the longest first, are shared out among groups of GROUP programs, TEXTS to a group. A token is
computed in stages: in some every program has all texts of its group and UNITS of the H hidden units, so that it reads a
small part of the weights only; in the others it has a text, or a part of a text's nodes, and all units. After a stage
the programs of a group wait for one another (:func:`_meet`), and for no other group. A launch goes through all tokens,
or, where programs cannot wait, through one stage of one token: STAGES says which stages, ``begin`` and ``end`` which
tokens.

Names: HP, AP: H and A up to the next power of two; TILE: texts that a program computes at a time; PART: rows of a
matrix that are multiplied at a time; HOW: by sums, or by ``tl.dot`` with that precision; ``now``: which texts have the
token. What another program has written is read past the first cache (``.cg``), which would not hear of it.
"""

import triton
import triton.language as tl

__all__ = ["keys_of_texts", "keys_of_tokens", "message_backward", "message_forward", "plain_backward", "plain_forward"]

ADDITIVE, DOT, STATIC = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
ALL = tl.constexpr(7)
APART = tl.constexpr(32)  # a group's counter from the next, so that each has a line of the cache


# ----------------------------------------------------------------------------------------------- programs, products


@triton.jit
def _meet(counter, goal, GROUP: tl.constexpr):
    """All programs of the group have come here ``goal / GROUP`` times, and what they wrote before can be read."""
    tl.debug_barrier()
    if GROUP > 1:
        tl.atomic_add(counter, 1, sem="release")
        while tl.load(counter, volatile=True) < goal:
            pass
        tl.debug_barrier()


@triton.jit
def _sigmoid(x):
    return 1 / (1 + tl.exp(-x))


@triton.jit
def _tanh(x):
    return 2 / (1 + tl.exp(-2 * x)) - 1


@triton.jit
def _root(A, query):
    """The square root of A in the query's dtype."""
    return tl.sqrt(tl.full((1,), A, tl.int32).to(query.dtype))


@triton.jit
def _product(x, matrix, HOW: tl.constexpr):
    if HOW == "sums":
        product = tl.sum(x[:, :, None] * matrix[None, :, :], 1)
    else:
        product = tl.dot(x, matrix, input_precision=HOW)
    return product


@triton.jit
def _times(
    x, now, matrix, stride, column, inside, ROWS: tl.constexpr, PART: tl.constexpr, HOW: tl.constexpr,
    apart=0, PARTS: tl.constexpr = 1,
):  # fmt: skip
    """Vectors of ROWS numbers at the addresses x (TILE,), or sums of PARTS vectors that are ``apart``, times a matrix:
    its columns ``column``, (TILE, columns)."""
    SIZE: tl.constexpr = 32 if ROWS <= 32 else 64 if ROWS <= 64 else 128 if ROWS <= 128 else 256 if ROWS <= 256 else 512
    AT_ONCE: tl.constexpr = SIZE if SIZE < PART else PART
    part, piece = tl.arange(0, AT_ONCE), tl.arange(0, PARTS)
    total = tl.zeros((x.shape[0], column.shape[0]), matrix.dtype.element_ty)
    for r in range(0, ROWS, AT_ONCE):
        there = r + part < ROWS
        mask = now[:, None] & there[None, :]
        at = x[:, None] + (r + part)[None, :]
        if PARTS == 1:
            value = tl.load(at, mask=mask, other=0.0, cache_modifier=".cg")  # (TILE, AT_ONCE)
        else:
            at = at[:, None, :] + piece[None, :, None] * apart
            value = tl.sum(tl.load(at, mask=mask[:, None, :], other=0.0, cache_modifier=".cg"), 1)
        mask = there[:, None] & inside[None, :]
        weight = tl.load(matrix + (r + part)[:, None] * stride + column[None, :], mask=mask, other=0.0)
        total += _product(value, weight, HOW)
    return total


@triton.jit
def _texts(begins, B, first, limit, TILE: tl.constexpr):
    """Some texts of the group, where they begin, and their lengths, 0 where there is none; (TILE,) each."""
    text = first + tl.arange(0, TILE)
    here = text < limit
    return text, tl.load(begins + text, mask=here, other=0), tl.load(begins + B + text, mask=here, other=0)


# --------------------------------------------------------------------------------------------------------------- cell


@triton.jit
def _cell(
    z, h, c, c_next, now, before, U, unit, H: tl.constexpr, A: tl.constexpr, PART: tl.constexpr, HOW: tl.constexpr
):  # fmt: skip
    """Leaves the activated gates at z and c_t at c_next; c_t and the output gate (TILE, UNITS).

    z, h, c, c_next: (TILE,) addresses; those of h and c hold something where ``before``. Behind the H units stand those
    of the query, of which four dimensions count as one unit, and which is left at z. U (H, 4H + A): the gates of a unit
    stand side by side.
    """
    UNITS: tl.constexpr = unit.shape[0]
    WIDTH: tl.constexpr = 4 * H + A
    cell = unit < H
    own, step = now[:, None] & cell[None, :], tl.where(cell, H, 1)
    at = z[:, None] + tl.where(cell, unit, 4 * unit)[None, :]
    has_i = now[:, None] & (4 * unit < WIDTH)[None, :]
    has_f = now[:, None] & (4 * unit + 1 < WIDTH)[None, :]
    has_g = now[:, None] & (4 * unit + 2 < WIDTH)[None, :]
    has_o = now[:, None] & (4 * unit + 3 < WIDTH)[None, :]
    at_f, at_g, at_o = at + step[None, :], at + 2 * step[None, :], at + 3 * step[None, :]
    z_i = tl.load(at, mask=has_i, other=0.0)
    z_f = tl.load(at_f, mask=has_f, other=0.0)
    z_g = tl.load(at_g, mask=has_g, other=0.0)
    z_o = tl.load(at_o, mask=has_o, other=0.0)
    c_before = tl.load(c[:, None] + unit[None, :], mask=before[:, None] & cell[None, :], other=0.0)
    column = tl.min(unit, 0) * 4 + tl.arange(0, 4 * UNITS)
    said = _times(h, before, U, WIDTH, column, column < WIDTH, H, PART, HOW)  # (TILE, 4 UNITS)
    even, odd = tl.split(tl.reshape(said, (z.shape[0], UNITS, 2, 2)))
    h_i, h_g = tl.split(even)
    h_f, h_o = tl.split(odd)
    z_i, z_f, z_g, z_o = z_i + h_i, z_f + h_f, z_g + h_g, z_o + h_o
    i, f, g, o = _sigmoid(z_i), _sigmoid(z_f), _tanh(z_g), _sigmoid(z_o)
    c_now = f * c_before + i * g
    tl.debug_barrier()  # all threads have read z, of which several may hold the same number
    tl.store(c_next[:, None] + unit[None, :], c_now, mask=own)
    if A > 0:
        i, f = tl.where(cell[None, :], i, z_i), tl.where(cell[None, :], f, z_f)
        g, o = tl.where(cell[None, :], g, z_g), tl.where(cell[None, :], o, z_o)
    tl.store(at, i, mask=has_i)
    tl.store(at_f, f, mask=has_f)
    tl.store(at_g, g, mask=has_g)
    tl.store(at_o, o, mask=has_o)
    return c_now, o


@triton.jit
def _cell_backward(z, grad_z, c, into_c, own, before, unit, H: tl.constexpr):
    """Leaves the gradients of i, f and g before activation at grad_z; that of c_{t-1} (TILE, UNITS).

    z, grad_z, c: (TILE,) addresses, c that of c_{t-1}.
    """
    at = z[:, None] + unit[None, :]
    i = tl.load(at, mask=own, other=0.0)
    f = tl.load(at + H, mask=own, other=0.0)
    g = tl.load(at + 2 * H, mask=own, other=0.0)
    c_before = tl.load(c[:, None] + unit[None, :], mask=own & before[:, None], other=0.0)
    at = grad_z[:, None] + unit[None, :]
    tl.store(at, into_c * g * (i - i * i), mask=own)
    tl.store(at + H, into_c * c_before * (f - f * f), mask=own)
    tl.store(at + 2 * H, into_c * i * (1 - g * g), mask=own)
    return into_c * f


# ------------------------------------------------------------------------------------------------------- K plain LSTMs


@triton.jit(do_not_specialize=["B", "N", "K", "TEXTS", "begin", "end"])
def plain_forward(
    gates, U, states, cells, begins, B, N, K, counters, TEXTS, begin, end,
    H: tl.constexpr, GROUP: tl.constexpr, UNITS: tl.constexpr, TILE: tl.constexpr,
    PART: tl.constexpr, HOW: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """K plain LSTMs: the gates before activation become the activated ones; states and cells are left."""
    slot, group, k, d = tl.program_id(0) % GROUP, tl.program_id(0) // GROUP, tl.program_id(1), tl.program_id(2)
    counter = counters + ((group * K + k) * tl.num_programs(2) + d) * APART
    first, limit = group * TEXTS, tl.minimum(group * TEXTS + TEXTS, B)
    last = tl.minimum(end, tl.load(begins + B + first).to(tl.int32))
    unit = slot * UNITS + tl.arange(0, UNITS)
    U += (d * K + k) * H * 4 * H
    goal = 0
    for t in range(begin, last):
        for some in range(first, limit, TILE):
            _, start, length = _texts(begins, B, some, limit, TILE)
            now = t < length
            row = (d * N + start + t) * K + k  # (TILE,)
            own = now[:, None] & (unit < H)[None, :]
            before = now & (t > 0)
            c_at, h_at = cells + row * H, states + row * H
            z = gates + row * 4 * H
            c, o = _cell(z, h_at - K * H, c_at - K * H, c_at, now, before, U, unit, H, 0, PART, HOW)
            tl.store(h_at[:, None] + unit[None, :], o * _tanh(c), mask=own)
        if STAGES == ALL:
            goal += GROUP
            _meet(counter, goal, GROUP)


@triton.jit(do_not_specialize=["B", "N", "K", "TEXTS", "begin", "end"])
def plain_backward(
    gates, U_T, cells, grad_states, grad_gates, grad_cells, begins, B, N, K, counters, TEXTS, begin, end,
    H: tl.constexpr, GROUP: tl.constexpr, UNITS: tl.constexpr, TILE: tl.constexpr,
    PART: tl.constexpr, HOW: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """The gradients of the gates before activation; grad_cells holds a text's from one token to the next."""
    slot, group, k, d = tl.program_id(0) % GROUP, tl.program_id(0) // GROUP, tl.program_id(1), tl.program_id(2)
    counter = counters + ((group * K + k) * tl.num_programs(2) + d) * APART
    first, limit = group * TEXTS, tl.minimum(group * TEXTS + TEXTS, B)
    last = tl.minimum(end, tl.load(begins + B + first).to(tl.int32))
    unit = slot * UNITS + tl.arange(0, UNITS)
    inside = unit < H
    U_T += (d * K + k) * H * 4 * H
    goal = 0
    for step in range(begin, last):
        t = begin + last - 1 - step
        for some in range(first, limit, TILE):
            text, start, length = _texts(begins, B, some, limit, TILE)
            now, later, before = t < length, t + 1 < length, (t < length) & (t > 0)
            row = (d * N + start + t) * K + k  # (TILE,)
            own = now[:, None] & inside[None, :]
            z, grad_z = gates + row * 4 * H, grad_gates + row * 4 * H
            c_at = cells + row * H
            kept = grad_cells + ((d * K + k) * B + text)[:, None] * H + unit[None, :]
            grad_c = tl.load(kept, mask=later[:, None] & inside[None, :], other=0.0)
            y = _tanh(tl.load(c_at[:, None] + unit[None, :], mask=own, other=0.0))
            o = tl.load(z[:, None] + 3 * H + unit[None, :], mask=own, other=0.0)
            grad_h = tl.load(grad_states + row[:, None] * H + unit[None, :], mask=own, other=0.0)
            grad_h += _times(grad_z + K * 4 * H, later, U_T, H, unit, inside, 4 * H, PART, HOW)
            into_c = grad_c + grad_h * o * (1 - y * y)
            tl.debug_barrier()  # all threads have read what was kept
            tl.store(grad_z[:, None] + 3 * H + unit[None, :], grad_h * y * (o - o * o), mask=own)
            grad_c = _cell_backward(z, grad_z, c_at - K * H, into_c, own, before, unit, H)
            tl.store(kept, grad_c, mask=own)
        if STAGES == ALL:
            goal += GROUP
            _meet(counter, goal, GROUP)


# -------------------------------------------------------------------------------------------------------- message LSTM


@triton.jit
def _score(query, key, u, bias, node, there, A: tl.constexpr, SCORE: tl.constexpr, BIAS: tl.constexpr):
    """s of some nodes (ROWS,), -inf where there is none; key (ROWS, AP)."""
    score = tl.zeros(node.shape, query.dtype)
    if SCORE == DOT:
        score = tl.sum(key * query[None, :], 1) / _root(A, query)
    if SCORE == ADDITIVE:
        score = tl.sum(u[None, :] * _tanh(key + query[None, :]), 1)
    if BIAS:
        score += tl.load(bias + node, mask=there, other=0.0)
    return tl.where(there, score, float("-inf"))


@triton.jit
def _read_part(
    query_at, keys, nodes, u, bias, scores, top_at, total_at, message_at, count, part,
    H: tl.constexpr, A: tl.constexpr, HP: tl.constexpr, AP: tl.constexpr, ROWS: tl.constexpr, PARTS: tl.constexpr,
    SCORE: tl.constexpr, BIAS: tl.constexpr,
):  # fmt: skip
    """What one query reads of every PARTS-th tile of ``count`` nodes: the scores, the largest of them, the sum of the
    powers beside it, and the message times that sum."""
    unit, attribute, place = tl.arange(0, HP), tl.arange(0, AP), tl.arange(0, ROWS)
    inside, within = unit < H, attribute < A
    dtype = nodes.dtype.element_ty
    query, own_u = tl.zeros((AP,), dtype), tl.zeros((AP,), dtype)
    if SCORE != STATIC:
        query = tl.load(query_at + attribute, mask=within, other=0.0, cache_modifier=".cg")
    if SCORE == ADDITIVE:
        own_u = tl.load(u + attribute, mask=within, other=0.0)
    # the softmax in one go, row by row of the tiles: the sums are corrected whenever a larger score is met
    tops, totals, sums = tl.zeros((ROWS,), dtype) - 1e30, tl.zeros((ROWS,), dtype), tl.zeros((ROWS, HP), dtype)
    for s in range(part * ROWS, count, PARTS * ROWS):
        node = s + place
        there = node < count
        mask = there[:, None] & inside[None, :]
        tile = tl.load(nodes + node[:, None] * H + unit[None, :], mask=mask, other=0.0)  # (ROWS, HP)
        key = tile
        if SCORE == ADDITIVE:
            mask = there[:, None] & within[None, :]
            key = tl.load(keys + node[:, None] * A + attribute[None, :], mask=mask, other=0.0)  # (ROWS, AP)
        score = _score(query, key, own_u, bias, node, there, A, SCORE, BIAS)
        tl.store(scores + node, score, mask=there)
        higher = tl.maximum(tops, score)
        power, shrunk = tl.exp(score - higher), tl.exp(tops - higher)
        sums = sums * shrunk[:, None] + power[:, None] * tile
        totals, tops = totals * shrunk + power, higher
    top = tl.max(tops, 0)
    shrunk = tl.exp(tops - top)
    tl.store(message_at + unit, tl.sum(sums * shrunk[:, None], 0), mask=inside)
    tl.store(top_at, top)
    tl.store(total_at, tl.sum(totals * shrunk, 0))


@triton.jit
def _speak(
    said, c, messages, tops, totals, item, now, W_mr, V_m, unit, sums, keeps,
    H: tl.constexpr, PARTS: tl.constexpr, PART: tl.constexpr, HOW: tl.constexpr,
):  # fmt: skip
    """The fusion gate before activation and W_r r of some units, (TILE, UNITS) each.

    said: the parts' messages. c, messages: (TILE,) addresses of c_t and of where the message is left, by one program,
    as are the logarithms of the softmaxes' sums at the addresses ``sums``.
    """
    UNITS: tl.constexpr = unit.shape[0]
    TILE: tl.constexpr = item.shape[0]
    SIZE: tl.constexpr = 32 if H <= 32 else 64 if H <= 64 else 128 if H <= 128 else 256 if H <= 256 else 512
    AT_ONCE: tl.constexpr = SIZE if SIZE < PART else PART
    inside, part, piece = unit < H, tl.arange(0, AT_ONCE), tl.arange(0, PARTS)
    column = tl.min(unit, 0) * 2 + tl.arange(0, 2 * UNITS)
    of_message, of_c = tl.zeros((TILE, 2 * UNITS), V_m.dtype.element_ty), tl.zeros((TILE, UNITS), V_m.dtype.element_ty)
    at = item[:, None] * PARTS + piece[None, :]  # (TILE, PARTS)
    own_top = tl.load(tops + at, mask=now[:, None], other=-1e30, cache_modifier=".cg")
    own_total = tl.load(totals + at, mask=now[:, None], other=0.0, cache_modifier=".cg")
    top = tl.max(own_top, 1)
    share = tl.exp(own_top - top[:, None])  # (TILE, PARTS)
    total = tl.sum(own_total * share, 1)
    total = tl.where(total > 0, total, 1.0)  # no nodes, no message
    share = share / total[:, None]
    for r in range(0, H, AT_ONCE):
        there = r + part < H
        mask = now[:, None] & there[None, :]
        cell = tl.load(c[:, None] + (r + part)[None, :], mask=mask, other=0.0, cache_modifier=".cg")
        pieces = tl.load(
            said + at[:, :, None] * H + (r + part)[None, None, :],
            mask=mask[:, None, :],
            other=0.0,
            cache_modifier=".cg",
        )  # (TILE, PARTS, AT_ONCE)
        rows = (r + part)[:, None]
        of_both = tl.load(
            W_mr + rows * 2 * H + column[None, :], mask=there[:, None] & (column < 2 * H)[None, :], other=0.0
        )
        of_cell = tl.load(V_m + rows * H + unit[None, :], mask=there[:, None] & inside[None, :], other=0.0)
        message = tl.sum(pieces * share[:, :, None], 1)
        of_message += _product(message, of_both, HOW)
        of_c += _product(cell, of_cell, HOW)
        tl.store(messages[:, None] + (r + part)[None, :], message, mask=mask & keeps)
    tl.store(sums, top + tl.log(total), mask=now & keeps)
    m, v = tl.split(tl.reshape(of_message, (TILE, UNITS, 2)))
    return m + of_c, v


@triton.jit(do_not_specialize=["B", "N", "S", "TEXTS", "begin", "end"])
def message_forward(
    z, U, V_m, W_mr, keys, nodes, u, bias, states, cells, messages, scores, sums, reads, tops, totals, said, begins,
    B, N, S, counters, TEXTS, begin, end,
    H: tl.constexpr, A: tl.constexpr, HP: tl.constexpr, AP: tl.constexpr, GROUP: tl.constexpr,
    UNITS: tl.constexpr, TILE: tl.constexpr, PARTS: tl.constexpr, ROWS: tl.constexpr,
    PART: tl.constexpr, HOW: tl.constexpr, SCORE: tl.constexpr, BIAS: tl.constexpr, PER_TEXT: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """A message LSTM: all of a trace but weights and shares, the scores, and the logarithms of their sums."""
    slot, group, d = tl.program_id(0) % GROUP, tl.program_id(0) // GROUP, tl.program_id(1)
    counter = counters + (group * tl.num_programs(1) + d) * APART
    first, limit = group * TEXTS, tl.minimum(group * TEXTS + TEXTS, B)
    last = tl.minimum(end, tl.load(begins + B + first).to(tl.int32))
    unit = slot * UNITS + tl.arange(0, UNITS)
    inside = unit < H
    WIDTH: tl.constexpr = 4 * H + A
    U += d * H * WIDTH
    V_m += d * H * H
    W_mr += d * H * 2 * H
    u += d * A
    goal = 0
    for t in range(begin, last):
        if STAGES & 1:  # the gates, the cell and the query
            for some in range(first, limit, TILE):
                _, start, length = _texts(begins, B, some, limit, TILE)
                now, before = t < length, (t < length) & (t > 0)
                row = d * N + start + t  # (TILE,)
                h, c = states + (row - 1) * H, cells + row * H
                _cell(z + row * WIDTH, h, c - H, c, now, before, U, unit, H, A, PART, HOW)
        if STAGES == ALL:
            goal += GROUP
            _meet(counter, goal, GROUP)
        if STAGES & 2:  # the scores and the message
            for job in range(first * PARTS + slot, limit * PARTS, GROUP):
                text = job // PARTS
                start, length = tl.load(begins + text), tl.load(begins + B + text)
                if t < length:
                    row = d * N + start + t
                    node = (d * N + start) if PER_TEXT else row * S  # the first
                    count = length.to(tl.int32) if PER_TEXT else S
                    at = d * B * PARTS + job
                    _read_part(
                        z + row * WIDTH + 4 * H, keys + node * A, nodes + node * H, u, bias, scores + row * S,
                        tops + at, totals + at, said + at * H, count, job % PARTS,
                        H, A, HP, AP, ROWS, PARTS, SCORE, BIAS,
                    )  # fmt: skip
        if STAGES == ALL:
            goal += GROUP
            _meet(counter, goal, GROUP)
        if STAGES & 4:  # what the message says to the units, and their states
            for some in range(first, limit, TILE):
                text, start, length = _texts(begins, B, some, limit, TILE)
                now = t < length
                row, item = d * N + start + t, d * B + text  # (TILE,)
                own = now[:, None] & inside[None, :]
                c_at = cells + row * H
                c = tl.load(c_at[:, None] + unit[None, :], mask=own, other=0.0, cache_modifier=".cg")
                o_at = (z + row * WIDTH)[:, None] + 3 * H + unit[None, :]
                o = tl.load(o_at, mask=own, other=0.0, cache_modifier=".cg")
                m, v = _speak(
                    said, c_at, messages + row * H, tops, totals, item, now, W_mr, V_m, unit, sums + row, slot == 0,
                    H, PARTS, PART, HOW,
                )  # fmt: skip
                m = _sigmoid(m)
                at = (reads + row * 2 * H)[:, None] + unit[None, :]
                tl.store(at, m, mask=own)
                tl.store(at + H, v, mask=own)
                tl.store((states + row * H)[:, None] + unit[None, :], o * _tanh(c + m * v), mask=own)
        if STAGES == ALL:
            goal += GROUP
            _meet(counter, goal, GROUP)


@triton.jit
def _read_backward(
    into_message_at, message_at, query_at, keys, nodes, u, weights, grad_scores, into_query_at, count, part,
    H: tl.constexpr, A: tl.constexpr, HP: tl.constexpr, AP: tl.constexpr, ROWS: tl.constexpr, PARTS: tl.constexpr,
    SCORE: tl.constexpr,
):  # fmt: skip
    """Leaves the gradients of the scores of every PARTS-th tile of nodes, and what goes into the query from there."""
    unit, attribute, place = tl.arange(0, HP), tl.arange(0, AP), tl.arange(0, ROWS)
    inside, within = unit < H, attribute < A
    dtype = nodes.dtype.element_ty
    query, own_u, into_query = tl.zeros((AP,), dtype), tl.zeros((AP,), dtype), tl.zeros((ROWS, AP), dtype)
    if SCORE != STATIC:
        query = tl.load(query_at + attribute, mask=within, other=0.0)
    if SCORE == ADDITIVE:
        own_u = tl.load(u + attribute, mask=within, other=0.0)
    into_message = tl.load(into_message_at + unit, mask=inside, other=0.0, cache_modifier=".cg")
    mean = tl.sum(into_message * tl.load(message_at + unit, mask=inside, other=0.0), 0)
    for s in range(part * ROWS, count, PARTS * ROWS):
        node = s + place
        there = node < count
        mask = there[:, None] & inside[None, :]
        tile = tl.load(nodes + node[:, None] * H + unit[None, :], mask=mask, other=0.0)  # (ROWS, HP)
        key = tile
        if SCORE == ADDITIVE:
            mask = there[:, None] & within[None, :]
            key = tl.load(keys + node[:, None] * A + attribute[None, :], mask=mask, other=0.0)  # (ROWS, AP)
        weight = tl.load(weights + node, mask=there, other=0.0)
        into_score = weight * (tl.sum(tile * into_message[None, :], 1) - mean)
        tl.store(grad_scores + node, into_score, mask=there)
        if SCORE == DOT:  # the nodes are the keys: A is H
            into_query += into_score[:, None] * key
        if SCORE == ADDITIVE:
            tanh = _tanh(key + query[None, :])
            into_query += into_score[:, None] * (1 - tanh * tanh)
    into = tl.sum(into_query, 0)
    if SCORE == DOT:
        tl.store(into_query_at + attribute, into / _root(A, query), mask=within)
    if SCORE == ADDITIVE:
        tl.store(into_query_at + attribute, into * own_u, mask=within)


@triton.jit(do_not_specialize=["B", "N", "S", "TEXTS", "begin", "end"])
def message_backward(
    z, U_T, W_T, cells, messages, weights, reads, grad_states, keys, nodes, u,
    grad_z, grad_reads, grad_scores, into_messages, into_queries, grad_cells, begins,
    B, N, S, counters, TEXTS, begin, end,
    H: tl.constexpr, A: tl.constexpr, HP: tl.constexpr, AP: tl.constexpr, GROUP: tl.constexpr,
    UNITS: tl.constexpr, TILE: tl.constexpr, PARTS: tl.constexpr, ROWS: tl.constexpr,
    PART: tl.constexpr, HOW: tl.constexpr, SCORE: tl.constexpr, BIAS: tl.constexpr, PER_TEXT: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """The gradients of z but for the query's, of reads and scores, and those of messages and, by part, queries."""
    slot, group, d = tl.program_id(0) % GROUP, tl.program_id(0) // GROUP, tl.program_id(1)
    counter = counters + (group * tl.num_programs(1) + d) * APART
    first, limit = group * TEXTS, tl.minimum(group * TEXTS + TEXTS, B)
    last = tl.minimum(end, tl.load(begins + B + first).to(tl.int32))
    unit = slot * UNITS + tl.arange(0, UNITS)
    inside = unit < H
    WIDTH: tl.constexpr = 4 * H + A
    U_T += d * H * WIDTH
    W_T += d * 2 * H * 2 * H
    u += d * A
    layer = tl.num_programs(1) * N  # rows of a part's queries
    goal = 0
    for step in range(begin, last):
        t = begin + last - 1 - step
        if STAGES & 1:  # what the token after this one sends back, and the reads
            for some in range(first, limit, TILE):
                text, start, length = _texts(begins, B, some, limit, TILE)
                now, later = t < length, t + 1 < length
                row = d * N + start + t  # (TILE,)
                own = now[:, None] & inside[None, :]
                grad_h = tl.load((grad_states + row * H)[:, None] + unit[None, :], mask=own, other=0.0)
                at = (reads + row * 2 * H)[:, None] + unit[None, :]
                m = tl.load(at, mask=own, other=0.0)
                v = tl.load(at + H, mask=own, other=0.0)
                c = tl.load((cells + row * H)[:, None] + unit[None, :], mask=own, other=0.0)
                o = tl.load((z + row * WIDTH)[:, None] + 3 * H + unit[None, :], mask=own, other=0.0)
                kept = grad_cells + (d * B + text)[:, None] * H + unit[None, :]
                grad_c = tl.load(kept, mask=later[:, None] & inside[None, :], other=0.0)
                grad_h += _times(grad_z + (row + 1) * WIDTH, later, U_T, H, unit, inside, 4 * H, PART, HOW)
                if SCORE != STATIC:
                    at, of_query = into_queries + (row + 1) * A, U_T + 4 * H * H
                    grad_h += _times(at, later, of_query, H, unit, inside, A, PART, HOW, layer * A, PARTS)
                y = _tanh(c + m * v)
                grad_y = grad_h * o * (1 - y * y)
                tl.debug_barrier()  # all threads have read what was kept
                at = (grad_reads + row * 2 * H)[:, None] + unit[None, :]
                tl.store(at, grad_y * v * (m - m * m), mask=own)
                tl.store(at + H, grad_y * m, mask=own)
                tl.store((grad_z + row * WIDTH)[:, None] + 3 * H + unit[None, :], grad_h * y * (o - o * o), mask=own)
                tl.store(kept, grad_c + grad_y, mask=own)
        if STAGES == ALL:
            goal += GROUP
            _meet(counter, goal, GROUP)
        if STAGES & 2:  # what goes into the message, the cell and the gates
            for some in range(first, limit, TILE):
                text, start, length = _texts(begins, B, some, limit, TILE)
                now, before = t < length, (t < length) & (t > 0)
                row = d * N + start + t  # (TILE,)
                own = now[:, None] & inside[None, :]
                read = grad_reads + row * 2 * H
                kept = grad_cells + (d * B + text)[:, None] * H + unit[None, :]
                into_c = tl.load(kept, mask=own, other=0.0, cache_modifier=".cg")
                both = tl.min(unit, 0) * 2 + tl.arange(0, 2 * UNITS)  # a unit's part of the message beside that of c
                into = _times(read, now, W_T, 2 * H, both, both < 2 * H, 2 * H, PART, HOW)
                into_message, of_c = tl.split(tl.reshape(into, (TILE, UNITS, 2)))
                into_c += of_c
                tl.debug_barrier()  # all threads have read what was kept
                c = cells + (row - 1) * H
                grad_c = _cell_backward(z + row * WIDTH, grad_z + row * WIDTH, c, into_c, own, before, unit, H)
                tl.store(kept, grad_c, mask=own)
                tl.store((into_messages + row * H)[:, None] + unit[None, :], into_message, mask=own)
        if STAGES == ALL:
            goal += GROUP
            _meet(counter, goal, GROUP)
        if STAGES & 4:  # what goes into the scores and the query
            for job in range(first * PARTS + slot, limit * PARTS, GROUP):
                text = job // PARTS
                start, length = tl.load(begins + text), tl.load(begins + B + text)
                if t < length:
                    row = d * N + start + t
                    node = (d * N + start) if PER_TEXT else row * S  # the first
                    count = length.to(tl.int32) if PER_TEXT else S
                    part = job % PARTS
                    _read_backward(
                        into_messages + row * H, messages + row * H, z + row * WIDTH + 4 * H, keys + node * A,
                        nodes + node * H, u, weights + row * S, grad_scores + row * S,
                        into_queries + (part * layer + row) * A, count, part,
                        H, A, HP, AP, ROWS, PARTS, SCORE,
                    )  # fmt: skip
        if STAGES == ALL:
            goal += GROUP
            _meet(counter, goal, GROUP)


# ------------------------------------------------------------------------ after the loop: keys and u, additive score


@triton.jit
def _key_gradient(query, key, score, mask):
    """What one query sends into keys (ROWS, AP), but for u, and into u."""
    tanh = _tanh(key + query[None, :])
    return tl.where(mask, score[:, None] * (1 - tanh * tanh), 0.0), tl.sum(score[:, None] * tanh, 0)


@triton.jit(do_not_specialize=["B", "N", "S"])
def keys_of_texts(
    z, keys, u, grad_scores, grad_keys, grad_u, begins, B, N, S,
    H: tl.constexpr, A: tl.constexpr, AP: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Tokens of a text are the nodes of all: a program has ROWS of them, and goes through all queries."""
    tile, text, d = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    start, length = tl.load(begins + text), tl.load(begins + B + text)
    node, attribute = tile * ROWS + tl.arange(0, ROWS), tl.arange(0, AP)
    there, within = node < length, attribute < A
    mask = there[:, None] & within[None, :]
    at = (d * N + start + node)[:, None] * A + attribute[None, :]
    key = tl.load(keys + at, mask=mask, other=0.0)
    total, into_u = tl.zeros_like(key), tl.zeros((AP,), key.dtype)
    if tile * ROWS < length:
        for t in range(length):
            row = d * N + start + t
            query = tl.load(z + row * (4 * H + A) + 4 * H + attribute, mask=within, other=0.0)
            score = tl.load(grad_scores + row * S + node, mask=there, other=0.0)
            into_key, of_u = _key_gradient(query, key, score, mask)
            total += into_key
            into_u += of_u
    tl.store(grad_keys + at, total * tl.load(u + d * A + attribute, mask=within, other=0.0)[None, :], mask=mask)
    at = (d * B + text) * tl.num_programs(0) + tile
    tl.store(grad_u + at * A + attribute, into_u, mask=within)


@triton.jit(do_not_specialize=["N", "S"])
def keys_of_tokens(
    z, keys, u, grad_scores, grad_keys, grad_u, N, S,
    H: tl.constexpr, A: tl.constexpr, AP: tl.constexpr, ROWS: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    """Every token has nodes of its own: a program has TOKENS of them."""
    some, d = tl.program_id(0), tl.program_id(1)
    attribute = tl.arange(0, AP)
    within = attribute < A
    own_u = tl.load(u + d * A + attribute, mask=within, other=0.0)
    into_u = tl.zeros_like(own_u)
    for n in range(some * TOKENS, tl.minimum(some * TOKENS + TOKENS, N)):
        row = (d * N + n).to(tl.int64)
        query = tl.load(z + row * (4 * H + A) + 4 * H + attribute, mask=within, other=0.0)
        for s in range(0, S, ROWS):
            node = s + tl.arange(0, ROWS)
            there = node < S
            mask = there[:, None] & within[None, :]
            at = (row * S + node)[:, None] * A + attribute[None, :]
            score = tl.load(grad_scores + row * S + node, mask=there, other=0.0)
            into_key, of_u = _key_gradient(query, tl.load(keys + at, mask=mask, other=0.0), score, mask)
            tl.store(grad_keys + at, into_key * own_u[None, :], mask=mask)
            into_u += of_u
    tl.store(grad_u + (d * tl.num_programs(0) + some) * A + attribute, into_u, mask=within)
