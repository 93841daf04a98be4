/* The text of every set of products of rows: a file names its set and the width, and includes this
 * once. */
#include "kernels/f32/linear_internal.h"

/* How many rows and registers of columns at once: sums of all of them stay in registers. */
enum {
    B = TQ_LINEAR_WIDTH,
    ROWS = TQ_LINEAR_ROWS,
    COLUMNS = TQ_LINEAR_COLUMNS,
    VECTORS = TQ_LINEAR_ROWS
};

typedef float lanes __attribute__((vector_size(4 * B)));
typedef float lanes_u __attribute__((vector_size(4 * B), aligned(4), may_alias));

#define LOAD(p) (*(const lanes_u *)(p))
#define EACH_ROW(n) _Pragma("GCC unroll 4") for (int i = 0; i < (n); i++)
#define EACH_COLUMN(n) _Pragma("GCC unroll 4") for (int j = 0; j < (n); j++)
#define EACH_VECTOR(n) _Pragma("GCC unroll 4") for (int v = 0; v < (n); v++)

/* ---- y = x w^T ----------------------------------------------------------------------------- */

/** The lanes, halves onto halves. */
static float fold(const lanes *v)
{
    float s[B];
    for (int k = 0; k < B; k++)
        s[k] = (*v)[k];
    for (int half = B / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            s[k] += s[k + half];
    return s[0];
}

#define DOT(name_, n_rows_, n_columns_)                                                            \
    static void dot_##name_(const tq_linear *l, int64_t row, int64_t column)                       \
    {                                                                                              \
        const float *x = l->x + row * l->n_in, *w = l->w + column * l->n_in;                       \
        lanes acc[n_rows_][n_columns_];                                                            \
        EACH_ROW(n_rows_) EACH_COLUMN(n_columns_) acc[i][j] = (lanes){ 0 };                        \
        int64_t k = 0;                                                                             \
        for (; k + B <= l->n_in; k += B) {                                                         \
            lanes a[n_rows_];                                                                      \
            EACH_ROW(n_rows_) a[i] = LOAD(x + i * l->n_in + k);                                    \
            EACH_COLUMN(n_columns_)                                                                \
            {                                                                                      \
                const lanes b = LOAD(w + j * l->n_in + k);                                         \
                EACH_ROW(n_rows_) acc[i][j] += a[i] * b;                                           \
            }                                                                                      \
        }                                                                                          \
        for (int i = 0; i < n_rows_; i++)                                                          \
            for (int j = 0; j < n_columns_; j++) {                                                 \
                float sum = fold(&acc[i][j]);                                                      \
                for (int64_t r = k; r < l->n_in; r++)                                              \
                    sum += x[i * l->n_in + r] * w[j * l->n_in + r];                                \
                l->y[(row + i) * l->n_out + column + j] =                                          \
                    sum + (l->bias ? l->bias[column + j] : 0.0f);                                  \
            }                                                                                      \
    }
DOT(rows_columns, ROWS, COLUMNS)
DOT(rows, ROWS, 1)
DOT(columns, 1, COLUMNS)
DOT(one, 1, 1)

static void dot(const tq_linear *l)
{
    int64_t column = l->begin, row;
    for (; column + COLUMNS <= l->end; column += COLUMNS) {
        for (row = 0; row + ROWS <= l->n_rows; row += ROWS)
            dot_rows_columns(l, row, column);
        for (; row < l->n_rows; row++)
            dot_columns(l, row, column);
    }
    for (; column < l->end; column++) {
        for (row = 0; row + ROWS <= l->n_rows; row += ROWS)
            dot_rows(l, row, column);
        for (; row < l->n_rows; row++)
            dot_one(l, row, column);
    }
}

/* ---- y = x w ------------------------------------------------------------------------------- */

#define COMBINE(name_, n_rows_, n_vectors_)                                                        \
    static void combine_##name_(const tq_linear *l, int64_t row, int64_t column)                   \
    {                                                                                              \
        const float *x = l->x + row * l->n_in, *w = l->w + column;                                 \
        float *y = l->y + row * l->n_out + column;                                                 \
        lanes acc[n_rows_][n_vectors_];                                                            \
        EACH_ROW(n_rows_) EACH_VECTOR(n_vectors_) acc[i][v] = (lanes){ 0 };                        \
        for (int64_t k = 0; k < l->n_in; k++) {                                                    \
            lanes b[n_vectors_];                                                                   \
            EACH_VECTOR(n_vectors_) b[v] = LOAD(w + k * l->n_out + v * B);                         \
            EACH_ROW(n_rows_) EACH_VECTOR(n_vectors_) acc[i][v] += x[i * l->n_in + k] * b[v];      \
        }                                                                                          \
        EACH_ROW(n_rows_)                                                                          \
        EACH_VECTOR(n_vectors_)                                                                    \
        *(lanes_u *)(y + i * l->n_out + v * B) =                                                   \
            l->bias ? acc[i][v] + LOAD(l->bias + column + v * B) : acc[i][v];                      \
    }
COMBINE(rows_vectors, ROWS, VECTORS)
COMBINE(rows, ROWS, 1)
COMBINE(vectors, 1, VECTORS)
COMBINE(vector, 1, 1)

static void combine_one(const tq_linear *l, int64_t row, int64_t column)
{
    float sum = 0.0f;
    for (int64_t k = 0; k < l->n_in; k++)
        sum += l->x[row * l->n_in + k] * l->w[k * l->n_out + column];
    l->y[row * l->n_out + column] = sum + (l->bias ? l->bias[column] : 0.0f);
}

static void combine(const tq_linear *l)
{
    int64_t column = l->begin, row;
    for (; column + VECTORS * B <= l->end; column += VECTORS * B) {
        for (row = 0; row + ROWS <= l->n_rows; row += ROWS)
            combine_rows_vectors(l, row, column);
        for (; row < l->n_rows; row++)
            combine_vectors(l, row, column);
    }
    for (; column + B <= l->end; column += B) {
        for (row = 0; row + ROWS <= l->n_rows; row += ROWS)
            combine_rows(l, row, column);
        for (; row < l->n_rows; row++)
            combine_vector(l, row, column);
    }
    for (; column < l->end; column++)
        for (row = 0; row < l->n_rows; row++)
            combine_one(l, row, column);
}

/* ---- sums of outer products ------------------------------------------------------------------ */

#define OUTER(name_, n_columns_, n_vectors_)                                                       \
    static void outer_##name_(const tq_linear_outer *l, int first, int64_t c, float *sums)         \
    {                                                                                              \
        lanes acc[n_columns_][n_vectors_];                                                         \
        EACH_COLUMN(n_columns_) EACH_VECTOR(n_vectors_) acc[j][v] = (lanes){ 0 };                  \
        for (int64_t r = l->begin; r < l->end; r++) {                                              \
            const float *a = l->a + r * l->n_a + l->first + first;                                 \
            EACH_VECTOR(n_vectors_)                                                                \
            {                                                                                      \
                const lanes b = LOAD(l->b + r * l->n_b + l->column + c + v * B);                   \
                EACH_COLUMN(n_columns_) acc[j][v] += a[j] * b;                                     \
            }                                                                                      \
        }                                                                                          \
        EACH_COLUMN(n_columns_)                                                                    \
        EACH_VECTOR(n_vectors_)                                                                    \
        *(lanes_u *)(sums + (first + j) * l->n_columns + c + v * B) = acc[j][v];                   \
    }
OUTER(columns_vectors, COLUMNS, VECTORS)
OUTER(columns, COLUMNS, 1)
OUTER(vectors, 1, VECTORS)
OUTER(vector, 1, 1)

static void outer_one(const tq_linear_outer *l, int column, int64_t c, float *sums)
{
    float sum = 0.0f;
    for (int64_t r = l->begin; r < l->end; r++)
        sum += l->a[r * l->n_a + l->first + column] * l->b[r * l->n_b + l->column + c];
    sums[column * l->n_columns + c] = sum;
}

static void outer(const tq_linear_outer *l, float *sums)
{
    int64_t c = 0;
    int j;
    for (; c + VECTORS * B <= l->n_columns; c += VECTORS * B) {
        for (j = 0; j + COLUMNS <= l->n; j += COLUMNS)
            outer_columns_vectors(l, j, c, sums);
        for (; j < l->n; j++)
            outer_vectors(l, j, c, sums);
    }
    for (; c + B <= l->n_columns; c += B) {
        for (j = 0; j + COLUMNS <= l->n; j += COLUMNS)
            outer_columns(l, j, c, sums);
        for (; j < l->n; j++)
            outer_vector(l, j, c, sums);
    }
    for (; c < l->n_columns; c++)
        for (j = 0; j < l->n; j++)
            outer_one(l, j, c, sums);
}

const tq_linear_set TQ_LINEAR_SET = {
    .name = TQ_LINEAR_NAME, .needs = TQ_LINEAR_NEEDS, .dot = dot, .combine = combine, .outer = outer
};
