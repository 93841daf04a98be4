/* --dump-after, --stop-after and --log of the commands that run editors. */
#ifndef TQ_CLI_DUMP_H
#define TQ_CLI_DUMP_H

#include "cli.h"

typedef struct tq_dump {
    tq_cli *cli;
    bool log;
} tq_dump;

/** Checks the editors' names and sets the edit's callbacks; `dump` must outlive it. */
tq_status tq_dump_prepare(tq_dump *dump, tq_edit *edit);

#endif
