/* Tables of text: columns as wide as their widest cell, two spaces apart. */
#include "report/report_internal.h"

#include <string.h>

struct tq_table {
    tq_arena *arena;
    int n_columns, n_rows;
    size_t capacity;
    const char **titles;
    bool *right;
    const char ***rows;
};

tq_table *tq_table_create(tq_arena *arena, int n_columns, const char *const *titles)
{
    tq_table *table = TQ_NEW(arena, tq_table);
    table->arena = arena;
    table->n_columns = n_columns;
    table->titles = TQ_NEW_N(arena, const char *, n_columns);
    table->right = TQ_NEW_N(arena, bool, n_columns);
    for (int i = 0; i < n_columns; i++) {
        table->right[i] = titles[i][0] == '>';
        table->titles[i] = titles[i] + table->right[i];
    }
    return table;
}

void tq_table_add(tq_table *table, const char *const *cells)
{
    const char **row = TQ_NEW_N(table->arena, const char *, table->n_columns);
    for (int i = 0; i < table->n_columns; i++)
        row[i] = tq_text_clean(table->arena, cells[i] ? cells[i] : "");
    TQ_PUSH(table->arena, table->rows, table->n_rows, table->capacity, row);
}

/** Characters, not bytes: continuation bytes of UTF-8 take no place. */
static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void add_row(const tq_table *table, const int *widths, const char *const *cells,
                    tq_string *out)
{
    size_t end = out->n; /* no spaces at the end of a line */
    for (int i = 0; i < table->n_columns; i++) {
        const int space = widths[i] - width_of(cells[i]);
        tq_string_printf(out, "%*s%s", table->right[i] ? space : 0, "", cells[i]);
        if (cells[i][0])
            end = out->n;
        tq_string_printf(out, "%*s", table->right[i] ? 2 : space + 2, "");
    }
    out->n = end;
    tq_string_add(out, "\n", 1);
}

const char *tq_table_print(const tq_table *table)
{
    tq_string out = { .arena = table->arena };
    int *widths = TQ_NEW_N(table->arena, int, table->n_columns);
    for (int i = 0; i < table->n_columns; i++) {
        widths[i] = width_of(table->titles[i]);
        for (int r = 0; r < table->n_rows; r++) {
            const int width = width_of(table->rows[r][i]);
            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
    tq_string_add(&out, "", 0);
    add_row(table, widths, table->titles, &out);
    for (int r = 0; r < table->n_rows; r++)
        add_row(table, widths, table->rows[r], &out);
    return out.s;
}
