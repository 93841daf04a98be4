# The command line itself: commands, options, help, exit status, standard output that fails.
. "$(dirname "$0")/lib.sh"

commands="show zoo infer eval compare f2f calibrate train f2t quantize load export verify list"
expect 0
for command in $commands; do
    grep -q "^  $command " out || fail "'truq' does not list $command"
done
cp out all
for help in help --help -h; do
    expect 0 $help
    cmp -s out all || fail "'truq $help' differs from 'truq'"
done
expect 0 --version
prints "truq 0."
for command in $commands; do
    expect 0 $command --help
    prints "usage: truq $command"
    prints "example"
    cp out this
    expect 0 help $command
    cmp -s out this || fail "'truq help $command' differs from its --help"
done

# what is wrong is named, what was meant is guessed
expect 2 shwo
says "did you mean 'show'?"
expect 2 --verbose
expect 2 help shwo
expect 2 show
says "MODEL is missing"
expect 2 show a.onnx b.onnx
says "unexpected argument 'b.onnx'"
expect 2 show a.onnx --fliter x
says "did you mean '--filter'?"
expect 2 show a.onnx --filter
says "--filter needs a value"
expect 2 show a.onnx --json=yes
says "takes no value"
expect 2 show a.onnx --filter a --filter b
says "twice"
expect 2 eval a.onnx
says "--data is missing"
expect 2 zoo resnet8
says "--output is missing"

# numbers are numbers, in full and in range
expect 2 eval a.onnx --data digits --batch 1x
says "whole number"
expect 2 eval a.onnx --data digits --batch 0
says "expected 1 to"
expect 2 eval a.onnx --data digits --batch=99999999999999999999
expect 2 zoo resnet8 -o a.onnx --capacity nan
expect 2 zoo resnet8 -o a.onnx --capacity 0x1
expect 2 zoo resnet8 -o a.onnx --input 3x32
expect 2 zoo resnet8 -o a.onnx --input 3x32x32x1
expect 2 zoo resnet8 -o a.onnx --seed -1
expect 2 train a.onnx --data digits -o b.onnx --lr 0
expect 2 train a.onnx --data digits -o b.onnx --bn sometimes
expect 2 f2t a.onnx -o b.onnx --shift 63
expect 2 f2t a.onnx -o b.onnx --input x
expect 2 f2t a.onnx -o b.onnx --rounding floor
expect 2 load a.onnx --weights w.bin -o b.onnx
expect 2 list things
says "there are ops"
absent a.onnx
absent b.onnx

# options stand anywhere and in every spelling
expect 0 zoo resnet8 -o a.onnx --classes 3 --input 1x16x16
expect 0 zoo --output=b.onnx --classes=3 --input=1x16x16 -- resnet8
cmp -s a.onnx b.onnx || fail "two spellings made two networks"
expect 0 zoo -n3 resnet8 --input 1x16x16 -o b.onnx
cmp -s a.onnx b.onnx || fail "-n3 is not --classes 3"
expect 0 show --json a.onnx
prints '"stage": "float"'
expect 2 eval a.onnx --data digits --partition some
says "train, valid or test"
expect 2 show a.onnx --filter '('
says "no regular expression"
expect 0 show a.onnx --type Conv --filter .
! grep -q BatchNorm out || fail "--type Conv shows others"

# all lists list, as text and as JSON
for kind in ops editors pipelines quantizers observers backends datasets presets recipes; do
    expect 0 list $kind
    expect 0 list $kind --json
    prints "\"$kind\": ["
done
expect 0 list ops
prints "gradient"

# standard output that cannot be written
if [ -e /dev/full ]; then
    "$truq" list ops >/dev/full 2>err
    [ $? -eq 1 ] || fail "a full disk under standard output is no failure"
    says "cannot write to standard output"
fi
"$truq" list ops >&- 2>err
[ $? -eq 1 ] || fail "a closed standard output is no failure"
"$truq" show a.onnx --json >&- 2>err
[ $? -eq 1 ] || fail "a closed standard output is no failure"
expect 0 show a.onnx
done_testing
