#!/bin/sh
# Ranks under mpirun.
# usage: mpirun_test.sh PROGRAM N     N ranks of dist_mpi_test
#        mpirun_test.sh PROGRAM fail  3 of dist_failing_ranks, which must end soon
set -u
program=$1
command -v mpirun >/dev/null 2>&1 || { echo "skip mpirun: not installed"; exit 77; }
flags=
case $(mpirun --version 2>&1) in
*'Open MPI'*)
    flags='--oversubscribe'
    [ "$(id -u)" -ne 0 ] || flags="$flags --allow-run-as-root" ;;
esac

if [ "$2" != fail ]; then
    # all ranks say the same: rank 0 is heard; whoever fails ends all, since others would wait for it
    export CMOCKA_TEST_ABORT=1 program
    export ASAN_OPTIONS=detect_leaks=0 # a sanitised build would tell of those of MPI
    exec mpirun $flags -n "$2" sh -c '
        [ "${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}" = 0 ] || exec >/dev/null
        exec "$program"'
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
n_failed=0
# expect <sentence> <how> <part of what is said> <times "truq:" is said, at most>
expect() {
    begin=$(date +%s)
    timeout 30 mpirun $flags -n 3 "$program" "$2" >"$log" 2>&1 </dev/null
    status=$?
    seconds=$(($(date +%s) - begin))
    said=$(grep -c '^truq: ' "$log")
    if [ $status -eq 3 ] && [ $seconds -le 10 ] && grep -q "$3" "$log" && [ "$said" -le "$4" ]; then
        echo "ok $1"
        return
    fi
    echo "not ok $1: status $status after $seconds s"
    cat "$log"
    n_failed=$((n_failed + 1))
}
expect a_failing_rank_ends_those_that_wait one 'truq: rank 1: told to fail' 1
expect a_failure_of_all_ranks_is_told_once all 'truq: rank 0: told to fail' 1
expect sums_of_different_lengths_end_all lengths 'sent [a-z]* than the [0-9]* bytes expected' 3
[ $n_failed -eq 0 ]
