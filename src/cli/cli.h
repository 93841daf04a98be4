/* What the subcommands of this folder include: the public API, and <truq/command.h> for what a
 * subcommand is. Each is one file and one line in commands.def. Only this folder prints. */
#ifndef TQ_CLI_H
#define TQ_CLI_H

#include <truq/command.h>
#include <truq/truq.h>

#include <stdio.h>

#define TQ_OPT_ROUNDING(target_)                                                                   \
    TQ_OPT_STRING(                                                                                 \
        0, "rounding", "half-up", (target_),                                                       \
        "as integers, round activations half up where they were to be rounded otherwise; "         \
        "without it that is refused, unless no tie tells the difference")
#define TQ_OPT_COMPUTE(target_)                                                                    \
    TQ_OPT_STRING(                                                                                 \
        0, "compute", "f32|bf16", (target_),                                                       \
        "arithmetic of the convolutions of a step; bf16 rounds their operands to 8 bits of "       \
        "significand, sums and parameters stay f32; needs AVX512-BF16")
#define TQ_OPT_MEMORY(target_)                                                                     \
    TQ_OPT_INT(0, "memory", "MB", (target_), 0, 1 << 20,                                           \
               "for the arrays of a training step; what does not fit is computed again in the "    \
               "backward pass, with the same bits; 0: no limit")
/** Is the text of --rounding "half-up"? NULL is not; TQ_ERR_USAGE for others. */
tq_status tq_cli_half_up(const char *text, bool *out_half_up);

#endif
