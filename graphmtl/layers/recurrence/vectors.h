// Vectors and matrices for recurrence.cpp: e^x without a branch, and products in tiles that fit the registers.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
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

// Rows of the left side of a product: element (r, k) of a, and of a^T.
template <typename T>
struct Left {
    const T* const* rows;
    T operator()(int64_t r, int64_t k) const { return rows[r][k]; }
};
template <typename T>
struct Transposed {
    const T* const* rows;
    T operator()(int64_t r, int64_t k) const { return rows[k][r]; }
};

// c[r][0 .. C vectors) (+)= sum_k a(first + r, k) b[k * ldb + ...], for R rows.
template <typename T, int R, int C, typename A>
inline void tile(int64_t depth, A a, int64_t first, const T* b, int64_t ldb, T* const* c, bool add) {
    using V = typename Simd<T>::V;
    constexpr int64_t N = Simd<T>::N;
    V sum[R][C];
    for (int r = 0; r < R; ++r)
        for (int j = 0; j < C; ++j) sum[r][j] = add ? *reinterpret_cast<const V*>(c[r] + j * N) : V{};
    for (int64_t k = 0; k < depth; ++k) {
        V row[C];
        for (int j = 0; j < C; ++j) row[j] = *reinterpret_cast<const V*>(b + k * ldb + j * N);
        for (int r = 0; r < R; ++r)
            for (int j = 0; j < C; ++j) sum[r][j] += a(first + r, k) * row[j];
    }
    for (int r = 0; r < R; ++r)
        for (int j = 0; j < C; ++j) *reinterpret_cast<V*>(c[r] + j * N) = sum[r][j];
}

// A matrix (depth, columns) in panels of two vectors' width, so that a product reads it from end to end.
template <typename T>
struct Matrix {
    static constexpr int64_t WIDTH = 2 * Simd<T>::N;
    static constexpr int ROWS = BYTES == 64 ? 8 : 6;  // of the left side at a time: as there are registers
    int64_t depth, columns;
    std::vector<T> panels;  // the last one is filled up with zeros

    Matrix(int64_t depth, int64_t columns)
        : depth(depth), columns(columns), panels((columns + WIDTH - 1) / WIDTH * WIDTH * depth) {}

    // Element (k, j) is at source[k * row + j * column].
    Matrix(const T* source, int64_t depth, int64_t columns, int64_t row, int64_t column) : Matrix(depth, columns) {
        fill(source, depth, row, column);
    }

    // The same over again, with no more rows than there were.
    void fill(const T* source, int64_t rows, int64_t row, int64_t column) {
        depth = rows;
        for (int64_t j = 0; j < columns; j += WIDTH) {
            const int64_t width = std::min(WIDTH, columns - j);
            const T* from = source + j * column;
            T* to = panels.data() + j * depth;
            for (int64_t k = 0; k < depth; ++k)
                for (int64_t i = 0; i < width; ++i) to[k * WIDTH + i] = from[k * row + i * column];
        }
    }

    // c[r] (+)= row r of a, times this matrix.
    template <typename A>
    void multiply(int64_t rows, A a, T* const* c, bool add) const {
        const int64_t blocks = (rows + ROWS - 1) / ROWS;
        for (int64_t j = 0; j < columns; j += WIDTH)
            for (int64_t i = 0, r = 0; i < blocks; ++i) {
                const int64_t size = (rows - r) / (blocks - i);
                switch (size) {
                    case 1: block<1>(j, a, r, c + r, add); break;
                    case 2: block<2>(j, a, r, c + r, add); break;
                    case 3: block<3>(j, a, r, c + r, add); break;
                    case 4: block<4>(j, a, r, c + r, add); break;
                    case 5: block<5>(j, a, r, c + r, add); break;
                    case 6: block<6>(j, a, r, c + r, add); break;
                    case 7: block<std::min(7, ROWS)>(j, a, r, c + r, add); break;
                    default: block<ROWS>(j, a, r, c + r, add); break;
                }
                r += size;
            }
    }
    void multiply(const std::vector<T*>& a, T* const* c, bool add) const {
        multiply(a.size(), Left<T>{a.data()}, c, add);
    }

   private:
    // R rows, beginning with row r of a, times the panel that begins at column j.
    template <int R, typename A>
    void block(int64_t j, A a, int64_t r, T* const* c, bool add) const {
        const T* panel = panels.data() + j * depth;
        const int64_t width = std::min(WIDTH, columns - j);
        T edge[R][WIDTH] = {};
        T* out[R];
        for (int i = 0; i < R; ++i) {
            out[i] = width == WIDTH ? c[i] + j : edge[i];
            if (width < WIDTH && add) std::copy_n(c[i] + j, width, edge[i]);
        }
        if (width > Simd<T>::N) tile<T, R, 2>(depth, a, r, panel, WIDTH, out, add);
        else tile<T, R, 1>(depth, a, r, panel, WIDTH, out, add);
        if (width < WIDTH)
            for (int i = 0; i < R; ++i) std::copy_n(edge[i], width, c[i] + j);
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
    T parts[N];
    std::memcpy(parts, sum, sizeof parts);
    for (int64_t half = N / 2; half > 0; half /= 2)
        for (int64_t j = 0; j < half; ++j) parts[j] += parts[j + half];
    for (; i < n; ++i) parts[0] += a[i] * b[i];
    return parts[0];
}

// out (n) = sum_s weights[s] vectors[s], vectors (count, n). The last columns are computed twice where n is no multiple
// of a vector.
template <typename T>
inline void weighted_sum(int64_t count, int64_t n, const T* weights, const T* vectors, T* out) {
    constexpr int64_t N = Simd<T>::N;
    int64_t j = 0;
    const Left<T> a{&weights};
    for (T* c; j + 8 * N <= n; j += 8 * N) c = out + j, tile<T, 1, 8>(count, a, 0, vectors + j, n, &c, false);
    for (T* c; j + N <= n; j += N) c = out + j, tile<T, 1, 1>(count, a, 0, vectors + j, n, &c, false);
    if (j < n && n >= N) {
        T* c = out + n - N;
        return tile<T, 1, 1>(count, a, 0, vectors + n - N, n, &c, false);
    }
    for (; j < n; ++j) {
        out[j] = 0;
        for (int64_t s = 0; s < count; ++s) out[j] += weights[s] * vectors[s * n + j];
    }
}

}  // namespace
