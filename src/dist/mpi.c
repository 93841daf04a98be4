/* The transport over MPI: non-blocking messages between two ranks, nothing else, since MPI's own
 * reductions promise no order of their additions. */
#include "dist/dist_internal.h"

#include <limits.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

typedef struct open_message {
    void *owner;
    size_t size;
    int peer;
    bool is_send;
} open_message;

/** Arrays for so many messages, in one block. */
typedef struct table {
    void *block;
    MPI_Request *requests;
    open_message *open;
    MPI_Status *statuses; /* this and the next two: of messages that ended */
    void **owners;
    int *indices;
} table;

typedef struct mpi_wire {
    MPI_Comm comm;
    bool started_mpi;
    int n_open, capacity;
    table table;
} mpi_wire;

/** "what: MPI's words"; MPI_SUCCESS is fine. */
static tq_status check(int error, const char *what)
{
    if (error == MPI_SUCCESS)
        return TQ_OK;
    char text[MPI_MAX_ERROR_STRING + 1] = "";
    int length = 0;
    MPI_Error_string(error, text, &length);
    return tq_fail(TQ_ERR_IO, "%s: %s", what, length > 0 ? text : "unknown MPI error");
}

/* ---- messages ---------------------------------------------------------------------------------
 */

static void *carve(char **at, int n, size_t size)
{
    char *begin = *at;
    *at += ((size_t)n * size + 15) / 16 * 16;
    return begin;
}

static tq_status reserve(void *state, int n)
{
    mpi_wire *wire = state;
    if (n <= wire->capacity)
        return TQ_OK;
    const size_t each = sizeof(MPI_Request) + sizeof(open_message) + sizeof(MPI_Status) +
                        sizeof(void *) + sizeof(int);
    table larger = { .block = tq_allocate((size_t)n * each + 5 * 16) };
    if (!larger.block)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    char *at = larger.block;
    larger.requests = carve(&at, n, sizeof *larger.requests);
    larger.open = carve(&at, n, sizeof *larger.open);
    larger.statuses = carve(&at, n, sizeof *larger.statuses);
    larger.owners = carve(&at, n, sizeof *larger.owners);
    larger.indices = carve(&at, n, sizeof *larger.indices);
    for (int i = 0; i < wire->n_open; i++) {
        larger.requests[i] = wire->table.requests[i];
        larger.open[i] = wire->table.open[i];
    }
    free(wire->table.block);
    wire->table = larger;
    wire->capacity = n;
    return TQ_OK;
}

static tq_status post(void *state, const tq_message *m)
{
    mpi_wire *wire = state;
    TQ_ASSERT(wire->n_open < wire->capacity);
    MPI_Request *request = &wire->table.requests[wire->n_open];
    const int n = (int)m->size;
    if (m->is_send)
        TQ_TRY(check(MPI_Isend(m->data, n, MPI_BYTE, m->peer, m->tag, wire->comm, request),
                     "cannot send to another rank"));
    else
        TQ_TRY(check(MPI_Irecv(m->data, n, MPI_BYTE, m->peer, m->tag, wire->comm, request),
                     "cannot receive from another rank"));
    wire->table.open[wire->n_open++] = (open_message){ m->owner, m->size, m->peer, m->is_send };
    return TQ_OK;
}

static tq_status fail_length(const open_message *message, const char *more_or_less)
{
    return tq_fail(
        TQ_ERR_STATE,
        "rank %d sent %s than the %zu bytes expected; start all ranks with the same files "
        "and options",
        message->peer, more_or_less, message->size);
}

/** Did it end well, and did as much come as was waited for? */
static tq_status check_ended(const open_message *message, const MPI_Status *status, int error)
{
    int n = 0, class = MPI_SUCCESS;
    TQ_TRY(check(MPI_Error_class(error, &class), "MPI"));
    if (class == MPI_ERR_TRUNCATE)
        return fail_length(message, "more");
    TQ_TRY(tq_wrap(check(error, "MPI"), "message %s rank %d", message->is_send ? "to" : "from",
                   message->peer));
    if (message->is_send)
        return TQ_OK;
    TQ_TRY(check(MPI_Get_count(status, MPI_BYTE, &n), "MPI"));
    return (size_t)n < message->size ? fail_length(message, "less") : TQ_OK;
}

/** Drops the messages that ended; the others move together and keep their order. */
static void drop_ended(mpi_wire *wire)
{
    const table *t = &wire->table;
    int n = 0;
    for (int i = 0; i < wire->n_open; i++)
        if (t->requests[i] != MPI_REQUEST_NULL) {
            t->requests[n] = t->requests[i];
            t->open[n++] = t->open[i];
        }
    wire->n_open = n;
}

static tq_status poll(void *state, void *const **out_owners, int *out_n)
{
    mpi_wire *wire = state;
    const table *t = &wire->table;
    int n = 0;
    const int error = MPI_Testsome(wire->n_open, t->requests, &n, t->indices, t->statuses);
    if (error != MPI_SUCCESS && error != MPI_ERR_IN_STATUS)
        return check(error, "cannot wait for the other ranks");
    n = n == MPI_UNDEFINED ? 0 : n;
    for (int i = 0; i < n; i++) {
        const open_message *message = &t->open[t->indices[i]];
        TQ_TRY(check_ended(message, &t->statuses[i],
                           error == MPI_SUCCESS ? MPI_SUCCESS : t->statuses[i].MPI_ERROR));
        t->owners[i] = message->owner;
    }
    if (n > 0)
        drop_ended(wire);
    *out_owners = t->owners;
    *out_n = n;
    return TQ_OK;
}

/* ---- coming and going -------------------------------------------------------------------------
 */

static void leave(void *state)
{
    mpi_wire *wire = state;
    MPI_Comm_free(&wire->comm);
    if (wire->started_mpi)
        MPI_Finalize();
    free(wire->table.block);
    free(wire);
}

static void abort_all(int exit_status)
{
    MPI_Abort(MPI_COMM_WORLD, exit_status);
}

static const tq_transport transport = {
    .reserve = reserve, .post = post, .poll = poll, .leave = leave, .abort = abort_all
};

/** Starts MPI unless the program has done so; it cannot start twice. */
static tq_status start_mpi(bool *out_started)
{
    int is_running = 0, is_over = 0, level = MPI_THREAD_SINGLE;
    TQ_TRY(check(MPI_Finalized(&is_over), "MPI"));
    if (is_over)
        return tq_fail(TQ_ERR_STATE, "MPI has ended; a process can join only once");
    TQ_TRY(check(MPI_Initialized(&is_running), "MPI"));
    *out_started = !is_running;
    if (is_running)
        TQ_TRY(check(MPI_Query_thread(&level), "MPI"));
    else
        TQ_TRY(check(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level), "cannot start MPI"));
    if (level < MPI_THREAD_FUNNELED)
        return tq_fail(TQ_ERR_UNSUPPORTED, "this MPI does not work with threads");
    return TQ_OK;
}

static tq_status find_place(mpi_wire *wire, tq_wire *out_wire)
{
    int *n_tags = NULL, has_tags = 0;
    TQ_TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &wire->comm), "cannot reach the other ranks"));
    TQ_TRY(check(MPI_Comm_set_errhandler(wire->comm, MPI_ERRORS_RETURN), "MPI"));
    TQ_TRY(check(MPI_Comm_rank(wire->comm, &out_wire->index), "MPI"));
    TQ_TRY(check(MPI_Comm_size(wire->comm, &out_wire->n_ranks), "MPI"));
    TQ_TRY(check(MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &n_tags, &has_tags), "MPI"));
    out_wire->n_tags = has_tags ? *n_tags : 32767; /* which any MPI has */
    out_wire->message_size = 1 << 30;              /* MPI counts in ints */
    return TQ_OK;
}

tq_status tq_wire_join(tq_wire *out_wire)
{
    mpi_wire *wire = tq_allocate(sizeof *wire);
    if (!wire)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    tq_status status = start_mpi(&wire->started_mpi);
    if (!status)
        status = find_place(wire, out_wire);
    if (status) {
        free(wire);
        return status;
    }
    out_wire->transport = &transport;
    out_wire->state = wire;
    return TQ_OK;
}
