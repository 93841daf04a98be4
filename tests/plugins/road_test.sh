# The whole road with plug-ins, through the command alone: a network, an operator with gradient, an
# editor between two of ours, a quantiser, a controller, a backend and a subcommand that truq does not have.
# sh road_test.sh TRUQ PLUGINS PROJECT
. "$(dirname "$0")/../cli/lib.sh"
plugins=$2
project=$3
cp "$plugins/example.so" "$project/plugins/example/w4.yaml" .

# what it brings is listed as its own, before or behind the subcommand; without it there is nothing
expect 0 --plugin example.so help
prints "census     how many nodes of each operator there are (plug-in 'example')"
expect 0 list quantizers --plugin=example.so
prints "arXiv:1308.3432   example"
expect 0 list ops --json --plugin example.so --plugin example.so
prints '"plugin": "example"'
expect 2 census net.onnx
says "unknown command 'census'"
expect 2 list ops --plugin
expect 1 list ops --plugin nosuch.so
says "cannot load plug-in 'nosuch.so'"
expect 3 list ops --plugin "$plugins/old.so"
says "of the plug-in interface, this truq has version"
expect 1 list ops --plugin "$plugins/clash.so"
says "operator 'Relu' is registered twice, by truq itself and by plug-in 'clash'"
expect 0 census --help --plugin example.so
prints "usage: truq census MODEL"

# the network, trained
p="--plugin example.so"
expect 0 $p zoo squarenet --classes 10 -o net.onnx
expect 0 $p census net.onnx
prints "    2 Mul"
expect 0 $p census net.onnx --only Relu
prints "    2 Relu"
expect 0 $p train net.onnx --data digits --epochs 2 --lr 0.05 --seed 1 -o trained.onnx

# the recipe loads the plug-in; its editor runs between two of ours
expect 0 f2f trained.onnx --recipe w4.yaml --dump-after all --log -o fake.onnx
grep -n "^# after" out | cut -d: -f2 >order
grep -A2 "canonicalise-flatten" order | tr '\n' ' ' | grep -q "flatten # after fuse-squared-relu # after" ||
    fail "fuse-squared-relu does not follow canonicalise-flatten"
[ "$(grep -n quantize-weights order | cut -d: -f1)" -gt "$(grep -n fuse-squared order | cut -d: -f1)" ] ||
    fail "fuse-squared-relu does not run before quantize-weights"
prints "fuse-squared-relu: "
expect 0 $p census fake.onnx --only SquaredRelu
prints "    2 SquaredRelu"
expect 1 show fake.onnx
says "unknown quantizer 'open'"

# calibrated, trained on, integerised, proven, compared, exported
expect 0 $p calibrate fake.onnx --data digits --batches 4 -o fake.onnx
expect 1 train fake.onnx --data digits -o qat.onnx
expect 0 $p list controllers
prints "example"
expect 0 $p train fake.onnx --data digits --epochs 1 --lr 0.005 --seed 1 -o qat.onnx
cmp -s fake.onnx qat.onnx && fail "training changed nothing"
grep -q '"warm-bounds:20"' qat.onnx.run/manifest.json || fail "the controller of the recipe is not in the manifest"
expect 0 $p train fake.onnx --data digits --epochs 1 --lr 0.005 --seed 1 --controller none -o cold.onnx
cmp -s cold.onnx qat.onnx && fail "the controller changed nothing"
expect 0 $p train fake.onnx --data digits --epochs 1 --lr 0.005 --seed 1 --steps 9 -o half.onnx
expect 0 $p train fake.onnx --data digits --epochs 1 --lr 0.005 --seed 1 --resume --run half.onnx.run -o half.onnx
cmp -s half.onnx qat.onnx || fail "a resumed training ends in other bits"
expect 1 train trained.onnx --data digits --controller warm-bounds:3 -o no.onnx
says "unknown controller 'warm-bounds'"
expect 0 $p f2t qat.onnx --backend npu4 -o true.onnx
prints "proven not to overflow"
expect 0 verify true.onnx
expect 0 $p compare qat.onnx true.onnx --data digits
expect 0 $p compare qat.onnx true.onnx --data digits --json
sed -n 's/.*"equal": *\([0-9]*\).*/\1/p' out | head -n 1 >agreement
[ "$(cat agreement)" -ge 97 ] || fail "fake and true agree on $(cat agreement) % only"
expect 0 $p export true.onnx --backend npu4 -o npu
[ "$(head -n 1 npu/squarenet.txt)" = "weights $(wc -c <npu/squarenet.bin)" ] || fail "weights of another size"
[ "$(wc -c <npu/squarenet.bin)" -eq $(((9 * 8 + 9 * 8 * 16 + 16 * 10) / 2)) ] || fail "not 4 bits a weight"
[ "$(grep -c '^ConvInteger ' npu/squarenet.txt)" -eq 2 ] || fail "not two convolutions"
[ "$(tail -n +2 npu/squarenet.txt | wc -l)" -eq "$("$truq" $p census true.onnx | awk '{ n += $1 } END { print n }')" ] ||
    fail "not a line a node"

# what the backend cannot run is refused by name
expect 0 $p f2f trained.onnx --recipe pact8 -o wide.onnx
expect 0 $p calibrate wide.onnx --data digits --batches 2 -o wide.onnx
expect 0 $p f2t wide.onnx -o wide_true.onnx
expect 3 $p export wide_true.onnx --backend npu4 -o nothing
says "its weights are not constants of 4 bits"
absent nothing

# the correlation and bias split, trained and integerised
expect 0 zoo resnet8 --input 1x8x8 --classes 10 --capacity 0.25 -o r.onnx
expect 0 train r.onnx --data digits --epochs 1 --lr 0.05 -o r.onnx
printf 'base: pact8\npipeline: f2f-folded\nplugins: ["%s"]\nrules: []\n' "$plugins/corr_bias.so" >corr.yaml
expect 0 f2f r.onnx --recipe corr.yaml --log -o c.onnx
prints "split-correlation: stage3.conv2"
expect 0 calibrate c.onnx --data digits -o c.onnx
expect 0 train c.onnx --data digits --epochs 1 --lr 0.005 -o c.onnx
expect 0 f2t c.onnx -o ct.onnx
prints "proven not to overflow"
expect 0 show ct.onnx
prints "q_min=-32768, q_max=32767, dtype=i16"
expect 0 compare c.onnx ct.onnx --data digits --json
sed -n 's/.*"equal": *\([0-9]*\).*/\1/p' out | head -n 1 >agreement
[ "$(cat agreement)" -ge 97 ] || fail "fake and true agree on $(cat agreement) % only"

# a gradient replaced: the same network learns something else
expect 0 train r.onnx --data digits --epochs 1 --lr 0.01 --seed 2 -o a.onnx
expect 0 --plugin "$plugins/gradient.so" train r.onnx --data digits --epochs 1 --lr 0.01 --seed 2 -o b.onnx
cmp -s a.onnx b.onnx && fail "the gradient is the same"
expect 0 show b.onnx
grep -q OpenRelu out && fail "the network must keep its Relus"
done_testing
