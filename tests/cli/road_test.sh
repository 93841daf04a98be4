# The road on the embedded digits, step by step and in one command.
. "$(dirname "$0")/lib.sh"

expect 0 zoo resnet8 --input 1x8x8 --classes 10 --capacity 0.5 -o net.onnx
prints "parameters"
expect 0 train net.onnx --data digits --epochs 2 --lr 0.02 --seed 3 -o trained.onnx
expect 0 train net.onnx --data digits --epochs 2 --lr 0.02 --seed 3 --cache 0 -o uncached.onnx
cmp -s trained.onnx uncached.onnx || fail "what was trained depends on the cache"
prints "steps"
exists trained.onnx.run/checkpoint
exists trained.onnx.run/best.onnx
exists trained.onnx.run/manifest.json

# a model remembers its preset
expect 0 show trained.onnx
prints "preset digits"

expect 0 f2f trained.onnx --recipe pact8 -o fake.onnx
prints "quantisers inserted by recipe pact8"
expect 1 f2t fake.onnx -o true.onnx
says "never observed"
absent true.onnx
expect 1 eval fake.onnx --data digits
says "never observed"
expect 1 f2f fake.onnx --recipe pact8 -o again.onnx
absent again.onnx

# calibrate in place, in several batches; the same again gives the same bytes
expect 0 calibrate fake.onnx --data digits --batches 8 -o fake.onnx
cp fake.onnx first.onnx
expect 0 calibrate fake.onnx --data digits --batches 8 --threads 1 -o fake.onnx
cmp -s fake.onnx first.onnx || fail "calibrating twice differs"

expect 0 f2t fake.onnx -o true.onnx
prints "proven not to overflow"
expect 0 verify true.onnx
prints "proven: nothing can overflow"
expect 0 verify true.onnx --json
prints '"proven": true'
expect 1 verify fake.onnx
says "not a true-quantised network"
expect 1 f2t true.onnx -o again.onnx
expect 0 f2t fake.onnx --shift 24 -o true24.onnx
expect 1 f2t fake.onnx --editor nosuch -o again.onnx
says "unknown editor 'nosuch'"
expect 1 f2t fake.onnx --input nosuch:0.5 -o again.onnx
says "no input 'nosuch'"
absent again.onnx

# judging: stages agree, saved predictions compare
expect 0 eval trained.onnx --data digits --save float.csv
prints "top-1"
expect 0 eval true.onnx --data digits --json --save true.csv
for key in top1 top5 n loss images_per_s; do prints "\"$key\":"; done
prints '"n": 360'
[ "$(head -n 1 true.csv)" = "id,label,prediction" ] || fail "the CSV has another head"
[ "$(wc -l <true.csv)" -eq 361 ] || fail "the CSV has not one line a data point"
expect 0 compare float.csv true.csv
prints "equal predictions:"
expect 0 compare fake.onnx true.csv --data digits --json
prints '"n": 360'
expect 0 eval true.onnx --data digits --limit 10 --save ten.csv
expect 1 compare ten.csv true.csv
says "10 predictions"
sed 's/^3,/700,/' ten.csv >other.csv
expect 1 compare ten.csv other.csv
says "different data"
printf 'id,label,prediction\n1,2\n' >broken.csv
expect 1 compare broken.csv true.csv
says "line 2"
expect 0 compare fake.onnx true.onnx --data digits --layers
prints "diverging layer"
expect 0 compare true.onnx true.onnx --data digits --layers
prints "no layer diverges"
prints "equal predictions: 100.00 %"
expect 2 compare ten.csv true.onnx --data digits --layers

# dumping and stopping
expect 0 f2f trained.onnx --recipe pact8 --dump-after quantize-weights --log -o x.onnx
prints "# after quantize-weights"
prints "WeightRange"
expect 1 f2f trained.onnx --recipe pact8 --dump-after quantize-wieghts -o x.onnx
says "did you mean 'quantize-weights'?"

# export without a backend's own files is the ONNX file
expect 0 export true.onnx --backend generic -o exported
exists exported/*.onnx
expect 1 export fake.onnx --backend generic -o nothing
absent nothing

# the road in one command
expect 0 quantize trained.onnx --data digits --epochs 1 --seed 1 -o road
for network in FP FQ TQ; do prints "$network"; done
for file in float.onnx fake.onnx calibrated.onnx trained.onnx true.onnx manifest.json; do
    exists road/$file
done
expect 0 quantize trained.onnx --data digits --json -o road2
prints '"agreement":'
done_testing
