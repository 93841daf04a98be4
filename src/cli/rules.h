/* Files of rules on the command line. */
#ifndef TQ_CLI_RULES_H
#define TQ_CLI_RULES_H

#include "cli.h"

#include <truq/rule.h>

/** What --editor and --rule name, in their order: editors by name, files of rules by their end
 * (.rule, .rules). The rules are registered, so that other options can name them. `files_only`: all
 * are files. */
tq_status tq_cli_editors(tq_cli *cli, const tq_list *list, bool files_only, int *out_n,
                         const tq_editor *const **out_editors);

#endif
