// The loops over tokens of loops_pytorch.py, for the CPU: the same formulas, all tokens of a text in one call. Products with
// the tokens, and those that give the weights' gradients, are made here too: a window of tokens at a time, so that the
// gates are still in the cache.
//
// Layout: the tokens of all texts stand one after another, N in all; the tokens of text b are the rows starts[b] to
// starts[b + 1], so that padding does not exist. D directions, K recurrences side by side, H hidden units, S nodes.
// A unit of work is a direction, a recurrence and some of the texts; units share nothing, so they run in threads that
// never wait for one another. Inside a unit the texts are sorted by length, and the first of them are left at a token.

#include <cmath>
#include <numeric>

#include "vectors.h"

namespace {

// -------------------------------------------------------------------------------------------------------- attention

enum Score : int64_t { ADDITIVE, DOT, STATIC };

// One query's nodes: keys (count, A), nodes (count, H), u (A), bias (count) or null. Dot: keys are the nodes, A is H.
// Factored: e^(2 key) and e^(2 query) stand in the place of keys and query, so that no pair of them needs an exponential
// of its own: tanh(key + query) = 1 - 2 p, p = 1 / (e^(2 key) e^(2 query) + 1).
template <typename T>
struct Attention {
    Score score;
    bool factored;
    int64_t count, A, H;
    const T *query, *keys, *nodes, *u, *bias;

    T scale() const { return T(1) / std::sqrt(T(A)); }

    // p (A) of a key.
    void squash(const T* key, T* p) const {
        if (factored) {
#pragma GCC ivdep
            for (int64_t a = 0; a < A; ++a) p[a] = T(1) / (key[a] * query[a] + 1);
        } else {
#pragma GCC ivdep
            for (int64_t a = 0; a < A; ++a) p[a] = T(1) / (exponential(2 * (key[a] + query[a])) + 1);
        }
    }

    // weights (count) and message (H); p (A) is overwritten. The 1 of tanh = 1 - 2 p adds the same to every score, and
    // the softmax takes it away again.
    void forward(T* weights, T* message, T* p) const {
        T largest = -INFINITY, total = 0;
        for (int64_t s = 0; s < count; ++s) {
            T value = bias ? bias[s] : T(0);
            if (score == DOT) value += scale() * dot(A, query, keys + s * A);
            if (score == ADDITIVE) squash(keys + s * A, p), value -= 2 * dot(A, u, p);
            weights[s] = value;
            largest = value > largest ? value : largest;
        }
        for (int64_t s = 0; s < count; ++s) weights[s] = exponential(weights[s] - largest);
        for (int64_t s = 0; s < count; ++s) total += weights[s];
        for (int64_t s = 0; s < count; ++s) weights[s] /= total;
        weighted_sum(count, H, weights, nodes, message);
    }

    // Writes grad_scores (count) and grad_query (A); adds to grad_keys (count, A) and grad_u (A) of the additive score.
    // These are the gradients of keys and query themselves, factored or not. p (A) is overwritten.
    void backward(const T* weights, const T* grad_message, T* grad_scores, T* grad_query, T* grad_keys, T* grad_u,
                  T* p) const {
        T mean = 0;
        for (int64_t s = 0; s < count; ++s) {
            grad_scores[s] = weights[s] * dot(H, grad_message, nodes + s * H);
            mean += grad_scores[s];
        }
        for (int64_t s = 0; s < count; ++s) grad_scores[s] -= weights[s] * mean;
        if (score == DOT) {
            weighted_sum(count, A, grad_scores, keys, grad_query);
            for (int64_t a = 0; a < A; ++a) grad_query[a] *= scale();
        }
        if (score != ADDITIVE) return;
        std::fill_n(grad_query, A, T(0));
        for (int64_t s = 0; s < count; ++s) {
            T* grad_key = grad_keys + s * A;
            const T grad = grad_scores[s];
            squash(keys + s * A, p);
#pragma GCC ivdep
            for (int64_t a = 0; a < A; ++a) {
                const T slope = grad * u[a] * 4 * (p[a] - p[a] * p[a]);
                grad_u[a] += grad * (1 - 2 * p[a]);
                grad_key[a] += slope;
                grad_query[a] += slope;
            }
        }
    }
};

// ------------------------------------------------------------------------------------------------------- the texts

// Some tokens that follow one another, of all texts that have them: what needs no recurrence is one product over them.
struct Window {
    std::vector<int64_t> rows;    // those of the first token, then those of the second ...
    std::vector<int64_t> begins;  // where in rows a token's begin, and the end
    int64_t first;                // token

    int64_t tokens() const { return static_cast<int64_t>(begins.size()) - 1; }
    int64_t size() const { return static_cast<int64_t>(rows.size()); }
};

constexpr int64_t WINDOW = 128;  // rows; a token's own are never divided

struct Texts {
    int64_t count, threads;
    int64_t parts;          // into which the texts are divided for every recurrence
    const int64_t* starts;  // (count + 1)

    int64_t rows() const { return starts[count]; }
    int64_t length(int64_t b) const { return starts[b + 1] - starts[b]; }

    // Texts part, part + parts, ... of all, sorted by length, the longest first.
    std::vector<int64_t> chosen(int64_t part) const {
        std::vector<int64_t> order(count), mine;
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
        for (int64_t i = part; i < count; i += parts) mine.push_back(order[i]);
        return mine;
    }

    // All tokens of the chosen texts. At token t the first of them are left: those that are longer.
    std::vector<Window> windows(const std::vector<int64_t>& mine) const {
        std::vector<Window> found;
        int64_t alive = mine.size();
        for (int64_t t = 0;; ++t) {
            while (alive > 0 && length(mine[alive - 1]) <= t) --alive;
            if (alive == 0) return found;
            if (found.empty() || found.back().size() + alive > WINDOW) found.push_back({{}, {0}, t});
            Window& window = found.back();
            for (int64_t i = 0; i < alive; ++i) window.rows.push_back(starts[mine[i]] + t);
            window.begins.push_back(window.size());
        }
    }

    // work(recurrence, part) for all of them, in the threads that PyTorch uses too: others would contend with those.
    template <typename Work>
    void run(int64_t recurrences, Work work) const {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
        for (int64_t unit = 0; unit < recurrences * parts; ++unit) work(unit / parts, unit % parts);
    }
};

// Where the rows of a matrix (N, ...) of one recurrence stand: row n at data + n * step.
template <typename T>
struct Rows {
    T* data;
    int64_t step;
    T* operator[](int64_t row) const { return data + row * step; }

    // Those of a window, and of the tokens before its own: ``none`` at the start of a text.
    std::vector<T*> of(const Window& window) const {
        std::vector<T*> pointers;
        for (int64_t row : window.rows) pointers.push_back((*this)[row]);
        return pointers;
    }
    std::vector<T*> before(const Window& window, T* none) const {
        std::vector<T*> pointers;
        for (int64_t i = 0; i < window.size(); ++i)
            pointers.push_back(window.first == 0 && i < window.begins[1] ? none : (*this)[window.rows[i] - 1]);
        return pointers;
    }
};

// Rows in one block.
template <typename T>
std::vector<T*> rows_of(std::vector<T>& block, int64_t width) {
    std::vector<T*> pointers;
    for (size_t i = 0; i < block.size(); i += width) pointers.push_back(block.data() + i);
    return pointers;
}

// The share of some rows in a gradient of weights: grad (m, n) += a^T b, a being rows of m numbers, and b (rows, n).
template <typename T>
void add_product(const std::vector<const T*>& a, int64_t m, const Matrix<T>& b, T* grad) {
    std::vector<T*> out(m);
    for (int64_t i = 0; i < m; ++i) out[i] = grad + i * b.columns;
    b.multiply(m, Transposed<T>{a.data()}, out.data(), true);
}

// Activates a token's gates z (4H) in place; c = f c_before + i g.
template <typename T>
inline void cell(int64_t H, T* z, const T* c_before, T* c) {
#pragma GCC ivdep
    for (int64_t j = 0; j < H; ++j) {
        const T i = sigmoid(z[j]), f = sigmoid(z[H + j]), o = sigmoid(z[3 * H + j]);
        const T g = hyperbolic_tangent(z[2 * H + j]);
        z[j] = i, z[H + j] = f, z[2 * H + j] = g, z[3 * H + j] = o;
        c[j] = i * g + (c_before ? f * c_before[j] : T(0));
    }
}

// From grad_c (of c_t, in; of c_{t-1}, out) and grad_o (of the output gate) to the gradient of z (4H).
template <typename T>
inline void cell_backward(int64_t H, const T* gates, const T* c_before, const T* grad_o, T* grad_c, T* grad_z) {
#pragma GCC ivdep
    for (int64_t j = 0; j < H; ++j) {
        const T i = gates[j], f = gates[H + j], g = gates[2 * H + j], o = gates[3 * H + j], grad = grad_c[j];
        grad_z[j] = grad * g * (i - i * i);
        grad_z[H + j] = c_before ? grad * c_before[j] * (f - f * f) : T(0);
        grad_z[2 * H + j] = grad * i * (1 - g * g);
        grad_z[3 * H + j] = grad_o[j] * (o - o * o);
        grad_c[j] = grad * f;
    }
}

// ------------------------------------------------------------------------------------------------------ plain LSTMs

// x (D, N, I), W (D, K, I, 4H), b (D, K, 4H), U (D, K, H, 4H); writes states (D, N, K, H) and, for the way back unless
// they are null, the activated gates (D, K, N, 4H) and cells (D, K, N, H).
template <typename T>
void plain_forward(Texts texts, int64_t D, int64_t K, int64_t I, int64_t H, const T* x, const T* W, const T* b,
                   const T* U, T* states, T* gates, T* cells) {
    const int64_t N = texts.rows(), G = 4 * H;
    texts.run(D * K, [&](int64_t unit, int64_t part) {
        const auto mine = texts.chosen(part);
        const int64_t count = mine.size(), d = unit / K;
        const Matrix<T> input(W + unit * I * G, I, G, G, 1), recurrent(U + unit * H * G, H, G, G, 1);
        const Rows<const T> x_rows{x + d * N * I, I};
        const Rows<T> h_rows{states + (d * N * K + unit % K) * H, K * H}, z_rows{gates + unit * N * G, G},
            c_rows{cells + unit * N * H, H};
        std::vector<T> block(gates ? 0 : std::max(WINDOW, count) * G), last(cells ? 0 : count * H);
        const auto zs_of_block = rows_of(block, G), cs_of_last = rows_of(last, H);
        std::vector<T*> before;
        for (const Window& window : texts.windows(mine)) {
            const auto xs = x_rows.of(window);
            const auto hs = h_rows.of(window), zs = gates ? z_rows.of(window) : zs_of_block;
            for (int64_t r = 0; r < window.size(); ++r) std::copy_n(b + unit * G, G, zs[r]);
            input.multiply(window.size(), Left<T>{xs.data()}, zs.data(), true);
            for (int64_t t = 0; t < window.tokens(); ++t) {
                const int64_t first = window.begins[t], n = window.begins[t + 1] - first;
                const bool start = window.first + t == 0;
                T *const *z = zs.data() + first, *const *h = hs.data() + first;
                if (!start) recurrent.multiply(n, Left<T>{before.data()}, z, true);
                for (int64_t i = 0; i < n; ++i) {
                    T* c = cells ? c_rows[window.rows[first + i]] : cs_of_last[i];
                    cell(H, z[i], start ? nullptr : cells ? c - H : c, c);
                    const T* o = z[i] + 3 * H;
                    T* out = h[i];
#pragma GCC ivdep
                    for (int64_t j = 0; j < H; ++j) out[j] = o[j] * hyperbolic_tangent(c[j]);
                }
                before.assign(h, h + n);
            }
        }
    });
}

// grad_states (D, N, K, H), and what the way forward left, to grad_x (D, K, N, I), each recurrence's own, or null; adds
// to grad_W, grad_b and grad_U, which have a dimension for the parts: (D, K, parts, ...).
template <typename T>
void plain_backward(Texts texts, int64_t D, int64_t K, int64_t I, int64_t H, const T* x, const T* W, const T* U,
                    const T* states, const T* gates, const T* cells, const T* grad_states, T* grad_x, T* grad_W,
                    T* grad_b, T* grad_U) {
    const int64_t N = texts.rows(), G = 4 * H;
    texts.run(D * K, [&](int64_t unit, int64_t part) {
        const auto mine = texts.chosen(part);
        const int64_t count = mine.size(), d = unit / K, own = unit * texts.parts + part;
        const Matrix<T> input(W + unit * I * G, G, I, 1, G), recurrent(U + unit * H * G, G, H, 1, G);
        const Rows<const T> x_rows{x + d * N * I, I}, h_rows{states + (d * N * K + unit % K) * H, K * H},
            grad_h_rows{grad_states + (d * N * K + unit % K) * H, K * H}, z_rows{gates + unit * N * G, G},
            c_rows{cells + unit * N * H, H};
        const Rows<T> grad_x_rows{grad_x + unit * N * I, I};
        const std::vector<T> zeros(H);
        std::vector<T> grad_h(count * H), grad_c(count * H), grad_o(H), block(std::max(WINDOW, count) * G);
        Matrix<T> grads(std::max(WINDOW, count), G);
        const auto grad_hs = rows_of(grad_h, H), grad_zs = rows_of(block, G);
        const auto windows = texts.windows(mine);
        for (auto window = windows.rbegin(); window != windows.rend(); ++window) {
            for (int64_t t = window->tokens() - 1; t >= 0; --t) {
                const int64_t first = window->begins[t], n = window->begins[t + 1] - first;
                const bool start = window->first + t == 0;
                T* const* grad_z = grad_zs.data() + first;
                for (int64_t i = 0; i < n; ++i) {
                    const int64_t row = window->rows[first + i];
                    const T *z = z_rows[row], *o = z + 3 * H, *c = c_rows[row], *grad = grad_h_rows[row];
                    T *into_c = grad_c.data() + i * H, *into_o = grad_o.data(), *into_h = grad_hs[i];
#pragma GCC ivdep
                    for (int64_t j = 0; j < H; ++j) {
                        const T y = hyperbolic_tangent(c[j]), grad_of_h = grad[j] + into_h[j];
                        into_o[j] = grad_of_h * y;
                        into_c[j] += grad_of_h * o[j] * (1 - y * y);
                    }
                    cell_backward(H, z, start ? nullptr : c - H, into_o, into_c, grad_z[i]);
                }
                if (!start) recurrent.multiply(n, Left<T>{grad_z}, grad_hs.data(), false);
            }
            if (grad_x) input.multiply(window->size(), Left<T>{grad_zs.data()}, grad_x_rows.of(*window).data(), false);
            grads.fill(block.data(), window->size(), G, 1);
            add_product(x_rows.of(*window), I, grads, grad_W + own * I * G);
            add_product(h_rows.before(*window, zeros.data()), H, grads, grad_U + own * H * G);
            for (int64_t r = 0; r < window->size(); ++r)
                for (int64_t j = 0; j < G; ++j) grad_b[own * G + j] += grad_zs[r][j];
        }
    });
}

// ---------------------------------------------------------------------------------------------------- message LSTMs

// What is read: keys (D, P, S, A) and nodes (D, P, S, H), P being N for nodes that change with the token; or, per_text,
// the N rows of the text itself are its nodes: keys (D, N, A), which all of its queries meet and so are factored if the
// score is additive, nodes (D, N, H), and S is the longest text's length.
template <typename T>
struct Graph {
    Score score;
    int64_t per_text, S, A, H;
    const T *keys, *nodes, *u, *bias;

    // The nodes of a row, and its query, which is factored into ``doubled`` (A) where the keys are.
    Attention<T> at(const Texts& texts, int64_t d, int64_t text, int64_t row, const T* query, T* doubled) const {
        const bool factored = per_text && score == ADDITIVE;
        if (factored) {
#pragma GCC ivdep
            for (int64_t a = 0; a < A; ++a) doubled[a] = exponential(2 * query[a]);
            query = doubled;
        }
        const int64_t N = texts.rows(), first = per_text ? d * N + texts.starts[text] : (d * N + row) * S;
        return {score, factored, per_text ? texts.length(text) : S, A, H, query, (keys ? keys + first * A : nullptr),
                nodes + first * H, (u ? u + d * A : nullptr), bias};
    }
};

// What a message LSTM's weights are: W (D, I, 4H + A), of the gates and of the query, b (D, 4H + A), U (D, H, 4H + A),
// V_m (D, H, H), W_mr (D, H, 2H).
template <typename T>
struct Weights {
    int64_t I;
    T *W, *b, *U, *V_m, *W_mr;
};

// What the way forward leaves: the activated gates and the query z (D, N, 4H + A), states, cells, messages (D, N, H),
// weights (D, N, S), reads (D, N, 2H), m_t beside W_r r_t,
// and shares (D, N), |m_t * W_r r_t| / (|c_t| + |m_t * W_r r_t|).
template <typename T>
struct Trace {
    T *z, *states, *cells, *messages, *weights, *reads, *shares;
};

// x (D, N, I) to the trace.
template <typename T>
void message_forward(Texts texts, int64_t D, Graph<T> graph, Weights<T> given, const T* x, Trace<T> trace) {
    const int64_t N = texts.rows(), I = given.I, H = graph.H, G = 4 * H + graph.A;
    texts.run(D, [&](int64_t d, int64_t part) {
        const auto mine = texts.chosen(part);
        const Matrix<T> input(given.W + d * I * G, I, G, G, 1), recurrent(given.U + d * H * G, H, G, G, 1),
            from_cell(given.V_m + d * H * H, H, H, H, 1), from_message(given.W_mr + d * H * 2 * H, H, 2 * H, 2 * H, 1);
        const Rows<const T> x_rows{x + d * N * I, I};
        const Rows<T> z_rows{trace.z + d * N * G, G}, h_rows{trace.states + d * N * H, H},
            c_rows{trace.cells + d * N * H, H}, r_rows{trace.messages + d * N * H, H},
            read_rows{trace.reads + d * N * 2 * H, 2 * H};
        std::vector<T> squashed(graph.A), doubled(graph.A), message(H);
        std::vector<T*> before;
        for (const Window& window : texts.windows(mine)) {
            const auto xs = x_rows.of(window);
            const auto zs = z_rows.of(window), hs = h_rows.of(window), cs = c_rows.of(window), rs = r_rows.of(window),
                       reads = read_rows.of(window);
            for (T* z : zs) std::copy_n(given.b + d * G, G, z);
            input.multiply(window.size(), Left<T>{xs.data()}, zs.data(), true);
            for (int64_t t = 0; t < window.tokens(); ++t) {
                const int64_t first = window.begins[t], n = window.begins[t + 1] - first;
                const bool start = window.first + t == 0;
                T *const *z = zs.data() + first, *const *c = cs.data() + first, *const *r = rs.data() + first,
                  *const *ms = reads.data() + first, *const *h = hs.data() + first;
                if (!start) recurrent.multiply(n, Left<T>{before.data()}, z, true);
                for (int64_t i = 0; i < n; ++i) {
                    const int64_t row = window.rows[first + i];
                    cell(H, z[i], start ? nullptr : c[i] - H, c[i]);
                    graph.at(texts, d, mine[i], row, z[i] + 4 * H, doubled.data())
                        .forward(trace.weights + (d * N + row) * graph.S, r[i], squashed.data());
                }
                from_message.multiply(n, Left<T>{r}, ms, false);
                from_cell.multiply(n, Left<T>{c}, ms, true);
                for (int64_t i = 0; i < n; ++i) {
                    T *m = ms[i], *v = m + H, *o = z[i] + 3 * H, *own = c[i], *out = h[i];
#pragma GCC ivdep
                    for (int64_t j = 0; j < H; ++j) {
                        m[j] = sigmoid(m[j]);
                        message[j] = m[j] * v[j];
                        out[j] = o[j] * hyperbolic_tangent(own[j] + message[j]);
                    }
                    const T said = std::sqrt(dot(H, message.data(), message.data())), kept = std::sqrt(dot(H, own, own));
                    trace.shares[d * N + window.rows[first + i]] = said / std::max(kept + said, T(1e-12));
                }
                before.assign(h, h + n);
            }
        }
    });
}

// From h = o tanh(c + m v), whose gradient is the sum of grad and grad_h, to grad_o, grad_reads (m before activation, v)
// and grad_c, which is added to.
template <typename T>
inline void output_backward(int64_t H, const T* o, const T* c, const T* reads, const T* grad, const T* grad_h, T* grad_o,
                            T* grad_reads, T* grad_c) {
    const T *m = reads, *v = reads + H;
    T *grad_m = grad_reads, *grad_v = grad_reads + H;
#pragma GCC ivdep
    for (int64_t j = 0; j < H; ++j) {
        const T y = hyperbolic_tangent(c[j] + m[j] * v[j]), into_h = grad[j] + grad_h[j];
        const T grad_y = into_h * o[j] * (1 - y * y);
        grad_o[j] = into_h * y;
        grad_m[j] = grad_y * v[j] * (m[j] - m[j] * m[j]);
        grad_v[j] = grad_y * m[j];
        grad_c[j] += grad_y;
    }
}

// grad_states (D, N, H), and what the way forward left, to grad_x (D, N, I) or null; adds to the gradients of the
// weights and to grad_u and grad_bias, which have a dimension for the parts, (D, parts, ...), and to grad_keys and
// grad_nodes, shaped as keys and nodes, or null.
template <typename T>
void message_backward(Texts texts, int64_t D, Graph<T> graph, Weights<T> given, const T* x, Trace<T> trace,
                      const T* grad_states, T* grad_x, Weights<T> grads, T* grad_keys, T* grad_nodes, T* grad_u,
                      T* grad_bias) {
    const int64_t N = texts.rows(), I = given.I, H = graph.H, S = graph.S, A = graph.A, G = 4 * H + A;
    const bool dots = graph.score == DOT;
    texts.run(D, [&](int64_t d, int64_t part) {
        const auto mine = texts.chosen(part);
        const int64_t count = mine.size(), unit = d * texts.parts + part, most = std::max(WINDOW, count);
        const Matrix<T> input(given.W + d * I * G, G, I, 1, G), recurrent(given.U + d * H * G, G, H, 1, G),
            from_cell(given.V_m + d * H * H, H, H, 1, H), from_message(given.W_mr + d * H * 2 * H, 2 * H, H, 1, 2 * H);
        const Rows<const T> x_rows{x + d * N * I, I}, h_rows{trace.states + d * N * H, H},
            c_rows{trace.cells + d * N * H, H}, r_rows{trace.messages + d * N * H, H};
        const Rows<T> grad_x_rows{grad_x + d * N * I, I};
        std::vector<int64_t> offset(count + 1);  // where a text's own buffers begin
        for (int64_t i = 0; i < count; ++i) offset[i + 1] = offset[i] + texts.length(mine[i]);
        const std::vector<T> zeros(H);
        std::vector<T> grad_h(count * H), grad_c(count * H), grad_o(count * H), squashed(A), doubled(A);
        std::vector<T> z_block(most * G), read_block(most * 2 * H);  // gradients in a window
        std::vector<T> grad_messages(offset[count] * H), grad_scores(offset[count] * S), sum_u(A), sum_bias(S);
        Matrix<T> z_grads(most, G), read_grads(most, 2 * H), gate_grads(most, H);
        const auto grad_hs = rows_of(grad_h, H), grad_cs = rows_of(grad_c, H), grad_zs = rows_of(z_block, G),
                   grad_reads = rows_of(read_block, 2 * H);
        std::vector<T*> grad_rs(count);
        const auto windows = texts.windows(mine);
        for (auto window = windows.rbegin(); window != windows.rend(); ++window) {
            for (int64_t t = window->tokens() - 1; t >= 0; --t) {
                const int64_t first = window->begins[t], n = window->begins[t + 1] - first, token = window->first + t;
                T *const *grad_z = grad_zs.data() + first, *const *grad_ms = grad_reads.data() + first;
                for (int64_t i = 0; i < n; ++i) {
                    const int64_t row = d * N + window->rows[first + i];
                    grad_rs[i] = grad_messages.data() + (offset[i] + token) * H;
                    output_backward(H, trace.z + row * G + 3 * H, trace.cells + row * H, trace.reads + row * 2 * H,
                                    grad_states + row * H, grad_hs[i], grad_o.data() + i * H, grad_ms[i], grad_cs[i]);
                }
                from_cell.multiply(n, Left<T>{grad_ms}, grad_cs.data(), true);
                from_message.multiply(n, Left<T>{grad_ms}, grad_rs.data(), false);
                for (int64_t i = 0; i < n; ++i) {
                    const int64_t row = d * N + window->rows[first + i];
                    const int64_t node = graph.per_text ? d * N + texts.starts[mine[i]] : row * S;
                    const T *w = trace.weights + row * S, *z = trace.z + row * G, *c = trace.cells + row * H;
                    T* scores = grad_scores.data() + (offset[i] + token) * S;
                    const auto attention = graph.at(texts, d, mine[i], row - d * N, z + 4 * H, doubled.data());
                    attention.backward(w, grad_rs[i], scores, grad_z[i] + 4 * H,
                                       grad_keys ? grad_keys + node * A : nullptr, sum_u.data(), squashed.data());
                    if (grad_bias)
                        for (int64_t s = 0; s < S; ++s) sum_bias[s] += scores[s];
                    if (dots)
                        for (int64_t s = 0; s < attention.count; ++s) scores[s] *= attention.scale();
                    cell_backward(H, z, token ? c - H : nullptr, grad_o.data() + i * H, grad_cs[i], grad_z[i]);
                    if (graph.per_text || !grad_nodes) continue;
                    for (int64_t s = 0; s < S; ++s) {
                        const T weight = w[s], score = dots ? scores[s] : T(0);
                        const T* q = dots ? attention.query : grad_rs[i];
                        T* grad_node = grad_nodes + (node + s) * H;
                        for (int64_t j = 0; j < H; ++j) grad_node[j] += weight * grad_rs[i][j] + score * q[j];
                    }
                }
                if (token > 0) recurrent.multiply(n, Left<T>{grad_z}, grad_hs.data(), false);
            }
            const int64_t size = window->size();
            if (grad_x) input.multiply(size, Left<T>{grad_zs.data()}, grad_x_rows.of(*window).data(), false);
            z_grads.fill(z_block.data(), size, G, 1);
            read_grads.fill(read_block.data(), size, 2 * H, 1);
            gate_grads.fill(read_block.data(), size, 2 * H, 1);
            add_product(x_rows.of(*window), I, z_grads, grads.W + unit * I * G);
            add_product(h_rows.before(*window, zeros.data()), H, z_grads, grads.U + unit * H * G);
            add_product(c_rows.of(*window), H, gate_grads, grads.V_m + unit * H * H);
            add_product(r_rows.of(*window), H, read_grads, grads.W_mr + unit * H * 2 * H);
            for (int64_t r = 0; r < size; ++r)
                for (int64_t j = 0; j < G; ++j) grads.b[unit * G + j] += grad_zs[r][j];
        }
        if (grad_u) std::copy_n(sum_u.data(), A, grad_u + unit * A);
        if (grad_bias) std::copy_n(sum_bias.data(), S, grad_bias + unit * S);
        for (int64_t i = 0; graph.per_text && grad_nodes && i < count; ++i) {
            const int64_t row = d * N + texts.starts[mine[i]], length = texts.length(mine[i]);
            // += weights^T grad_messages and, of the dot score, grad_scores^T queries, over all tokens of the text
            std::vector<const T*> w(length), scores(length);
            for (int64_t t = 0; t < length; ++t)
                w[t] = trace.weights + (row + t) * S, scores[t] = grad_scores.data() + (offset[i] + t) * S;
            const T *grad_message = grad_messages.data() + offset[i] * H, *query = trace.z + row * G + 4 * H;
            add_product(w, length, Matrix<T>(grad_message, length, H, H, 1), grad_nodes + row * H);
            if (dots) add_product(scores, length, Matrix<T>(query, length, H, G, 1), grad_nodes + row * H);
        }
    });
}

}  // namespace

#define EXPORT(T, SUFFIX)                                                                                              \
    void plain_forward_##SUFFIX(Texts texts, int64_t D, int64_t K, int64_t I, int64_t H, const T* x, const T* W,       \
                                const T* b, const T* U, T* states, T* gates, T* cells) {                               \
        plain_forward<T>(texts, D, K, I, H, x, W, b, U, states, gates, cells);                                         \
    }                                                                                                                  \
    void plain_backward_##SUFFIX(Texts texts, int64_t D, int64_t K, int64_t I, int64_t H, const T* x, const T* W,      \
                                 const T* U, const T* states, const T* gates, const T* cells, const T* grad_states,    \
                                 T* grad_x, T* grad_W, T* grad_b, T* grad_U) {                                         \
        plain_backward<T>(texts, D, K, I, H, x, W, U, states, gates, cells, grad_states, grad_x, grad_W, grad_b,       \
                          grad_U);                                                                                     \
    }                                                                                                                  \
    void message_forward_##SUFFIX(Texts texts, int64_t D, Graph<T> graph, Weights<T> given, const T* x,                \
                                  Trace<T> trace) {                                                                    \
        message_forward<T>(texts, D, graph, given, x, trace);                                                          \
    }                                                                                                                  \
    void message_backward_##SUFFIX(Texts texts, int64_t D, Graph<T> graph, Weights<T> given, const T* x,               \
                                   Trace<T> trace, const T* grad_states, T* grad_x, Weights<T> grads, T* grad_keys,    \
                                   T* grad_nodes, T* grad_u, T* grad_bias) {                                           \
        message_backward<T>(texts, D, graph, given, x, trace, grad_states, grad_x, grads, grad_keys, grad_nodes,       \
                            grad_u, grad_bias);                                                                        \
    }

extern "C" {
EXPORT(float, f32)
EXPORT(double, f64)
}
