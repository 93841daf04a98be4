/* --dump-after, --stop-after, --dump-failed and --log of the commands that run editors. */
#ifndef TQ_CLI_DUMP_H
#define TQ_CLI_DUMP_H

#include "cli.h"

typedef struct tq_dump {
    tq_cli *cli;
    bool log;
    const char *failed_path; /* --dump-failed; NULL: not asked for */
    tq_status failed;        /* writing that did not work either */
} tq_dump;

/** Checks the editors' names and sets the edit's callbacks; `dump` must outlive it. */
tq_status tq_dump_prepare(tq_dump *dump, tq_edit *edit);
/** The outcome of the editors, with what --dump-failed has to say. */
tq_status tq_dump_finish(tq_dump *dump, tq_status status);

#endif
