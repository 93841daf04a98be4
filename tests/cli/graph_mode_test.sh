# The graph mode step by step: observers, calibration, pairs, integers.
. "$(dirname "$0")/lib.sh"

expect 0 zoo resnet8 --input 1x8x8 --classes 10 --capacity 0.5 -o net.onnx
expect 0 edit net.onnx --pipeline graph-mode --stop-after insert-observers --log -o observed.onnx
prints "observers inserted"
expect 0 show observed.onnx --type Observer
prints "Observer"
expect 1 edit observed.onnx --pipeline graph-mode -o pairs.onnx
says "observer '"
absent pairs.onnx
expect 0 calibrate observed.onnx --data digits --batches 4 -o observed.onnx
expect 0 edit observed.onnx --pipeline graph-mode --stop-after observers-to-qdq --dump-after observers-to-qdq -o pairs.onnx
prints "# after observers-to-qdq"
prints "DequantizeLinear"
expect 0 edit pairs.onnx --pipeline graph-mode -o integers.onnx
expect 0 show integers.onnx --type ConvInteger,MatMulInteger
prints "10 of"
expect 0 eval pairs.onnx --data digits --save pairs.csv
expect 0 eval integers.onnx --data digits --save integers.csv
expect 0 compare pairs.csv integers.csv
prints "equal predictions:"
# one editor at a time is the same
expect 0 edit observed.onnx --editor observers-to-qdq --editor fuse-dq-op-q --editor merge-requants -o other.onnx
expect 0 eval other.onnx --data digits --save other.csv
cmp -s integers.csv other.csv || fail "editors by name make another network than the pipeline"

# Roundings that integers cannot do: refused while ties tell, forced by hand, the ties counted.
cat >even.yaml <<END
base: pact8
rules:
  - {slot: input, range: i8, scale: power-of-two}
  - {slot: weight, range: i8, scale: power-of-two, granularity: per-tensor}
  - {slot: [activation, pool], range: u8, scale: power-of-two, rounding: half-even}
  - {slot: add, range: i8, scale: power-of-two}
END
expect 0 f2f net.onnx --recipe even.yaml -o even.onnx
expect 0 calibrate even.onnx --data digits --batches 4 -o even.onnx
expect 3 f2t even.onnx -o even_true.onnx
says "an add and a shift cannot round 'half-even', which takes"
says "to other codes; 'truq f2t --rounding half-up' rounds halves up"
absent even_true.onnx
expect 0 f2t even.onnx --rounding half-up -o even_true.onnx
expect 0 verify even_true.onnx
prints "ties up that half-even would take to other codes"
prints "proven: nothing can overflow"
expect 0 verify even_true.onnx --json
prints '"ties": '
expect 0 compare even.onnx even_true.onnx --data digits
# stopped half-way: integers, but not yet proven
expect 0 f2t even.onnx --rounding half-up --stop-after integerise --log -o half.onnx
prints "wrote half.onnx"
grep -q "proven\|^merge-requants" out && fail "editors ran after the one to stop after"
expect 0 show half.onnx --type ConvInteger
prints "9 of"
# the same of pairs: they stay real, or are forced
expect 0 edit net.onnx --pipeline graph-mode --recipe even.yaml --stop-after insert-observers -o observed.onnx
expect 0 calibrate observed.onnx --data digits --batches 4 -o observed.onnx
expect 0 edit observed.onnx --pipeline graph-mode --log -o part.onnx
prints "'relu1.q' stays real: an add and a shift cannot round 'half-even'"
expect 0 show part.onnx --type QuantizeLinear
grep -q "^1 of" out && fail "every pair was fused though ties tell"
expect 0 edit observed.onnx --pipeline graph-mode --rounding half-up -o all.onnx
expect 0 show all.onnx --type QuantizeLinear
prints "1 of"
expect 2 edit observed.onnx --pipeline graph-mode --rounding floor -o all.onnx
says "--rounding takes half-up, not 'floor'"

expect 1 edit net.onnx --pipeline nosuch -o x.onnx
says "unknown pipeline 'nosuch'"
expect 2 edit net.onnx -o x.onnx
says "--pipeline NAME"
done_testing
