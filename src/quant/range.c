/* Ranges of integer codes as QuantLib's QRangeSpec states them.
 *
 *   bitwidth:B     2^B levels        signed:true    from -(levels / 2)
 *   limpbitwidth:B 2^B - 1 levels    signed:false   from 0
 *   n_levels:K     K levels          offset:Z       from Z;  none of the three: a free offset
 *
 * and by name or value: binary = (-1,1), the only range whose step is 2; ternary = (-1,0,1); any
 * tuple of consecutive integers; and u8, i4, ... for a bitwidth with a sign. */
#include <truq/quant.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

enum { MAX_TUPLE = 1024 };
static const int64_t max_levels = INT64_C(1) << 32;

/** What a "key:value,..." text said. */
typedef struct spec {
    int n_size_keys;
    int64_t n_levels;
    int n_place_keys;
    bool halved; /* signed:true */
    int64_t offset;
} spec;

static const char *skip_spaces(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

/** Reads an integer of magnitude up to 2^32 and the spaces after it. */
static bool read_int(const char **p, int64_t *out)
{
    const char *start = skip_spaces(*p);
    if (!isdigit((unsigned char)start[*start == '-' || *start == '+']))
        return false;
    char *end;
    errno = 0;
    const long long value = strtoll(start, &end, 10);
    if (errno || value < -max_levels || value > max_levels)
        return false;
    *out = value;
    *p = skip_spaces(end);
    return true;
}

/** Reads `word` if it stands next and ends there. */
static bool read_word(const char **p, const char *word)
{
    const char *start = skip_spaces(*p);
    const size_t n = strlen(word);
    if (strncmp(start, word, n) != 0 || isalnum((unsigned char)start[n]) || start[n] == '_')
        return false;
    *p = skip_spaces(start + n);
    return true;
}

static tq_status bad(const char *text, const char *why)
{
    return tq_fail(TQ_ERR_VALUE, "range '%.100s': %s", text, why);
}

static tq_status set_range(const char *text, int64_t q_min, int64_t n_levels, int step,
                           tq_range *out_range)
{
    if (n_levels < 2 || n_levels > max_levels)
        return bad(text, "expected 2 to 2^32 levels");
    if (q_min < -max_levels || q_min + (n_levels - 1) * step > max_levels)
        return bad(text, "codes are beyond 2^32");
    *out_range = (tq_range){ .q_min = q_min, .n_levels = n_levels, .step = step };
    return TQ_OK;
}

static int compare_i64(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/** "(-1,0,1)": consecutive integers in any order, or the sign range (-1,1). */
static tq_status parse_tuple(const char *text, tq_range *out_range)
{
    int64_t codes[MAX_TUPLE];
    int n = 0;
    const char *p = text + 1;
    do {
        if (n == MAX_TUPLE)
            return bad(text, "a tuple has up to 1024 codes; say n_levels and offset instead");
        if (!read_int(&p, &codes[n]))
            return bad(text, "expected integers, as in (-1,0,1)");
        n++;
    } while (*p++ == ',');
    if (p[-1] != ')' || *skip_spaces(p))
        return bad(text, "expected ')' at the end");
    qsort(codes, (size_t)n, sizeof codes[0], compare_i64);
    if (n == 2 && codes[0] == -1 && codes[1] == 1)
        return set_range(text, -1, 2, 2, out_range);
    for (int i = 1; i < n; i++)
        if (codes[i] != codes[i - 1] + 1)
            return bad(text, "codes must be consecutive integers, or -1 and 1");
    return set_range(text, codes[0], n, 1, out_range);
}

/** One "key:value" pair. */
static tq_status parse_pair(const char *text, const char **p, spec *s)
{
    static const char *const sizes[] = { "bitwidth", "limpbitwidth", "n_levels" };
    for (int k = 0; k < TQ_COUNT(sizes); k++) {
        if (!read_word(p, sizes[k]))
            continue;
        s->n_size_keys++;
        if (*(*p)++ != ':' || !read_int(p, &s->n_levels))
            return bad(text, "expected a number after bitwidth, limpbitwidth or n_levels");
        if (k < 2 && (s->n_levels < 1 || s->n_levels > 32))
            return bad(text, "expected 1 to 32 bits");
        if (k < 2)
            s->n_levels = (INT64_C(1) << s->n_levels) - (k == 1);
        return TQ_OK;
    }
    s->n_place_keys++;
    if (read_word(p, "signed")) {
        const bool colon = *(*p)++ == ':';
        s->halved = colon && read_word(p, "true");
        if (!s->halved && !(colon && read_word(p, "false")))
            return bad(text, "expected true or false after signed");
        return TQ_OK;
    }
    if (!read_word(p, "offset"))
        return bad(text, "unknown key; expected one of bitwidth, limpbitwidth, n_levels and at "
                         "most one of signed, offset");
    if (*(*p)++ != ':' || !read_int(p, &s->offset))
        return bad(text, "expected a number after offset");
    return TQ_OK;
}

static tq_status parse_pairs(const char *text, tq_range *out_range)
{
    spec s = { 0 };
    const char *p = text;
    do
        TQ_TRY(parse_pair(text, &p, &s));
    while (*p++ == ',');
    if (p[-1])
        return bad(text, "expected key:value pairs with commas between them");
    if (s.n_size_keys != 1)
        return bad(text, "expected exactly one of bitwidth, limpbitwidth, n_levels");
    if (s.n_place_keys > 1)
        return bad(text, "expected at most one of signed, offset");
    const int64_t q_min = s.halved ? -(s.n_levels / 2) : s.offset;
    TQ_TRY(set_range(text, q_min, s.n_levels, 1, out_range));
    out_range->free_offset = s.n_place_keys == 0;
    return TQ_OK;
}

tq_status tq_range_parse(const char *text, tq_range *out_range)
{
    const char *p = skip_spaces(text);
    if (*p == '(')
        return parse_tuple(p, out_range);
    const char *q = p;
    if (read_word(&q, "binary") && !*q)
        return set_range(text, -1, 2, 2, out_range);
    q = p;
    if (read_word(&q, "ternary") && !*q)
        return set_range(text, -1, 3, 1, out_range);
    q = p + 1;
    int64_t bits;
    if ((*p != 'u' && *p != 'i') || !isdigit((unsigned char)*q))
        return parse_pairs(p, out_range);
    if (!read_int(&q, &bits) || *q || bits < 1 || bits > 32)
        return bad(text, "expected u or i and 1 to 32 bits, as in u8");
    const int64_t n_levels = INT64_C(1) << bits;
    return set_range(text, *p == 'u' ? 0 : -(n_levels / 2), n_levels, 1, out_range);
}

tq_text tq_range_text(const tq_range *range)
{
    tq_text text;
    int bits = 1;
    while (bits < 32 && INT64_C(1) << bits < range->n_levels)
        bits++;
    const bool whole = range->n_levels == INT64_C(1) << bits;
    if (range->step == 2)
        snprintf(text.s, sizeof text.s, "binary");
    else if (range->free_offset && whole)
        snprintf(text.s, sizeof text.s, "bitwidth:%d", bits);
    else if (range->free_offset)
        snprintf(text.s, sizeof text.s, "n_levels:%lld", (long long)range->n_levels);
    else if (range->n_levels == 3 && range->q_min == -1)
        snprintf(text.s, sizeof text.s, "ternary");
    else if (whole && range->q_min == 0)
        snprintf(text.s, sizeof text.s, "u%d", bits);
    else if (whole && range->q_min == -(range->n_levels / 2))
        snprintf(text.s, sizeof text.s, "i%d", bits);
    else
        snprintf(text.s, sizeof text.s, "n_levels:%lld,offset:%lld", (long long)range->n_levels,
                 (long long)range->q_min);
    return text;
}

static int bits_of(int64_t v)
{
    int bits = 0;
    for (; v > 0; v >>= 1)
        bits++;
    return bits;
}

/* Two's complement when there are negative codes: the sign range takes 2 bits. */
int tq_range_bits(const tq_range *range)
{
    const int64_t q_max = tq_range_q_max(range);
    if (range->q_min >= 0)
        return bits_of(q_max);
    const int below = bits_of(-(range->q_min + 1)), above = bits_of(q_max);
    return 1 + (below > above ? below : above);
}
