/* The spellings of ReLU that exporters use become Relu:
 *   Max(x, 0) -> Relu(x);  Clip(x, 0, none or inf) -> Relu(x). */
#include <truq/edit.h>

const tq_editor tq_editor_canonicalise_activations = {
    .entry = { .name = "canonicalise-activations",
               .brief = "Max(x, 0) and Clip(x, 0, inf) become Relu" },
    .stage = TQ_EDIT_CANONICALISE,
    .rules = "rule maximum {"
             "  y = Max(x, 0) commutative"
             "  where dtype(x) == \"f32\", rank(x) == rank(y)"
             "=>"
             "  y = Relu(x)"
             "}"
             "rule clip {"
             "  y = Clip(x, 0, hi: scalar?)"
             "  where dtype(x) == \"f32\", (hi ?? inf) >= 3.4e38"
             "=>"
             "  y = Relu(x)"
             "}",
};
