/* Checkpoints: all that decides how a training goes on, so that a resumed one ends in the same
 * bits.
 *
 *   "TRUQCKPT", version u32, settings (text), position, results of finished epochs,
 *   parameters (name, count, f32 data, f32 optimiser states), statistics (name, count, f32 data),
 *   what controllers set (of each parameter whether it is frozen and its factor of the learning
 *   rate; whether batch norms are frozen), states of controllers (name, count, f64 data),
 *   CRC-32 of all before it
 *
 * Counts and integers are 64-bit, text is a count and its bytes, everything little endian. No time,
 * path or number of threads is inside: equal trainings have equal files. */
#include "train/train_internal.h"

#include <truq/onnx.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = { 'T', 'R', 'U', 'Q', 'C', 'K', 'P', 'T' };
enum { VERSION = 2 };

/* ---- writing -------------------------------------------------------------------------------- */

/** Bytes to be written: with data NULL they are only counted. */
typedef struct writer {
    uint8_t *data;
    size_t size;
} writer;

static void put(writer *w, const void *bytes, size_t size)
{
    if (w->data && size)
        memcpy(w->data + w->size, bytes, size);
    w->size += size;
}

static void put_i64(writer *w, int64_t value)
{
    put(w, &value, sizeof value);
}

static void put_f64(writer *w, double value)
{
    put(w, &value, sizeof value);
}

static void put_text(writer *w, const char *text)
{
    put_i64(w, (int64_t)strlen(text));
    put(w, text, strlen(text));
}

static void put_position(writer *w, const tq_position *p)
{
    put_i64(w, p->step);
    put_i64(w, p->epoch);
    put_i64(w, p->batch);
    put_f64(w, p->loss_sum);
    put_i64(w, p->n_images);
    put_i64(w, p->n_correct);
    put_f64(w, p->best);
    put_f64(w, p->best_top1);
    put_i64(w, p->n_epochs);
    for (int64_t i = 0; i < p->n_epochs; i++) {
        put_f64(w, p->epochs[i].train_loss);
        put_f64(w, p->epochs[i].train_top1);
        put_f64(w, p->epochs[i].valid_loss);
        put_f64(w, p->epochs[i].valid_top1);
    }
}

static void put_parameters(writer *w, const tq_parameters *parameters, int n_states)
{
    put_i64(w, parameters->n);
    put_i64(w, n_states);
    for (int i = 0; i < parameters->n; i++) {
        const tq_parameter *p = &parameters->items[i];
        put_text(w, p->name);
        put_i64(w, p->n);
        put(w, p->data, (size_t)p->n * sizeof(float));
        for (int s = 0; s < n_states; s++)
            put(w, p->states[s], (size_t)p->n * sizeof(float));
    }
    put_i64(w, parameters->n_statistics);
    for (int i = 0; i < parameters->n_statistics; i++) {
        const tq_statistic *s = &parameters->statistics[i];
        put_text(w, s->name);
        put_i64(w, s->n);
        put(w, s->data, (size_t)s->n * sizeof(float));
    }
}

static void put_controls(writer *w, const tq_controls *controls, const tq_parameters *parameters)
{
    for (int i = 0; i < parameters->n; i++) {
        put_i64(w, parameters->items[i].frozen);
        put_f64(w, parameters->items[i].lr_factor);
    }
    put_i64(w, controls->freeze_norms);
    put_i64(w, controls->n);
    for (int i = 0; i < controls->n; i++) {
        const tq_control *control = &controls->items[i].control;
        put_text(w, controls->items[i].text);
        put_i64(w, control->n_state);
        put(w, control->state, (size_t)control->n_state * sizeof(double));
    }
}

static void put_all(writer *w, const tq_checkpoint *c)
{
    put(w, magic, sizeof magic);
    put(w, &(uint32_t){ VERSION }, sizeof(uint32_t));
    put_text(w, c->settings);
    put_position(w, c->position);
    put_parameters(w, c->parameters, c->n_states);
    put_controls(w, c->controls, c->parameters);
    const uint32_t crc = w->data ? tq_crc32(0, w->data, w->size) : 0;
    put(w, &crc, sizeof crc);
}

tq_status tq_checkpoint_save(const char *path, const tq_checkpoint *checkpoint)
{
    writer w = { 0 };
    put_all(&w, checkpoint);
    w = (writer){ .data = malloc(w.size) };
    if (!w.data)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a checkpoint");
    put_all(&w, checkpoint);
    const tq_status status = tq_file_write(path, w.data, w.size);
    free(w.data);
    return status;
}

/* ---- reading --------------------------------------------------------------------------------- */

/** Bytes still to be read; `broken` once more was asked for than there is. */
typedef struct reader {
    const uint8_t *data;
    size_t left;
    bool broken;
} reader;

static const uint8_t *take(reader *r, size_t size)
{
    if (r->broken || size > r->left) {
        r->broken = true;
        return NULL;
    }
    const uint8_t *bytes = r->data;
    r->data += size;
    r->left -= size;
    return bytes;
}

static void get(reader *r, void *out, size_t size)
{
    const uint8_t *bytes = take(r, size);
    if (bytes && size)
        memcpy(out, bytes, size);
}

static int64_t get_i64(reader *r)
{
    int64_t value = 0;
    get(r, &value, sizeof value);
    return value;
}

static double get_f64(reader *r)
{
    double value = 0.0;
    get(r, &value, sizeof value);
    return value;
}

/** A text, not terminated. */
static const char *get_text(reader *r, size_t *out_length)
{
    const int64_t n = get_i64(r);
    *out_length = n < 0 || (uint64_t)n > r->left ? 0 : (size_t)n;
    r->broken = r->broken || n < 0 || (uint64_t)n > r->left;
    return (const char *)take(r, *out_length);
}

static void get_position(reader *r, int64_t max_epochs, tq_position *p)
{
    p->step = get_i64(r);
    p->epoch = get_i64(r);
    p->batch = get_i64(r);
    p->loss_sum = get_f64(r);
    p->n_images = get_i64(r);
    p->n_correct = get_i64(r);
    p->best = get_f64(r);
    p->best_top1 = get_f64(r);
    p->n_epochs = get_i64(r);
    if (p->n_epochs < 0 || p->n_epochs > max_epochs || p->step < 0 || p->epoch < 0 || p->batch < 0)
        r->broken = true;
    for (int64_t i = 0; !r->broken && i < p->n_epochs; i++) {
        p->epochs[i].train_loss = get_f64(r);
        p->epochs[i].train_top1 = get_f64(r);
        p->epochs[i].valid_loss = get_f64(r);
        p->epochs[i].valid_top1 = get_f64(r);
    }
}

/** n elements of `size` bytes into `data`, unless it is only to be checked that they are there. */
static void get_elements(reader *r, void *data, int64_t n, size_t size, bool apply)
{
    const uint8_t *bytes = take(r, (size_t)n * size);
    if (bytes && apply && n)
        memcpy(data, bytes, (size_t)n * size);
}

/** A name and a count that must be ours. */
static void expect(reader *r, const char *name, int64_t n)
{
    size_t length;
    const char *text = get_text(r, &length);
    if (!text || length != strlen(name) || memcmp(text, name, length) || get_i64(r) != n)
        r->broken = true;
}

static bool get_parameters(reader *r, const tq_parameters *parameters, int n_states, bool apply)
{
    if (get_i64(r) != parameters->n || get_i64(r) != n_states)
        return false;
    for (int i = 0; i < parameters->n; i++) {
        const tq_parameter *p = &parameters->items[i];
        expect(r, p->name, p->n);
        get_elements(r, p->data, p->n, sizeof(float), apply);
        for (int s = 0; s < n_states; s++)
            get_elements(r, p->states[s], p->n, sizeof(float), apply);
    }
    if (get_i64(r) != parameters->n_statistics)
        return false;
    for (int i = 0; i < parameters->n_statistics; i++) {
        const tq_statistic *s = &parameters->statistics[i];
        expect(r, s->name, s->n);
        get_elements(r, s->data, s->n, sizeof(float), apply);
    }
    return !r->broken;
}

static bool get_controls(reader *r, tq_controls *controls, const tq_parameters *parameters,
                         bool apply)
{
    for (int i = 0; i < parameters->n; i++) {
        tq_parameter *p = &parameters->items[i];
        const bool frozen = get_i64(r) != 0;
        const double factor = get_f64(r);
        p->frozen = apply ? frozen : p->frozen;
        p->lr_factor = apply ? factor : p->lr_factor;
    }
    const bool freeze_norms = get_i64(r) != 0;
    controls->freeze_norms = apply ? freeze_norms : controls->freeze_norms;
    if (get_i64(r) != controls->n)
        return false;
    for (int i = 0; i < controls->n; i++) {
        const tq_control *control = &controls->items[i].control;
        expect(r, controls->items[i].text, control->n_state);
        get_elements(r, control->state, control->n_state, sizeof(double), apply);
    }
    return !r->broken;
}

/** All that stands behind the position; first to check it, then to apply it. */
static bool get_rest(reader r, const tq_checkpoint *c, bool apply)
{
    return get_parameters(&r, c->parameters, c->n_states, apply) &&
           get_controls(&r, c->controls, c->parameters, apply) && r.left == 0;
}

/** Names the first line that differs. */
static tq_status compare_settings(const char *theirs, size_t n, const char *ours)
{
    if (n == strlen(ours) && !memcmp(theirs, ours, n))
        return TQ_OK;
    const char *end = theirs + n, *a = theirs, *b = ours;
    while (a < end && *b) {
        const char *a_end = memchr(a, '\n', (size_t)(end - a)), *b_end = strchr(b, '\n');
        const size_t a_n = (size_t)((a_end ? a_end : end) - a);
        const size_t b_n = b_end ? (size_t)(b_end - b) : strlen(b);
        if (a_n != b_n || memcmp(a, b, a_n))
            return tq_fail(TQ_ERR_VALUE,
                           "it was made with '%.*s', this run has '%.*s'; use the same settings, "
                           "or start anew without --resume",
                           (int)tq_clip_i64((int64_t)a_n, 0, 200), a,
                           (int)tq_clip_i64((int64_t)b_n, 0, 200), b);
        a += a_n + (a_end != NULL);
        b += b_n + (b_end != NULL);
    }
    return tq_fail(TQ_ERR_VALUE, "it was made with other settings; start anew without --resume");
}

static tq_status read_all(const void *bytes, size_t size, const tq_checkpoint *c)
{
    const size_t least = sizeof magic + 2 * sizeof(uint32_t);
    uint32_t version = 0, crc = 0;
    if (size < least || memcmp(bytes, magic, sizeof magic))
        return tq_fail(TQ_ERR_FORMAT, "it is no checkpoint");
    reader r = { .data = bytes, .left = size - sizeof crc };
    memcpy(&crc, r.data + r.left, sizeof crc);
    const uint32_t found = tq_crc32(0, bytes, r.left);
    take(&r, sizeof magic);
    get(&r, &version, sizeof version);
    if (version != VERSION)
        return tq_fail(TQ_ERR_FORMAT, "it has version %u, expected %d", version, VERSION);
    if (crc != found)
        return tq_fail(TQ_ERR_FORMAT,
                       "it is damaged: checksum is %08x, expected %08x; start anew without "
                       "--resume",
                       found, crc);
    size_t n_settings;
    const char *theirs = get_text(&r, &n_settings);
    if (!theirs)
        return tq_fail(TQ_ERR_FORMAT, "it is cut short");
    TQ_TRY(compare_settings(theirs, n_settings, c->settings));
    tq_position position = *c->position;
    get_position(&r, c->max_epochs, &position);
    if (r.broken || !get_rest(r, c, false))
        return tq_fail(TQ_ERR_FORMAT, "its arrays are not those of this network");
    get_rest(r, c, true);
    *c->position = position;
    return TQ_OK;
}

tq_status tq_checkpoint_load(const char *path, const tq_checkpoint *checkpoint)
{
    void *bytes;
    size_t size;
    TQ_TRY(tq_file_read(path, &bytes, &size));
    const tq_status status = read_all(bytes, size, checkpoint);
    free(bytes);
    return tq_wrap(status, "cannot resume from '%s'", path);
}
