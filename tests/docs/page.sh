# Runs a page of docs/: writes its files, runs its commands in order, and looks for each line of its
# plain blocks in what the commands before it printed. The files of tests/ are where the page says.
# sh page.sh TRUQ TRUQ_DIR PAGE
PATH=$(dirname "$1"):$PATH
truq_ROOT=$2
page=$3
export PATH truq_ROOT
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
ln -s "$(dirname "$page")/../tests" tests

# One file a block: NNN.sh, NNN.text, or the name that stands behind the language.
awk '
/^```/ && !inside { inside = 1; n++; name = $2 ? $2 : sprintf("%03d.%s", n, $1 == "```sh" ? "sh" : "text"); next }
/^```/ { inside = 0; close(name); next }
inside { print > name }
' "$page"

n_failed=0 # of the lines of a block
for block in [0-9]*.sh [0-9]*.text; do echo "$block"; done | sort >blocks
[ "$(wc -l <blocks)" -ge 6 ] || { echo "the page has lost its blocks"; exit 1; }
while read -r block; do
    case $block in
    *.sh)
        sh -e "$block" >out 2>&1 || { echo "FAILED: $block"; cat "$block" out; exit 1; }
        tr -s ' ' <out >squeezed
        ;;
    *.text)
        while read -r line; do
            case $line in '' | ...) continue ;; esac
            grep -qF -- "$(echo "$line" | tr -s ' ')" squeezed ||
                { echo "FAILED: the output before $block does not hold '$line'"; n_failed=$((n_failed + 1)); }
        done <"$block"
        [ $n_failed -eq 0 ] || { cat out; exit 1; }
        ;;
    esac
done <blocks
