/* Recipes and presets as files: what is read, and what is refused where. */
#include "check.h"

static const char *write_file(const char *name, const char *text)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", check_folder(), name);
    FILE *file = fopen(path, "w");
    CHECK(file);
    fputs(text, file);
    CHECK_EQ(fclose(file), 0);
    return path;
}

/** Copies the k-th ```yaml block of docs/recipes.md into a file. */
static const char *example(int k)
{
    static char text[65536];
    FILE *file = fopen("docs/recipes.md", "r");
    CHECK(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    char *block = text;
    for (int i = 0; i <= k; i++) {
        block = strstr(block, "```yaml\n");
        CHECK(block);
        block += 8;
    }
    *strstr(block, "```") = 0;
    static char name[32];
    snprintf(name, sizeof name, "example%d.yaml", k);
    return write_file(name, block);
}

TEST(the_example_of_the_documentation_loads)
{
    tq_arena *arena = tq_arena_create();
    const tq_recipe *recipe, *base;
    CHECK_OK(tq_recipe_load(check_registry(), example(0), arena, &recipe));
    CHECK_OK(tq_recipe_load(check_registry(), "pact8", arena, &base));
    CHECK_STR(recipe->entry.name, "w4-first-last-8");
    CHECK_EQ(recipe->n_rules, base->n_rules + 7);
    CHECK_EQ(recipe->epochs, 2);
    CHECK_STR(recipe->optimizer, "pactsgd");
    const tq_recipe_rule *rules = recipe->rules + base->n_rules;
    CHECK_EQ(rules[0].spec.range.n_levels, 16);
    CHECK(rules[0].spec.per_channel && !rules[2].spec.per_channel);
    CHECK(rules[1].filter.first && rules[2].filter.last);
    CHECK_STR(rules[3].filter.types[1], "Clip");
    CHECK(rules[3].spec.range.free_offset);
    CHECK_NEAR(rules[3].spec.init.b, 6.0, 0.0);
    CHECK_EQ(rules[5].slot, TQ_SLOT_CONCAT);
    CHECK(rules[5].spec.unsigned_if_positive);
    CHECK(!rules[6].spec.quantizer);
    tq_arena_destroy(arena);
}

TEST(the_slots_of_the_documentation_load)
{
    tq_arena *arena = tq_arena_create();
    const tq_recipe *slots, *shared, *base;
    CHECK_OK(tq_recipe_load(check_registry(), "pact8", arena, &base));
    CHECK_OK(tq_recipe_load(check_registry(), example(1), arena, &slots));
    CHECK_STR(slots->pipeline, "f2f-folded");
    const tq_recipe_rule *rules = slots->rules + base->n_rules;
    CHECK_EQ(rules[1].slot, TQ_SLOT_CORRELATION);
    CHECK_EQ(rules[2].slot, TQ_SLOT_BIAS);
    CHECK_EQ(rules[2].spec.range.n_levels, 65536);
    CHECK_EQ(rules[3].slot, TQ_SLOT_SUM);
    CHECK(!rules[4].spec.quantizer);
    CHECK(rules[5].spec.range.power_of_two && !rules[1].spec.range.power_of_two);
    CHECK_OK(tq_recipe_load(check_registry(), example(2), arena, &shared));
    CHECK_STR(shared->merges[0][1], "stage2.relu2.fq");
    CHECK(!shared->merges[0][2] && !shared->merges[1]);
    CHECK_STR(shared->rules[1].spec.share, "concat");
    tq_arena_destroy(arena);
}

TEST(the_controllers_of_the_documentation_load)
{
    tq_arena *arena = tq_arena_create();
    const tq_recipe *recipe;
    CHECK_OK(tq_recipe_load(check_registry(), example(3), arena, &recipe));
    CHECK_STR(recipe->controllers[0], "freeze-bn:1");
    CHECK_STR(recipe->controllers[1], "freeze-bounds:2000,50");
    CHECK(!recipe->controllers[2]);
    tq_arena_destroy(arena);
}

TEST(editors_join_where_the_recipe_says)
{
    tq_arena *arena = tq_arena_create();
    const tq_recipe *recipe;
    CHECK_OK(
        tq_recipe_load(check_registry(),
                       write_file("editors.yaml", "base: pact8\neditors:\n  - fold-batchnorm\n"
                                                  "  - {run: fold-constants, before: prove}\n"),
                       arena, &recipe));
    CHECK_EQ(recipe->n_editors, 2);
    CHECK_STR(recipe->editors[0]->entry.name, "fold-batchnorm");
    CHECK_STR(recipe->editors[1]->before, "prove");
    CHECK(!recipe->editors[1]->after);
    tq_arena_destroy(arena);
}

TEST(the_preset_of_the_documentation_loads)
{
    tq_arena *arena = tq_arena_create();
    const tq_preset *preset;
    CHECK_OK(tq_preset_load(check_registry(), example(4), arena, &preset));
    CHECK_STR(preset->entry.name, "my-cameras");
    CHECK_EQ(preset->n_eval, 4);
    CHECK_EQ(preset->n_train, 4);
    CHECK(preset->sized_by_model);
    CHECK_STR(preset->eval[0].name, "Resize");
    CHECK_NEAR(preset->eval[0].args[0], 256, 0.0);
    CHECK_EQ(preset->eval[2].n_args, 0);
    CHECK_EQ(preset->eval[3].n_args, 6);
    tq_arena_destroy(arena);
}

static void check_refused(const char *text, tq_code code, const char *message)
{
    tq_arena *arena = tq_arena_create();
    const tq_recipe *recipe;
    CHECK_FAILS(tq_recipe_load(check_registry(), write_file("recipe.yaml", text), arena, &recipe),
                code, message);
    tq_arena_destroy(arena);
}

TEST(an_unknown_key_is_named_with_its_place_and_the_nearest)
{
    check_refused("rules:\n  - slot: weight\n    quantiser: pact\n", TQ_ERR_VALUE,
                  "recipe.yaml:3:5: unknown key 'quantiser'; did you mean 'quantizer'?");
    check_refused("rules: []\nsomething else: 1\n", TQ_ERR_VALUE,
                  "2:1: unknown key 'something else'; "
                  "expected one of name, brief");
}

TEST(wrong_values_are_refused_where_they_stand)
{
    static const struct {
        const char *rule, *message;
    } bad[] = {
        { "range: i99", "1:31: range 'i99'" },
        { "range: [1, 2]", "'range' takes one value" },
        { "range: ''", "'range' has no value" },
        { "init: max", "unknown init 'max'" },
        { "rounding: up", "unknown rounding 'up'" },
        { "quantizer: pcat", "did you mean 'pact'" },
        { "quantizer: lsq, range: bitwidth:8", "lsq has no zero point" },
        { "granularity: per-row", "granularity 'per-row'" },
        { "unsigned_if_positive: yes", "expected true or false" },
        { "unsigned_if_positive: true, range: u8", "needs a signed range" },
        { "filter: {regex: '('}", "regular expression '('" },
        { "filter: {regex: '((a{1,200}){1,200}){1,200}'}", "repeats more than 1000" },
        { "filter: {regex: '(a)\\1'}", "back reference" },
        { "filter: {types: Convv}", "did you mean 'Conv'" },
        { "filter: {types: [[Conv]]}", "a name or a list of names" },
        { "filter: {name: x}", "unknown key 'name'" },
        { "filter: Conv", "expected keys and values" },
    };
    for (int i = 0; i < TQ_COUNT(bad); i++) {
        char text[256];
        snprintf(text, sizeof text, "rules: [{slot: weight, %s}]\n", bad[i].rule);
        const bool missing = strstr(bad[i].message, "did you mean") != NULL;
        check_refused(text, missing ? TQ_ERR_NOT_FOUND : TQ_ERR_VALUE, bad[i].message);
    }
    check_refused("rules: [{slot: weigth}]\n", TQ_ERR_VALUE, "unknown slot 'weigth'");
    check_refused("rules: [{range: i8}]\n", TQ_ERR_VALUE, "needs a 'slot'");
    check_refused("rules: [{slot: add, granularity: per-channel}]\n", TQ_ERR_VALUE,
                  "only be per-tensor");
    check_refused("rules: {slot: add}\n", TQ_ERR_VALUE, "takes a list");
    check_refused("name: x\n", TQ_ERR_VALUE, "no rules");
    check_refused("rules: [{slot: sum, scale: pot}]\n", TQ_ERR_VALUE,
                  "1:28: scale 'pot'; expected free or power-of-two");
    check_refused("rules: [{slot: weight, share: concat}]\n", TQ_ERR_VALUE,
                  "slot 'weight' cannot share a grid");
    check_refused("base: pact8\nmerge: [a, b]\n", TQ_ERR_VALUE, "expected a list of two or more");
    check_refused("base: pact8\nmerge: a\n", TQ_ERR_VALUE, "'merge' takes a list of lists");
    check_refused("base: pact8\neditors: [{after: prove}]\n", TQ_ERR_VALUE, "needs a name");
    check_refused("base: pact8\neditors: [{run: prove, after: a, before: b}]\n", TQ_ERR_VALUE,
                  "not both");
    check_refused("base: pact8\neditors: [porve]\n", TQ_ERR_NOT_FOUND, "did you mean 'prove'");
    check_refused("base: pact8\ncontrollers: [freeze-bm:1]\n", TQ_ERR_NOT_FOUND,
                  "2:15: unknown controller 'freeze-bm'; did you mean 'freeze-bn'");
    check_refused("base: pact8\ncontrollers: {freeze-bn: 1}\n", TQ_ERR_VALUE,
                  "a name or a list of names");
    check_refused("base: pact8\nplugins: x.so\n", TQ_ERR_VALUE, "none may be loaded here");
    check_refused("base: pact9\n", TQ_ERR_NOT_FOUND, "did you mean 'pact8'");
    check_refused("base: pact8\nlr: -1\n", TQ_ERR_VALUE, "2:5: 'lr' must be above 0");
    check_refused("base: pact8\nlr: .nan\n", TQ_ERR_VALUE, "expected a number");
    check_refused("base: pact8\nepochs: 1.5\n", TQ_ERR_VALUE, "whole number");
    check_refused("- a\n- b\n", TQ_ERR_VALUE, "expected keys and values");
}

TEST(files_that_are_no_plain_yaml_are_refused)
{
    check_refused("", TQ_ERR_FORMAT, "the file is empty");
    check_refused("a: [1, 2\n", TQ_ERR_FORMAT, "recipe.yaml:2:1:");
    check_refused("a: 1\n---\nb: 2\n", TQ_ERR_FORMAT, "one document");
    check_refused("name: &x a\nbrief: *x\n", TQ_ERR_FORMAT, "1:7: anchors are not allowed");
    check_refused("name: *x\n", TQ_ERR_FORMAT, "aliases are not allowed");
    check_refused("name: !!binary abc\n", TQ_ERR_FORMAT, "tags are not allowed");
    check_refused("name: a\nname: b\n", TQ_ERR_FORMAT, "2:1: key 'name' is there twice");
    check_refused("? [a]\n: b\n", TQ_ERR_FORMAT, "plain word");
    check_refused("name: \"a\\0b\"\n", TQ_ERR_FORMAT, "zero byte");
    check_refused("name: \x01\n", TQ_ERR_FORMAT, "recipe.yaml:");
    check_refused("\xff\xfe\xff", TQ_ERR_FORMAT, "recipe.yaml:");
}

TEST(depth_and_size_are_bounded)
{
    static char text[2 << 20];
    memset(text, '[', 100000);
    text[100000] = 0;
    check_refused(text, TQ_ERR_FORMAT, "nested too deep");
    strcpy(text, "rules: [");
    for (int i = 0; i < 20000; i++)
        memcpy(text + 8 + 2 * i, "a,", 3);
    check_refused(text, TQ_ERR_FORMAT, "too many values");
    memset(text, ' ', (1 << 20) + 1);
    text[(1 << 20) + 1] = 0;
    check_refused(text, TQ_ERR_FORMAT, "larger than 1 MiB");
}

TEST(every_truncation_of_the_example_is_read_or_refused)
{
    static char text[8192];
    tq_arena *arena = tq_arena_create();
    const char *path = example(0);
    FILE *file = fopen(path, "r");
    CHECK(file);
    const size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    for (size_t n = size; n > 0; n -= n > 7 ? 7 : n) {
        text[n] = 0;
        const tq_recipe *recipe;
        tq_status_drop(
            tq_recipe_load(check_registry(), write_file("part.yaml", text), arena, &recipe));
        tq_arena_destroy(arena);
        arena = tq_arena_create();
    }
    tq_arena_destroy(arena);
}

TEST(a_missing_file_or_name_is_one_clear_error)
{
    tq_arena *arena = tq_arena_create();
    const tq_recipe *recipe;
    const tq_preset *preset;
    CHECK_FAILS(tq_recipe_load(check_registry(), "none.yaml", arena, &recipe), TQ_ERR_IO,
                "cannot open 'none.yaml'");
    CHECK_FAILS(tq_recipe_load(check_registry(), "pcat8", arena, &recipe), TQ_ERR_NOT_FOUND,
                "did you mean 'pact8'");
    CHECK_FAILS(tq_preset_load(check_registry(), "rwa", arena, &preset), TQ_ERR_NOT_FOUND, "'raw'");
    tq_arena_destroy(arena);
}

static void check_preset_refused(const char *text, tq_code code, const char *message)
{
    tq_arena *arena = tq_arena_create();
    const tq_preset *preset;
    CHECK_FAILS(tq_preset_load(check_registry(), write_file("p.yaml", text), arena, &preset), code,
                message);
    tq_arena_destroy(arena);
}

TEST(bad_presets_are_refused_where_they_are_bad)
{
    check_preset_refused("train: []\n", TQ_ERR_VALUE, "needs 'eval'");
    check_preset_refused("eval: [Resise: 4]\n", TQ_ERR_NOT_FOUND, "did you mean 'Resize'");
    check_preset_refused("eval: [{Resize: big}]\n", TQ_ERR_VALUE, "expected a number, found 'big'");
    check_preset_refused("eval: [{Resize: 1, ToTensor: 2}]\n", TQ_ERR_VALUE,
                         "expected a transform");
    check_preset_refused("eval: [Normalize: [1,2,3,4,5,6,7,8,9]]\n", TQ_ERR_VALUE, "at most 8");
    check_preset_refused("eval: ToTensor\n", TQ_ERR_VALUE, "list of transforms");
    check_preset_refused("eval: []\nscale: 0\n", TQ_ERR_VALUE, "above 0");
    check_preset_refused("eval: [Integerise: 0.5]\nscale: 0.25\n", TQ_ERR_VALUE,
                         "Integerise has 0.5");
}

TEST(the_scale_of_a_preset_is_that_of_its_integerise)
{
    tq_arena *arena = tq_arena_create();
    const tq_preset *preset;
    const char *path = write_file("q.yml", "eval: [ToTensor, Integerise: 0.02]\n");
    CHECK_OK(tq_preset_load(check_registry(), path, arena, &preset));
    CHECK_NEAR(preset->scale, 0.02, 0.0);
    CHECK_STR(preset->entry.name, path);
    CHECK_EQ(preset->n_train, 2);
    tq_arena_destroy(arena);
}
