# What the scripts of this folder share: a fresh folder to work in, and claims about one run of truq.
# A script is run as: sh SCRIPT PATH-OF-TRUQ
set -u
truq=$1
n_failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

fail() {
    echo "FAILED: $1"
    [ -s out ] && sed 's/^/  stdout: /' out | head -n 20
    [ -s err ] && sed 's/^/  stderr: /' err | head -n 20
    n_failed=$((n_failed + 1))
}

# expect STATUS ARGS...: runs truq, keeping out and err; a failure must say exactly one line
# "truq: ...", a success nothing.
expect() {
    status=$1
    shift
    "$truq" "$@" >out 2>err
    got=$?
    [ $got -eq "$status" ] || fail "truq $*: exit $got, expected $status"
    if [ "$status" -eq 0 ]; then
        [ -s err ] && fail "truq $*: says something on standard error"
    else
        [ "$(wc -l <err)" -eq 1 ] && grep -q '^truq: ' err || fail "truq $*: not one line 'truq: ...'"
    fi
}
# says TEXT / prints TEXT: of the last run, on standard error / output
says() { grep -qF -- "$1" err || fail "the error does not hold '$1'"; }
prints() { grep -qF -- "$1" out || fail "the output does not hold '$1'"; }
absent() { [ ! -e "$1" ] || fail "'$1' must not exist"; }
exists() { [ -s "$1" ] || fail "'$1' is missing or empty"; }
done_testing() { exit $((n_failed > 0)); }
