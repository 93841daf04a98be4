# truq edit, find, diff, extract and codegen; rules in f2f and f2t.
. "$(dirname "$0")/lib.sh"

expect 0 zoo resnet8 --input 1x8x8 --classes 10 --capacity 0.5 -o net.onnx
cat >fold.rule <<'END'
rule fold_bn "batch norm into the convolution before it" {
  c = Conv(x, w: const, b: const?) sole
  y = BatchNormalization(c, gamma: const, beta: const, mean: const, var: const)
=>
  k = gamma / sqrt(var + y.epsilon)
  y = Conv(x, w * along(k, 0, rank(w)), ((b ?? 0) - mean) * k + beta) [...c]
}
END

# rules rewrite, find finds, diff tells
expect 0 edit net.onnx --rule fold.rule --log -o folded.onnx
prints "fold_bn: 7 edits"
prints "fold_bn: conv1, bn1"
expect 0 find folded.onnx --pattern 'y = BatchNormalization(...)'
prints "0 matches"
expect 0 find net.onnx --pattern 'y = BatchNormalization(Conv(x, ...) sole, ...)' --json
prints '"n": 7'
expect 0 diff net.onnx net.onnx
prints "no difference in structure or constants"
expect 0 diff net.onnx folded.onnx --data digits --limit 4
prints "~ node bn1: BatchNormalization -> Conv"
prints "max |difference|"
expect 0 edit folded.onnx --editor fold-constants --dump-after all -o same.onnx
prints "# after fold-constants"

# errors point at line and column; nothing is written
printf 'rule a {\n  y = Rely(x) => y = x }\n' >bad.rule
expect 1 edit net.onnx --rule bad.rule -o none.onnx
says "bad.rule: line 2, column 7: unknown operator 'Rely'; did you mean 'Relu'?"
absent none.onnx
printf 'rule wrong { y = Relu(x) => y = cast(x, "i8") }\n' >wrong.rule
expect 1 edit net.onnx --rule wrong.rule --dump-failed before.txt -o none.onnx
says "editor 'wrong': at node 'relu1'"
says "the network before it is in 'before.txt'"
absent none.onnx
exists before.txt
grep -q "^# before wrong" before.txt || fail "before.txt does not say which editor failed"
expect 2 edit net.onnx -o none.onnx
says "nothing to do"

# cutting
expect 0 extract net.onnx stage1.conv1..stage1.relu2 -o part.onnx
prints "7 of 29 nodes, 1 input, 1 output"
expect 1 extract net.onnx stage2.conv1..conv1 -o none.onnx
says "'conv1' does not depend"
expect 2 extract net.onnx conv1 -o none.onnx
says "a part is written A..B"

# text and C
expect 0 codegen net.onnx
prints 'relu1 = Relu(bn1)'
expect 0 codegen net.onnx -o net.txt
expect 0 diff net.onnx net.txt
prints "no difference in structure"
expect 0 codegen net.onnx --elements 16 -o short.txt
grep -q ' = crc32:' short.txt || fail "no long constant is elided"
expect 1 show short.txt
says "constants are elided to checksums"
printf 'graph "g" {\n  y = Relu(x)\n}\n' >wrong.txt
expect 1 show wrong.txt
says "'wrong.txt': line 2"
expect 0 codegen net.onnx --lang c -o net.c
exists net.c
exists net.safetensors
if command -v cc >/dev/null; then
    include=$(cd "$(dirname "$0")/../../include" 2>/dev/null && pwd) && \
        { cc -std=c17 -Wall -Wextra -fsyntax-only -I "$include" net.c >out 2>err || fail "net.c does not compile"; }
fi
printf 'graph "g" {\n  input x: f32[2]\n  y = Relu(x)\n  output y\n  meta "stage" = "true"\n}\n' >wrong.txt
expect 1 show wrong.txt
says "cannot load 'wrong.txt': node 'y' (Relu): input 'x' is f32[2] in a true-quantised network"
expect 2 codegen net.onnx --lang cobol
says "--lang takes text or c"

# rules join f2f at their anchors, and f2t
cat >join.rule <<'END'
rule join { after "fold-constants"; y = Relu(x) where not (name(y) in ["no"]) and is_output(y) => y = x }
END
expect 0 f2f net.onnx --recipe pact8 --editor join.rule --dump-after join -o fake.onnx
prints "# after join"
expect 0 calibrate fake.onnx --data digits --batches 2 -o fake.onnx
cat >true.rule <<'END'
rule nothing { stage clean; y = Relu(x) => y = x }
END
expect 0 f2t fake.onnx --editor true.rule --dump-after nothing -o true.onnx
prints "# after nothing"
printf 'rule lost { after nowhere; y = Relu(x) => y = x }\n' >lost.rule
expect 1 f2f net.onnx --recipe pact8 --editor lost.rule -o none.onnx
says "has no editor 'nowhere'"

# reorderings keep the codes of an integer network
expect 0 edit true.onnx --editor split-depth --set split-depth.channels=4 -o split.onnx
expect 0 verify split.onnx
done_testing
