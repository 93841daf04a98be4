/* What the subcommands of this folder include: the public API, and <truq/command.h> for what a
 * subcommand is. Each is one file and one line in commands.def. Only this folder prints. */
#ifndef TQ_CLI_H
#define TQ_CLI_H

#include <truq/command.h>
#include <truq/truq.h>

#include <stdio.h>

#endif
