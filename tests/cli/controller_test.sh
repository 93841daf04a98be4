# What a recipe says of training - optimiser, learning rate, epochs, controllers - is remembered by the
# network and used where nothing else is said; controllers by hand.
. "$(dirname "$0")/lib.sh"

has() { grep -q -- "$2" "$1.run/manifest.json" || fail "$1.run/manifest.json does not hold '$2'"; }

expect 0 list controllers
prints "freeze-bn "
prints "freeze-bounds "
expect 0 zoo resnet8 --input 1x8x8 --classes 10 --capacity 0.25 -o net.onnx
cat >mine.yaml <<END
base: pact8
optimizer: pactadam
lr: 0.0005
epochs: 2
controllers: [freeze-bn:1, 'freeze-bounds:4,2']
END
expect 0 f2f net.onnx --recipe mine.yaml -o fake.onnx
expect 0 calibrate fake.onnx --data digits --batches 4 -o fake.onnx
expect 0 train fake.onnx --data digits --seed 1 -o a.onnx
has a.onnx '"optimizer":	"pactadam"'
has a.onnx '"lr":	0.0005'
has a.onnx '"epochs":	2,'
has a.onnx '"controllers":	\["freeze-bn:1", "freeze-bounds:4,2"\]'
# a learning rate is for its optimiser; what is said by hand wins
expect 0 train fake.onnx --data digits --optimizer sgd --epochs 1 --controller freeze-bn:0.5 -o b.onnx
has b.onnx '"lr":	0.01'
has b.onnx '"epochs":	1,'
has b.onnx '"controllers":	\["freeze-bn:0.5"\]'
expect 0 train fake.onnx --data digits --controller none --steps 1 -o c.onnx
has c.onnx '"controllers":	\[\]'

# interrupted and resumed, on one thread and two: the same bits
for threads in 1 2; do
    for steps in 25 40; do
        expect 0 train fake.onnx --data digits --seed 1 --threads $threads --steps $steps --resume -o d$threads.onnx
    done
    expect 0 train fake.onnx --data digits --seed 1 --threads $threads --resume -o d$threads.onnx
    cmp -s a.onnx d$threads.onnx || fail "resumed on $threads threads: other bits"
    cmp -s a.onnx.run/checkpoint d$threads.onnx.run/checkpoint || fail "resumed on $threads threads: another checkpoint"
done
expect 1 train fake.onnx --data digits --seed 1 --controller freeze-bn:2 --resume -o a.onnx
says "'controllers=freeze-bn:2'"

expect 1 train fake.onnx --data digits --controller freeze-bm:1 -o e.onnx
says "unknown controller 'freeze-bm'; did you mean 'freeze-bn'?"
expect 1 train fake.onnx --data digits --controller freeze-bn:soon -o e.onnx
says "controller 'freeze-bn:soon': 'soon' is no number"
absent e.onnx
absent e.onnx.run
printf 'base: pact8\ncontrollers: [freeze-bn:1, freeze-bound:2,3]\n' >wrong.yaml
expect 1 f2f net.onnx --recipe wrong.yaml -o e.onnx
says "wrong.yaml:2:28: unknown controller 'freeze-bound'; did you mean 'freeze-bounds'?"

# the whole road takes the recipe's
expect 0 quantize net.onnx --data digits --recipe mine.yaml --epochs 1 -o road
grep -q 'freeze-bounds:4,2' road/run/manifest.json || fail "the road's training has no controllers"
done_testing
