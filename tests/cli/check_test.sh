# What a target can run, as scripts ask it.
. "$(dirname "$0")/lib.sh"

expect 0 zoo resnet8 --input 1x8x8 --classes 10 --capacity 0.5 -o net.onnx
expect 0 check net.onnx --backend dory
prints "dory: runs: 0 of 29 nodes run as they are, 29 after editors, 0 never"
prints "GAP8: fits"
expect 0 check net.onnx --backend generic --json
prints '"runs": true'
prints '"peak_activation_bytes": 1536'
expect 1 check net.onnx --backend nosuch
says "unknown backend 'nosuch'"
expect 2 check net.onnx
says "--backend is missing"
expect 1 check net.onnx --backend dory --recipe nosuch
says "unknown recipe 'nosuch'"

# what never runs is gathered by operator and reason
cat >hard.yaml <<'END'
name: hard
input: [3, 8, 8]
layers:
  - Conv: { name: a, channels: 4, kernel_shape: 3 }
  - HardSwish: { name: b }
  - Conv: { name: c, channels: 4, kernel_shape: 3 }
  - HardSwish: { name: d }
  - Conv: { name: e, channels: 4, kernel_shape: 1 }
END
expect 0 zoo --from hard.yaml -o hard.onnx
"$truq" check hard.onnx --backend dory >out 2>err
[ $? -eq 1 ] || fail "check of what never runs: exit $?"
prints "HardSwish      2  b      as Lookup: dory has no operator 'Lookup'"
says "'truq partition' leaves them to the cpu"

# too large for every chip
expect 0 zoo vgg --input 3x32x32 -o large.onnx
"$truq" check large.onnx --backend dory >out 2>err
[ $? -le 1 ] || fail "check of a large network: exit $?"

# the conversion asks the same table
expect 0 f2f net.onnx --recipe pact8 -o fake.onnx
expect 0 check fake.onnx --backend dory
prints "0 never"
expect 0 calibrate fake.onnx --data digits --batches 4 -o fake.onnx
expect 0 f2t fake.onnx --backend dory -o true.onnx
expect 0 check true.onnx --backend dory
prints "35 of 35 nodes run as they are"

# a network that stays real outside evaluates as it is
expect 0 f2t fake.onnx --partial -o mixed.onnx
expect 0 eval fake.onnx --data digits --save fake.csv
expect 0 eval mixed.onnx --data digits --save mixed.csv
expect 0 eval true.onnx --data digits --save true.csv
expect 0 compare mixed.csv true.csv
prints "equal predictions: 100.00 %"
done_testing
