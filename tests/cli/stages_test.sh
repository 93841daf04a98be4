# Rules run at the moment that their stage says: in the graph that is differentiated, on the trained
# network, in the conversion to integers; those of a recipe stay with the network until then.
. "$(dirname "$0")/lib.sh"

n_of() { # how many nodes of operator $2 are in network $1
    "$truq" show "$1" --type "$2" | sed -n 's/^\([0-9]*\) of [0-9]* node.*/\1/p'
}

expect 0 zoo resnet8 --input 1x8x8 --classes 10 --capacity 0.25 -o net.onnx
n_relus=$(n_of net.onnx Relu)
[ "$n_relus" -eq 7 ] || fail "$n_relus Relus in the network"

# what is differentiated changes, the network does not
cat >leaky.rule <<END
rule leaky "gradients pass below 0" { stage pre_grad; y = Relu(x) => y = LeakyRelu(x) [alpha = 0.1] }
END
expect 0 train net.onnx --data digits --epochs 1 --seed 1 -o plain.onnx
expect 0 train net.onnx --data digits --epochs 1 --seed 1 --editor leaky.rule --log --dump-after leaky -o leaky.onnx
prints "leaky: relu1"
prints "# after leaky"
prints "LeakyRelu("
[ "$(grep -c '^# after leaky' out)" -eq 1 ] || fail "the graph for the last batch is printed too"
cmp -s plain.onnx leaky.onnx && fail "the rule changed nothing"
[ "$(n_of leaky.onnx Relu)" -eq 7 ] || fail "the network lost its Relus"
grep -q '"editors":	\["leaky"\]' leaky.onnx.run/manifest.json || fail "the manifest does not name the rule"
expect 1 train net.onnx --data digits --epochs 1 --seed 1 --resume --run leaky.onnx.run -o other.onnx
says "'editors=leaky:"

# where it stands among ours is its choice
printf 'rule late { after "train-batchnorm"; y = BatchNormTrain(x, s, b, m, v) => y = BatchNormalization(x, s, b, m, v) [...y] }\n' >late.rule
expect 0 train net.onnx --data digits --epochs 1 --seed 1 --editor late.rule -o late.onnx
expect 0 train net.onnx --data digits --epochs 1 --seed 1 --bn freeze -o frozen.onnx
cmp -s late.onnx frozen.onnx || fail "batch norms put back are not frozen batch norms"

# the trained network changes, and only that
printf 'rule six { stage post_train; y = Relu(x) => y = Clip(x, 0, 6) }\n' >six.rule
expect 0 train net.onnx --data digits --epochs 1 --seed 1 --editor six.rule -o six.onnx
[ "$(n_of six.onnx Clip)" -eq 7 ] || fail "the rule of post_train did not run"
[ "$(n_of six.onnx.run/best.onnx Clip)" -eq 0 ] || fail "the rule of post_train ran too early"

# one that breaks the graph is named, with the graph before it
printf 'rule wrong { stage pre_grad; y = Flatten(x) => y = Reshape(x, [1, -1]) }\n' >wrong.rule
expect 1 train net.onnx --data digits --epochs 1 --editor wrong.rule --dump-failed before.txt -o wrong.onnx
says "cannot build the training graph: editor 'wrong': at node"
says "the network before it is in 'before.txt'"
absent wrong.onnx
grep -q "^# before wrong" before.txt || fail "the graph before the editor is missing"

# a recipe's rules of later stages do not run in f2f; the network takes them along
cat >stages.yaml <<END
base: pact8
editors:
  - {run: leaky-relu-as-max, before: train-dropout}
rewrites:
  - |
    rule leaky { stage pre_grad; y = Relu(x) => y = LeakyRelu(x) [alpha = 0.1] }
    rule one_less { stage custom; y = Requant(x, m: const, a: const) where y.q_max == 255
      => y = Requant(x, m, a) [...y, q_max = 254] }
  - |
    rule six { stage post_train; y = Relu(x) => y = Clip(x, 0, 6) }
END
expect 0 f2f net.onnx --recipe stages.yaml --log -o fake.onnx
for rule in leaky six one_less leaky-relu-as-max; do
    grep -q "^$rule:" out && fail "$rule ran in f2f"
done
[ "$(n_of fake.onnx LeakyRelu,Clip)" -eq 0 ] || fail "rules of later stages ran in f2f"
expect 0 calibrate fake.onnx --data digits --batches 4 -o fake.onnx
rm stages.yaml
expect 0 train fake.onnx --data digits --epochs 1 --seed 1 --log -o trained.onnx
prints "leaky: relu1"
prints "leaky-relu-as-max: relu1"
prints "six: relu1"
[ "$(n_of trained.onnx Clip)" -eq 7 ] || fail "the trained network has no Clips"
[ "$(n_of trained.onnx BatchNormalization)" -eq 7 ] || fail "the trained network lost its batch norms"
expect 0 f2t trained.onnx --log -o true.onnx
prints "one_less: "
expect 0 verify true.onnx
prints "0 .. 254"
grep -q "0 .. 255" out && fail "a requantisation still reaches 255"

# metadata that no command wrote is an error, not a surprise
expect 0 edit fake.onnx --editor remove-identity --set recipe.rules="rule a {" -o odd.onnx
expect 1 train odd.onnx --data digits --epochs 1 -o odd2.onnx
says "metadata 'recipe.rules': line 1, column"
expect 0 edit fake.onnx --editor remove-identity --set recipe.editors="nosuch after prove" -o odd.onnx
expect 1 f2t odd.onnx -o odd2.onnx
says "metadata 'recipe.editors': unknown editor 'nosuch'"
expect 0 edit fake.onnx --editor remove-identity --set recipe.lr=fast -o odd.onnx
expect 1 train odd.onnx --data digits -o odd2.onnx
says "metadata 'recipe.lr' is 'fast'; expected a number above 0"
done_testing
