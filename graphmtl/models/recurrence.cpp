// The loops over tokens of recurrence.py, for the CPU: the same formulas, all tokens of a text in one call.
//
// Layout: the tokens of all texts stand one after another, N in all; the tokens of text b are the rows starts[b] to
// starts[b + 1], so that padding does not exist. D directions, K recurrences side by side, H hidden units, S nodes.
// A unit of work is a direction, a recurrence and some of the texts; units share nothing, so they run in threads that
// never wait for one another. Inside a unit the texts are sorted by length: at token t the first alive(t) of them are left.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <thread>
#include <vector>

namespace {

#if defined(__AVX512F__)
constexpr int BYTES = 64;
#elif defined(__AVX__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif

template <typename T>
struct Simd;
template <>
struct Simd<float> {
    typedef float V __attribute__((vector_size(BYTES), aligned(4), may_alias));
    static constexpr int64_t N = BYTES / 4;
};
template <>
struct Simd<double> {
    typedef double V __attribute__((vector_size(BYTES), aligned(8), may_alias));
    static constexpr int64_t N = BYTES / 8;
};

// ---------------------------------------------------------------------------------------------- elementary functions

// e^x as 2^n e^r with |r| <= ln(2) / 2 and a polynomial for e^r (Cephes); without a branch, so that loops vectorise.
inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;  // written so that NaN stays NaN
    x = x > 88.0f ? 88.0f : x;
    const float shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
    const float n = (x * 1.44269504f + shift) - shift;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const int32_t bits = (static_cast<int32_t>(n) + 127) * (1 << 23);
    float power;
    std::memcpy(&power, &bits, sizeof power);
    return p * power;
}
inline double exponential(double x) { return std::exp(x); }

template <typename T>
inline T sigmoid(T x) { return T(1) / (T(1) + exponential(-x)); }
inline float hyperbolic_tangent(float x) { return 2.0f / (1.0f + exponential(-2.0f * x)) - 1.0f; }
inline double hyperbolic_tangent(double x) { return std::tanh(x); }

// -------------------------------------------------------------------------------------------------- matrix products

// c[r][0 .. C vectors) (+)= sum_k a[r][k] b[k * ldb + ...], for R rows.
template <typename T, int R, int C>
inline void tile(int64_t depth, const T* const* a, const T* b, int64_t ldb, T* const* c, bool add) {
    using V = typename Simd<T>::V;
    constexpr int64_t N = Simd<T>::N;
    V sum[R][C];
    for (int r = 0; r < R; ++r)
        for (int j = 0; j < C; ++j) sum[r][j] = add ? *reinterpret_cast<const V*>(c[r] + j * N) : V{};
    for (int64_t k = 0; k < depth; ++k) {
        V row[C];
        for (int j = 0; j < C; ++j) row[j] = *reinterpret_cast<const V*>(b + k * ldb + j * N);
        for (int r = 0; r < R; ++r)
            for (int j = 0; j < C; ++j) sum[r][j] += a[r][k] * row[j];
    }
    for (int r = 0; r < R; ++r)
        for (int j = 0; j < C; ++j) *reinterpret_cast<V*>(c[r] + j * N) = sum[r][j];
}

// A matrix (depth, columns) in panels of two vectors' width, so that a product reads it from end to end.
template <typename T>
struct Matrix {
    static constexpr int64_t WIDTH = 2 * Simd<T>::N;
    int64_t depth, columns;
    std::vector<T> panels;

    // Element (k, j) is at source[k * row + j * column].
    Matrix(const T* source, int64_t depth, int64_t columns, int64_t row, int64_t column)
        : depth(depth), columns(columns), panels((columns + WIDTH - 1) / WIDTH * WIDTH * depth) {
        for (int64_t j = 0; j < columns; ++j)
            for (int64_t k = 0; k < depth; ++k)
                panels[(j / WIDTH * depth + k) * WIDTH + j % WIDTH] = source[k * row + j * column];
    }

    template <int R>
    void block(const T* const* a, T* const* c, bool add) const {
        for (int64_t j = 0; j < columns; j += WIDTH) {
            const T* panel = panels.data() + j * depth;
            const int64_t width = std::min(WIDTH, columns - j);
            T edge[R][WIDTH] = {};
            T* out[R];
            for (int r = 0; r < R; ++r) {
                out[r] = width == WIDTH ? c[r] + j : edge[r];
                if (width < WIDTH && add) std::copy_n(c[r] + j, width, edge[r]);
            }
            tile<T, R, 2>(depth, a, panel, WIDTH, out, add);
            if (width < WIDTH)
                for (int r = 0; r < R; ++r) std::copy_n(edge[r], width, c[r] + j);
        }
    }

    // c[r] (+)= a[r] times this matrix, for the given rows.
    void multiply(int64_t rows, const T* const* a, T* const* c, bool add) const {
        const int64_t blocks = (rows + 5) / 6;
        for (int64_t i = 0, r = 0; i < blocks; ++i) {
            const int64_t size = (rows - r) / (blocks - i);
            switch (size) {
                case 1: block<1>(a + r, c + r, add); break;
                case 2: block<2>(a + r, c + r, add); break;
                case 3: block<3>(a + r, c + r, add); break;
                case 4: block<4>(a + r, c + r, add); break;
                case 5: block<5>(a + r, c + r, add); break;
                default: block<6>(a + r, c + r, add); break;
            }
            r += size;
        }
    }
};

template <typename T>
inline T dot(int64_t n, const T* a, const T* b) {
    using V = typename Simd<T>::V;
    constexpr int64_t N = Simd<T>::N;
    V sum[2] = {};
    int64_t i = 0;
    for (; i + 2 * N <= n; i += 2 * N)
        for (int j = 0; j < 2; ++j)
            sum[j] += *reinterpret_cast<const V*>(a + i + j * N) * *reinterpret_cast<const V*>(b + i + j * N);
    sum[0] += sum[1];
    T total = 0;
    for (int j = 0; j < N; ++j) total += sum[0][j];
    for (; i < n; ++i) total += a[i] * b[i];
    return total;
}

// out (n) = sum_s weights[s] vectors[s], vectors (count, n).
template <typename T>
inline void weighted_sum(int64_t count, int64_t n, const T* weights, const T* vectors, T* out) {
    constexpr int64_t N = Simd<T>::N;
    int64_t j = 0;
    for (T* c; j + 8 * N <= n; j += 8 * N) c = out + j, tile<T, 1, 8>(count, &weights, vectors + j, n, &c, false);
    for (T* c; j + N <= n; j += N) c = out + j, tile<T, 1, 1>(count, &weights, vectors + j, n, &c, false);
    for (; j < n; ++j) {
        out[j] = 0;
        for (int64_t s = 0; s < count; ++s) out[j] += weights[s] * vectors[s * n + j];
    }
}

// -------------------------------------------------------------------------------------------------------- attention

enum Score : int64_t { ADDITIVE, DOT, STATIC };

// One query's nodes: keys (count, A), nodes (count, H), u (A), bias (count) or null. Dot: keys are the nodes, A is H.
template <typename T>
struct Attention {
    Score score;
    int64_t count, A, H;
    const T *query, *keys, *nodes, *u, *bias;

    T scale() const { return T(1) / std::sqrt(T(A)); }

    // tanh(x) = 1 - 2 / (e^2x + 1); the 1 adds the same to every score, which the softmax takes away again.
    T additive(const T* key) const {
        T sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t a = 0; a < A; ++a) sum -= u[a] / (exponential(2 * (key[a] + query[a])) + 1);
        return 2 * sum;
    }

    // weights (count) and message (H)
    void forward(T* weights, T* message) const {
        T largest = -INFINITY, total = 0;
        for (int64_t s = 0; s < count; ++s) {
            T value = bias ? bias[s] : T(0);
            if (score == DOT) value += scale() * dot(A, query, keys + s * A);
            if (score == ADDITIVE) value += additive(keys + s * A);
            weights[s] = value;
            largest = value > largest ? value : largest;
        }
        for (int64_t s = 0; s < count; ++s) weights[s] = exponential(weights[s] - largest);
        for (int64_t s = 0; s < count; ++s) total += weights[s];
        for (int64_t s = 0; s < count; ++s) weights[s] /= total;
        weighted_sum(count, H, weights, nodes, message);
    }

    // Writes grad_scores (count) and grad_query (A); adds to grad_keys (count, A) and grad_u (A) of the additive score.
    void backward(const T* weights, const T* grad_message, T* grad_scores, T* grad_query, T* grad_keys, T* grad_u) const {
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
            const T* key = keys + s * A;
            T* grad_key = grad_keys + s * A;
            const T grad = grad_scores[s];
#pragma GCC ivdep
            for (int64_t a = 0; a < A; ++a) {
                const T p = T(1) / (exponential(2 * (key[a] + query[a])) + 1);  // tanh = 1 - 2 p
                const T slope = grad * u[a] * 4 * (p - p * p);
                grad_u[a] += grad * (1 - 2 * p);
                grad_key[a] += slope;
                grad_query[a] += slope;
            }
        }
    }
};

// ------------------------------------------------------------------------------------------------------- the texts

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

    // How many of the chosen texts have a token t.
    int64_t alive(const std::vector<int64_t>& mine, int64_t t) const {
        int64_t n = 0;
        while (n < static_cast<int64_t>(mine.size()) && length(mine[n]) > t) ++n;
        return n;
    }

    // work(recurrence, part) for all of them, in threads.
    template <typename Work>
    void run(int64_t recurrences, Work work) const {
        const int64_t units = recurrences * parts;
        std::atomic<int64_t> next{0};
        auto worker = [&] {
            for (int64_t unit; (unit = next++) < units;) work(unit / parts, unit % parts);
        };
        std::vector<std::thread> others;
        for (int64_t i = 1; i < std::min(threads, units); ++i) others.emplace_back(worker);
        worker();
        for (auto& other : others) other.join();
    }
};

// Where the rows of a matrix (N, ...) of one recurrence stand: row n at data + n * step.
template <typename T>
struct Rows {
    T* data;
    int64_t step;
    T* operator[](int64_t row) const { return data + row * step; }
};

// Pointers to the rows of the texts that are left at a token.
template <typename T>
void collect(std::vector<T*>& pointers, const Rows<T>& rows, const std::vector<int64_t>& at, int64_t n) {
    for (int64_t i = 0; i < n; ++i) pointers[i] = rows[at[i]];
}

// Activates a token's gates z (4H) in place; c = f c_before + i g.
template <typename T>
inline void cell(int64_t H, T* z, const T* c_before, T* c) {
#pragma GCC ivdep
    for (int64_t j = 0; j < H; ++j) {
        const T i = sigmoid(z[j]), f = sigmoid(z[H + j]), g = hyperbolic_tangent(z[2 * H + j]), o = sigmoid(z[3 * H + j]);
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

// gates (D, N, K, 4H): W x + b, activated in place; U (D, K, H, 4H); writes states (D, N, K, H) and cells, the same or
// null where no derivative is asked for.
template <typename T>
void plain_forward(Texts texts, int64_t D, int64_t K, int64_t H, T* gates, const T* U, T* states, T* cells) {
    const int64_t N = texts.rows();
    texts.run(D * K, [&](int64_t unit, int64_t part) {
        const int64_t first = unit / K * N * K + unit % K;  // row 0 of direction d, recurrence k
        const auto mine = texts.chosen(part);
        const int64_t count = mine.size();
        const Matrix<T> matrix(U + unit * H * 4 * H, H, 4 * H, 4 * H, 1);
        const Rows<T> z{gates + first * 4 * H, K * 4 * H}, h{states + first * H, K * H};
        std::vector<T> buffer(cells ? 0 : count * H);
        std::vector<int64_t> at(count);
        std::vector<T*> zs(count), before(count);
        for (int64_t t = 0, n; (n = texts.alive(mine, t)) > 0; ++t) {
            for (int64_t i = 0; i < n; ++i) at[i] = texts.starts[mine[i]] + t;
            collect(zs, z, at, n);
            if (t > 0) matrix.multiply(n, before.data(), zs.data(), true);
            collect(before, h, at, n);
            for (int64_t i = 0; i < n; ++i) {
                T* c = cells ? cells + (first + at[i] * K) * H : buffer.data() + i * H;
                cell(H, zs[i], t == 0 ? nullptr : cells ? c - K * H : c, c);
                const T* o = zs[i] + 3 * H;
#pragma GCC ivdep
                for (int64_t j = 0; j < H; ++j) before[i][j] = o[j] * hyperbolic_tangent(c[j]);
            }
        }
    });
}

// grad_states (D, N, K, H) to grad_gates (D, N, K, 4H), given what the forward pass left.
template <typename T>
void plain_backward(Texts texts, int64_t D, int64_t K, int64_t H, const T* gates, const T* U, const T* cells,
                    const T* grad_states, T* grad_gates) {
    const int64_t N = texts.rows();
    texts.run(D * K, [&](int64_t unit, int64_t part) {
        const int64_t first = unit / K * N * K + unit % K;
        const auto mine = texts.chosen(part);
        const int64_t count = mine.size();
        const Matrix<T> transposed(U + unit * H * 4 * H, 4 * H, H, 1, 4 * H);
        const Rows<T> grad_z{grad_gates + first * 4 * H, K * 4 * H};
        std::vector<T> grad_h(count * H), grad_c(count * H), grad_o(H);
        std::vector<int64_t> at(count);
        std::vector<T*> grad_zs(count), grad_hs(count);
        for (int64_t i = 0; i < count; ++i) grad_hs[i] = grad_h.data() + i * H;
        for (int64_t t = count ? texts.length(mine[0]) - 1 : -1; t >= 0; --t) {
            const int64_t n = texts.alive(mine, t);
            for (int64_t i = 0; i < n; ++i) at[i] = texts.starts[mine[i]] + t;
            collect(grad_zs, grad_z, at, n);
            for (int64_t i = 0; i < n; ++i) {
                const int64_t row = first + at[i] * K;
                const T *z = gates + row * 4 * H, *o = z + 3 * H, *c = cells + row * H, *grad = grad_states + row * H;
                T* into_c = grad_c.data() + i * H;
                for (int64_t j = 0; j < H; ++j) {
                    const T y = hyperbolic_tangent(c[j]), grad_of_h = grad[j] + grad_hs[i][j];
                    grad_o[j] = grad_of_h * y;
                    into_c[j] += grad_of_h * o[j] * (1 - y * y);
                }
                cell_backward(H, z, t ? c - K * H : nullptr, grad_o.data(), into_c, grad_zs[i]);
            }
            if (t > 0) transposed.multiply(n, grad_zs.data(), grad_hs.data(), false);
        }
    });
}

// ---------------------------------------------------------------------------------------------------- message LSTMs

// What is read: keys (D, P, S, A) and nodes (D, P, S, H), P being N for nodes that change with the token; or, per_text,
// the N rows of the text itself are its nodes: keys (D, N, A), nodes (D, N, H), and S is the longest text's length.
template <typename T>
struct Graph {
    Score score;
    int64_t per_text, S, A, H;
    const T *keys, *nodes, *u, *bias;

    Attention<T> at(const Texts& texts, int64_t d, int64_t text, int64_t row, const T* query) const {
        const int64_t N = texts.rows(), first = per_text ? d * N + texts.starts[text] : (d * N + row) * S;
        return {score, per_text ? texts.length(text) : S, A, H, query, (keys ? keys + first * A : nullptr),
                nodes + first * H, (u ? u + d * A : nullptr), bias};
    }
};

// z (D, N, 4H + A): W x + b for the gates and the query, in place; U (D, H, 4H + A); V_m (D, H, H); W_mr (D, H, 2H).
// Writes states, cells, messages (D, N, H), weights (D, N, S) and reads (D, N, 2H): m_t beside W_r r_t.
template <typename T>
void message_forward(Texts texts, int64_t D, Graph<T> graph, T* z, const T* U, const T* V_m, const T* W_mr, T* states,
                     T* cells, T* messages, T* weights, T* reads) {
    const int64_t N = texts.rows(), H = graph.H, G = 4 * H + graph.A;
    texts.run(D, [&](int64_t d, int64_t part) {
        const auto mine = texts.chosen(part);
        const int64_t count = mine.size();
        const Matrix<T> recurrent(U + d * H * G, H, G, G, 1), from_cell(V_m + d * H * H, H, H, H, 1),
            from_message(W_mr + d * H * 2 * H, H, 2 * H, 2 * H, 1);
        const Rows<T> z_rows{z + d * N * G, G}, h_rows{states + d * N * H, H}, c_rows{cells + d * N * H, H},
            r_rows{messages + d * N * H, H}, read_rows{reads + d * N * 2 * H, 2 * H};
        std::vector<int64_t> at(count);
        std::vector<T*> zs(count), hs(count), cs(count), rs(count), ms(count);
        for (int64_t t = 0, n; (n = texts.alive(mine, t)) > 0; ++t) {
            for (int64_t i = 0; i < n; ++i) at[i] = texts.starts[mine[i]] + t;
            collect(zs, z_rows, at, n);
            if (t > 0) recurrent.multiply(n, hs.data(), zs.data(), true);
            collect(hs, h_rows, at, n);
            collect(cs, c_rows, at, n);
            collect(rs, r_rows, at, n);
            collect(ms, read_rows, at, n);
            for (int64_t i = 0; i < n; ++i) {
                cell(H, zs[i], t ? cs[i] - H : nullptr, cs[i]);
                graph.at(texts, d, mine[i], at[i], zs[i] + 4 * H)
                    .forward(weights + (d * N + at[i]) * graph.S, rs[i]);
            }
            from_message.multiply(n, rs.data(), ms.data(), false);
            from_cell.multiply(n, cs.data(), ms.data(), true);
            for (int64_t i = 0; i < n; ++i) {
                T *m = ms[i], *v = ms[i] + H, *o = zs[i] + 3 * H, *c = cs[i], *h = hs[i];
#pragma GCC ivdep
                for (int64_t j = 0; j < H; ++j) {
                    m[j] = sigmoid(m[j]);
                    h[j] = o[j] * hyperbolic_tangent(c[j] + m[j] * v[j]);
                }
            }
        }
    });
}

// grad_nodes (count, H) += scale * weights^T vectors over a text's rows: weights (length, S), vectors at the given step.
template <typename T>
void add_products(int64_t length, int64_t H, int64_t S, const T* weights, const T* vectors, int64_t step, T scale,
                  T* grad_nodes) {
    const Matrix<T> matrix(vectors, length, H, step, 1);
    std::vector<T> transposed(length * length);
    for (int64_t t = 0; t < length; ++t)
        for (int64_t s = 0; s < length; ++s) transposed[s * length + t] = scale * weights[t * S + s];
    std::vector<const T*> a(length);
    std::vector<T*> c(length);
    for (int64_t s = 0; s < length; ++s) a[s] = transposed.data() + s * length, c[s] = grad_nodes + s * H;
    matrix.multiply(length, a.data(), c.data(), true);
}

// Writes grad_z (D, N, 4H + A) and grad_reads (D, N, 2H); adds to grad_nodes and grad_keys (as nodes and keys), and to
// grad_u (units, A) and grad_bias (units, S), a row for every unit of work.
template <typename T>
void message_backward(Texts texts, int64_t D, Graph<T> graph, const T* z, const T* U, const T* V_m, const T* W_mr,
                      const T* cells, const T* weights, const T* reads, const T* grad_states, T* grad_z, T* grad_reads,
                      T* grad_keys, T* grad_nodes, T* grad_u, T* grad_bias) {
    const int64_t N = texts.rows(), H = graph.H, S = graph.S, A = graph.A, G = 4 * H + A;
    const bool dots = graph.score == DOT;
    texts.run(D, [&](int64_t d, int64_t part) {
        const auto mine = texts.chosen(part);
        const int64_t count = mine.size(), unit = d * texts.parts + part;
        const Matrix<T> recurrent(U + d * H * G, G, H, 1, G), from_cell(V_m + d * H * H, H, H, 1, H),
            from_message(W_mr + d * H * 2 * H, 2 * H, H, 1, 2 * H);
        const Rows<T> grad_z_rows{grad_z + d * N * G, G}, grad_read_rows{grad_reads + d * N * 2 * H, 2 * H};
        std::vector<int64_t> offset(count + 1);  // where a text's own buffers begin
        for (int64_t i = 0; i < count; ++i) offset[i + 1] = offset[i] + texts.length(mine[i]);
        std::vector<T> grad_h(count * H), grad_c(count * H), grad_o(count * H), grad_query(A);
        std::vector<T> grad_messages(offset[count] * H), grad_scores(offset[count] * S);
        std::vector<int64_t> at(count);
        std::vector<T*> grad_zs(count), grad_hs(count), grad_cs(count), grad_ms(count), grad_rs(count);
        for (int64_t i = 0; i < count; ++i) grad_hs[i] = grad_h.data() + i * H, grad_cs[i] = grad_c.data() + i * H;
        for (int64_t t = count ? texts.length(mine[0]) - 1 : -1; t >= 0; --t) {
            const int64_t n = texts.alive(mine, t);
            for (int64_t i = 0; i < n; ++i) at[i] = texts.starts[mine[i]] + t;
            collect(grad_zs, grad_z_rows, at, n);
            collect(grad_ms, grad_read_rows, at, n);
            for (int64_t i = 0; i < n; ++i) {
                const int64_t row = d * N + at[i];
                const T *o = z + row * G + 3 * H, *c = cells + row * H, *m = reads + row * 2 * H, *v = m + H;
                const T* grad = grad_states + row * H;
                T *grad_m = grad_ms[i], *grad_v = grad_m + H, *into_c = grad_cs[i], *into_o = grad_o.data() + i * H;
                grad_rs[i] = grad_messages.data() + (offset[i] + t) * H;
#pragma GCC ivdep
                for (int64_t j = 0; j < H; ++j) {
                    const T y = hyperbolic_tangent(c[j] + m[j] * v[j]), grad_of_h = grad[j] + grad_hs[i][j];
                    const T grad_y = grad_of_h * o[j] * (1 - y * y);
                    into_o[j] = grad_of_h * y;
                    grad_m[j] = grad_y * v[j] * (m[j] - m[j] * m[j]);
                    grad_v[j] = grad_y * m[j];
                    into_c[j] += grad_y;
                }
            }
            from_cell.multiply(n, grad_ms.data(), grad_cs.data(), true);
            from_message.multiply(n, grad_ms.data(), grad_rs.data(), false);
            for (int64_t i = 0; i < n; ++i) {
                const int64_t row = d * N + at[i], node = graph.per_text ? d * N + texts.starts[mine[i]] : row * S;
                const T* w = weights + row * S;
                T *scores = grad_scores.data() + (offset[i] + t) * S, *query = grad_zs[i] + 4 * H;
                const auto attention = graph.at(texts, d, mine[i], at[i], z + row * G + 4 * H);
                attention.backward(w, grad_rs[i], scores, query, grad_keys ? grad_keys + node * A : nullptr,
                                   grad_u ? grad_u + unit * A : nullptr);
                if (grad_bias)
                    for (int64_t s = 0; s < S; ++s) grad_bias[unit * S + s] += scores[s];
                cell_backward(H, z + row * G, t ? cells + (row - 1) * H : nullptr, grad_o.data() + i * H, grad_cs[i],
                              grad_zs[i]);
                if (graph.per_text || !grad_nodes) continue;
                for (int64_t s = 0; s < S; ++s) {
                    const T weight = w[s], score = dots ? scores[s] * attention.scale() : T(0);
                    const T* q = dots ? attention.query : grad_rs[i];
                    T* grad_node = grad_nodes + (node + s) * H;
                    for (int64_t j = 0; j < H; ++j) grad_node[j] += weight * grad_rs[i][j] + score * q[j];
                }
            }
            if (t > 0) recurrent.multiply(n, grad_zs.data(), grad_hs.data(), false);
        }
        for (int64_t i = 0; graph.per_text && grad_nodes && i < count; ++i) {
            const int64_t row = d * N + texts.starts[mine[i]], length = texts.length(mine[i]);
            add_products(length, H, S, weights + row * S, grad_messages.data() + offset[i] * H, H, T(1),
                         grad_nodes + row * H);
            if (dots)
                add_products(length, H, S, grad_scores.data() + offset[i] * S, z + row * G + 4 * H, G,
                             T(1) / std::sqrt(T(A)), grad_nodes + row * H);
        }
    });
}

}  // namespace

#define EXPORT(T, SUFFIX)                                                                                              \
    void plain_forward_##SUFFIX(Texts texts, int64_t D, int64_t K, int64_t H, T* gates, const T* U, T* states,        \
                                T* cells) {                                                                            \
        plain_forward<T>(texts, D, K, H, gates, U, states, cells);                                                     \
    }                                                                                                                  \
    void plain_backward_##SUFFIX(Texts texts, int64_t D, int64_t K, int64_t H, const T* gates, const T* U,            \
                                 const T* cells, const T* grad_states, T* grad_gates) {                                \
        plain_backward<T>(texts, D, K, H, gates, U, cells, grad_states, grad_gates);                                   \
    }                                                                                                                  \
    void message_forward_##SUFFIX(Texts texts, int64_t D, Graph<T> graph, T* z, const T* U, const T* V_m,             \
                                  const T* W_mr, T* states, T* cells, T* messages, T* weights, T* reads) {             \
        message_forward<T>(texts, D, graph, z, U, V_m, W_mr, states, cells, messages, weights, reads);                 \
    }                                                                                                                  \
    void message_backward_##SUFFIX(Texts texts, int64_t D, Graph<T> graph, const T* z, const T* U, const T* V_m,      \
                                   const T* W_mr, const T* cells, const T* weights, const T* reads,                    \
                                   const T* grad_states, T* grad_z, T* grad_reads, T* grad_keys, T* grad_nodes,        \
                                   T* grad_u, T* grad_bias) {                                                          \
        message_backward<T>(texts, D, graph, z, U, V_m, W_mr, cells, weights, reads, grad_states, grad_z, grad_reads, \
                            grad_keys, grad_nodes, grad_u, grad_bias);                                                 \
    }

extern "C" {
EXPORT(float, f32)
EXPORT(double, f64)
}
