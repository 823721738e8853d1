"""The kernels of :mod:`graphmtl.layers.recurrence.loops_triton`.

The texts of a batch, the longest first, are shared out among groups of GROUP programs, TEXTS to a group. A token is
computed in stages: in all of them every program has all texts of its group and UNITS of the H hidden units, so that it
reads a small part of the weights only; in the second it also has a text, or a part of a text's nodes, and all units.
After a stage the programs of a group wait for one another (:func:`_meet`), and for no other group. A launch goes
through all tokens, or, where programs cannot wait, through one stage of one token: STAGES says which stages, ``begin``
and ``end`` which tokens.

Names: AP, WP: A and 2H up to the next power of two; TILE: texts that a program computes at a time; PART: rows of a
matrix that are multiplied at a time; HOW: by sums, or by ``tl.dot`` with that precision; ``now``: which texts have the
token. What another program has written is read past the first cache (``.cg``), which would not hear of it.
"""

import triton
import triton.language as tl

__all__ = ["keys_of_texts", "keys_of_tokens", "message_backward", "message_forward", "plain_backward", "plain_forward"]

ADDITIVE, DOT, STATIC = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
ALL = tl.constexpr(3)
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
def _cell(z, said, c, c_next, now, before, unit, H: tl.constexpr, A: tl.constexpr):
    """Leaves the activated gates at z and c_t at c_next; c_t and the output gate (TILE, UNITS).

    z, c, c_next: (TILE,) addresses; that of c holds something where ``before``. said: h_{t-1} U, (TILE, 4 UNITS).
    Behind the H units stand those of the query, of which four dimensions count as one unit, and which is left at z. In
    U (H, 4H + A) the gates of a unit stand side by side.
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
    column = slot * 4 * UNITS + tl.arange(0, 4 * UNITS)
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
            said = _times(h_at - K * H, before, U, 4 * H, column, column < 4 * H, H, PART, HOW)  # (TILE, 4 UNITS)
            c, o = _cell(gates + row * 4 * H, said, c_at - K * H, c_at, now, before, unit, H, 0)
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
    query_at, keys, says, u, bias, scores, top_at, total_at, said_at, count, part,
    H: tl.constexpr, A: tl.constexpr, WP: tl.constexpr, AP: tl.constexpr, ROWS: tl.constexpr, PARTS: tl.constexpr,
    SCORE: tl.constexpr, BIAS: tl.constexpr,
):  # fmt: skip
    """What one query reads of every PARTS-th tile of ``count`` nodes: the scores, the largest of them, the sum of the
    powers beside it, and what the nodes say, times that sum."""
    place, attribute, row = tl.arange(0, WP), tl.arange(0, AP), tl.arange(0, ROWS)
    inside, within = place < 2 * H, attribute < A
    dtype = says.dtype.element_ty
    query, own_u = tl.zeros((AP,), dtype), tl.zeros((AP,), dtype)
    if SCORE != STATIC:
        query = tl.load(query_at + attribute, mask=within, other=0.0, cache_modifier=".cg")
    if SCORE == ADDITIVE:
        own_u = tl.load(u + attribute, mask=within, other=0.0)
    # the softmax in one go, row by row of the tiles: the sums are corrected whenever a larger score is met
    tops, totals, sums = tl.zeros((ROWS,), dtype) - 1e30, tl.zeros((ROWS,), dtype), tl.zeros((ROWS, WP), dtype)
    for s in range(part * ROWS, count, PARTS * ROWS):
        node = s + row
        there = node < count
        mask = there[:, None] & inside[None, :]
        tile = tl.load(says + node[:, None] * 2 * H + place[None, :], mask=mask, other=0.0)  # (ROWS, WP)
        key = tile
        if SCORE != STATIC:
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
    tl.store(said_at + place, tl.sum(sums * shrunk[:, None], 0), mask=inside)
    tl.store(top_at, top)
    tl.store(total_at, tl.sum(totals * shrunk, 0))


@triton.jit
def _shares(tops, totals, item, now, PARTS: tl.constexpr):
    """Of the parts of a text's nodes in what is read there: (TILE, PARTS)."""
    at = item[:, None] * PARTS + tl.arange(0, PARTS)[None, :]
    top = tl.load(tops + at, mask=now[:, None], other=-1e30, cache_modifier=".cg")
    total = tl.load(totals + at, mask=now[:, None], other=0.0, cache_modifier=".cg")
    share = tl.exp(top - tl.max(top, 1)[:, None])
    whole = tl.sum(total * share, 1)
    return share / tl.where(whole > 0, whole, 1.0)[:, None]  # no nodes, no message


@triton.jit
def _state_times(
    said, of_cells, shares, item, c, o, now, matrix, stride, column, inside,
    H: tl.constexpr, PARTS: tl.constexpr, PART: tl.constexpr, HOW: tl.constexpr,
):  # fmt: skip
    """The states o * tanh(c + m * W_r r) times a matrix: its columns ``column``, (TILE, columns).

    said: the parts' W_m r beside W_r r; of_cells: c V_m. c, o: (TILE,) addresses, which hold something where ``now``.
    """
    SIZE: tl.constexpr = 32 if H <= 32 else 64 if H <= 64 else 128 if H <= 128 else 256 if H <= 256 else 512
    AT_ONCE: tl.constexpr = SIZE if SIZE < PART else PART
    part, piece = tl.arange(0, AT_ONCE), tl.arange(0, PARTS)
    total = tl.zeros((item.shape[0], column.shape[0]), matrix.dtype.element_ty)
    for r in range(0, H, AT_ONCE):
        unit = r + part
        mask = now[:, None] & (unit < H)[None, :]
        pieces = (item[:, None] * PARTS + piece[None, :])[:, :, None] * 2 * H + unit[None, None, :]
        of_m = tl.load(said + pieces, mask=mask[:, None, :], other=0.0, cache_modifier=".cg")
        of_v = tl.load(said + H + pieces, mask=mask[:, None, :], other=0.0, cache_modifier=".cg")
        of_c = tl.load(of_cells + item[:, None] * H + unit[None, :], mask=mask, other=0.0, cache_modifier=".cg")
        cell = tl.load(c[:, None] + unit[None, :], mask=mask, other=0.0, cache_modifier=".cg")
        gate = tl.load(o[:, None] + unit[None, :], mask=mask, other=0.0, cache_modifier=".cg")
        m = _sigmoid(tl.sum(of_m * shares[:, :, None], 1) + of_c)
        h = gate * _tanh(cell + m * tl.sum(of_v * shares[:, :, None], 1))  # (TILE, AT_ONCE)
        there = (unit < H)[:, None] & inside[None, :]
        weight = tl.load(matrix + unit[:, None] * stride + column[None, :], mask=there, other=0.0)
        total += _product(h, weight, HOW)
    return total


@triton.jit(do_not_specialize=["B", "N", "S", "TEXTS", "begin", "end"])
def message_forward(
    z, U, V_m, keys, says, u, bias, cells, scores, tops, totals, said, of_cells, begins,
    B, N, S, counters, TEXTS, begin, end,
    H: tl.constexpr, A: tl.constexpr, WP: tl.constexpr, AP: tl.constexpr, GROUP: tl.constexpr,
    UNITS: tl.constexpr, TILE: tl.constexpr, PARTS: tl.constexpr, ROWS: tl.constexpr,
    PART: tl.constexpr, HOW: tl.constexpr, SCORE: tl.constexpr, BIAS: tl.constexpr, PER_TEXT: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """A message LSTM: z becomes the activated gates and the query; cells and scores are left. All else of a trace
    follows from them without a loop.

    says: W_m n beside W_r n of every node n, as a message is a sum of nodes; tops, totals, said: what was read of the
    last token; of_cells: its c V_m.
    """
    slot, group, d = tl.program_id(0) % GROUP, tl.program_id(0) // GROUP, tl.program_id(1)
    counter = counters + (group * tl.num_programs(1) + d) * APART
    first, limit = group * TEXTS, tl.minimum(group * TEXTS + TEXTS, B)
    last = tl.minimum(end, tl.load(begins + B + first).to(tl.int32))
    unit = slot * UNITS + tl.arange(0, UNITS)
    column = slot * 4 * UNITS + tl.arange(0, 4 * UNITS)
    WIDTH: tl.constexpr = 4 * H + A
    U += d * H * WIDTH
    V_m += d * H * H
    u += d * A
    goal = 0
    for t in range(begin, last):
        if STAGES & 1:  # the state before, the gates, the cell and the query
            for some in range(first, limit, TILE):
                text, start, length = _texts(begins, B, some, limit, TILE)
                now, before = t < length, (t < length) & (t > 0)
                row, item = d * N + start + t, d * B + text  # (TILE,)
                own, c = z + row * WIDTH, cells + row * H
                of_state = _state_times(
                    said, of_cells, _shares(tops, totals, item, before, PARTS), item, c - H, own - WIDTH + 3 * H,
                    before, U, WIDTH, column, column < WIDTH, H, PARTS, PART, HOW,
                )  # fmt: skip
                _cell(own, of_state, c - H, c, now, before, unit, H, A)
        if STAGES == ALL:
            goal += GROUP
            _meet(counter, goal, GROUP)
        if STAGES & 2:  # the scores, and what the nodes and the cell say
            for job in range(first * PARTS + slot, limit * PARTS, GROUP):
                text = job // PARTS
                start, length = tl.load(begins + text), tl.load(begins + B + text)
                if t < length:
                    row = d * N + start + t
                    node = (d * N + start) if PER_TEXT else row * S  # the first
                    count = length.to(tl.int32) if PER_TEXT else S
                    at = d * B * PARTS + job
                    _read_part(
                        z + row * WIDTH + 4 * H, keys + node * A, says + node * 2 * H, u, bias, scores + row * S,
                        tops + at, totals + at, said + at * 2 * H, count, job % PARTS,
                        H, A, WP, AP, ROWS, PARTS, SCORE, BIAS,
                    )  # fmt: skip
            for some in range(first, limit, TILE):
                text, start, length = _texts(begins, B, some, limit, TILE)
                now, row, item = t < length, d * N + start + t, d * B + text
                of_cell = _times(cells + row * H, now, V_m, H, unit, unit < H, H, PART, HOW)  # (TILE, UNITS)
                at = (of_cells + item * H)[:, None] + unit[None, :]
                tl.store(at, of_cell, mask=now[:, None] & (unit < H)[None, :])
        if STAGES == ALL:
            goal += GROUP
            _meet(counter, goal, GROUP)


@triton.jit
def _read_backward(
    into_read_at, read_at, query_at, keys, says, u, weights, grad_scores, into_query_at, count, part,
    H: tl.constexpr, A: tl.constexpr, WP: tl.constexpr, AP: tl.constexpr, ROWS: tl.constexpr, PARTS: tl.constexpr,
    SCORE: tl.constexpr,
):  # fmt: skip
    """Leaves the gradients of the scores of every PARTS-th tile of nodes, and what goes into the query from there."""
    place, attribute, row = tl.arange(0, WP), tl.arange(0, AP), tl.arange(0, ROWS)
    inside, within = place < 2 * H, attribute < A
    dtype = says.dtype.element_ty
    query, own_u, into_query = tl.zeros((AP,), dtype), tl.zeros((AP,), dtype), tl.zeros((ROWS, AP), dtype)
    if SCORE != STATIC:
        query = tl.load(query_at + attribute, mask=within, other=0.0)
    if SCORE == ADDITIVE:
        own_u = tl.load(u + attribute, mask=within, other=0.0)
    into_read = tl.load(into_read_at + place, mask=inside, other=0.0, cache_modifier=".cg")
    mean = tl.sum(into_read * tl.load(read_at + place, mask=inside, other=0.0), 0)
    for s in range(part * ROWS, count, PARTS * ROWS):
        node = s + row
        there = node < count
        mask = there[:, None] & inside[None, :]
        tile = tl.load(says + node[:, None] * 2 * H + place[None, :], mask=mask, other=0.0)  # (ROWS, WP)
        key = tile
        if SCORE != STATIC:
            mask = there[:, None] & within[None, :]
            key = tl.load(keys + node[:, None] * A + attribute[None, :], mask=mask, other=0.0)  # (ROWS, AP)
        weight = tl.load(weights + node, mask=there, other=0.0)
        into_score = weight * (tl.sum(tile * into_read[None, :], 1) - mean)
        tl.store(grad_scores + node, into_score, mask=there)
        if SCORE == DOT:
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
    z, U_T, V_T, cells, weights, reads, sums, grad_states, keys, says, u,
    grad_z, grad_reads, grad_scores, into_queries, grad_cells, begins,
    B, N, S, counters, TEXTS, begin, end,
    H: tl.constexpr, A: tl.constexpr, WP: tl.constexpr, AP: tl.constexpr, GROUP: tl.constexpr,
    UNITS: tl.constexpr, TILE: tl.constexpr, PARTS: tl.constexpr, ROWS: tl.constexpr,
    PART: tl.constexpr, HOW: tl.constexpr, SCORE: tl.constexpr, BIAS: tl.constexpr, PER_TEXT: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """The gradients of z but for the query's, of reads and scores, and, by part, that of queries.

    reads: m beside W_r r; sums: W_m r beside W_r r, the sums of what the nodes say.
    """
    slot, group, d = tl.program_id(0) % GROUP, tl.program_id(0) // GROUP, tl.program_id(1)
    counter = counters + (group * tl.num_programs(1) + d) * APART
    first, limit = group * TEXTS, tl.minimum(group * TEXTS + TEXTS, B)
    last = tl.minimum(end, tl.load(begins + B + first).to(tl.int32))
    unit = slot * UNITS + tl.arange(0, UNITS)
    inside = unit < H
    WIDTH: tl.constexpr = 4 * H + A
    U_T += d * H * WIDTH
    V_T += d * H * H
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
        if STAGES & 2:  # what goes into the scores and the query, the cell and the gates
            for job in range(first * PARTS + slot, limit * PARTS, GROUP):
                text = job // PARTS
                start, length = tl.load(begins + text), tl.load(begins + B + text)
                if t < length:
                    row = d * N + start + t
                    node = (d * N + start) if PER_TEXT else row * S  # the first
                    count = length.to(tl.int32) if PER_TEXT else S
                    part = job % PARTS
                    _read_backward(
                        grad_reads + row * 2 * H, sums + row * 2 * H, z + row * WIDTH + 4 * H, keys + node * A,
                        says + node * 2 * H, u, weights + row * S, grad_scores + row * S,
                        into_queries + (part * layer + row) * A, count, part,
                        H, A, WP, AP, ROWS, PARTS, SCORE,
                    )  # fmt: skip
            for some in range(first, limit, TILE):
                text, start, length = _texts(begins, B, some, limit, TILE)
                now, before = t < length, (t < length) & (t > 0)
                row = d * N + start + t  # (TILE,)
                own = now[:, None] & inside[None, :]
                kept = grad_cells + (d * B + text)[:, None] * H + unit[None, :]
                into_c = tl.load(kept, mask=own, other=0.0, cache_modifier=".cg")
                into_c += _times(grad_reads + row * 2 * H, now, V_T, H, unit, inside, H, PART, HOW)
                tl.debug_barrier()  # all threads have read what was kept
                c = cells + (row - 1) * H
                grad_c = _cell_backward(z + row * WIDTH, grad_z + row * WIDTH, c, into_c, own, before, unit, H)
                tl.store(kept, grad_c, mask=own)
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
