#!/bin/sh
# Checks the text of the source tree: files that are too long, notes to oneself, paths of one machine, stray blanks.
# Usage: text.sh ROOT
# Prints one line for each violation, and for code above 300 lines a warning that does not fail.
set -eu
cd "$1"
status=0

# Everything that belongs to the repository, whether or not it came with its history.
files() {
  find . \( -name .git -o -name 'build*' -o -name .cache -o -path ./tests/data -o -path ./tests/golden \
    -o -path ./tests/attacks/data -o -path ./tests/fuzz/corpus \) -prune -o -type f -print | sed 's|^\./||' | LC_ALL=C sort
}

violation() {
  [ -z "$2" ] && return
  status=1
  printf '%s\n' "$2" | sed "s|^|$1: |"
}

# Split by a bracket so that this file does not match itself.
notes='\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b'
machine='(/hom[e]/|/wor[k]/|/roo[t]/|/Users[/])'

list=$(mktemp)
trap 'rm -f "$list"' EXIT
files >"$list"

violation "note to oneself" "$(tr '\n' '\0' <"$list" | xargs -0 grep -EnI "$notes" || :)"
violation "path of one machine" "$(tr '\n' '\0' <"$list" | xargs -0 grep -EnI "$machine" || :)"
violation "blank at the end of a line" "$(tr '\n' '\0' <"$list" | xargs -0 grep -EnI '[[:blank:]]$' || :)"
violation "carriage return" "$(tr '\n' '\0' <"$list" | xargs -0 grep -lI "$(printf '\r')" || :)"
violation "tab" "$(grep -E '\.(cpp|hpp|h|sh|awk|cmake|txt)$' "$list" | tr '\n' '\0' |
  xargs -0 grep -nI "$(printf '\t')" || :)"

lengths=$(grep -E '\.(cpp|hpp|h|sh|awk|cmake)$' "$list" | tr '\n' '\0' |
  xargs -0 awk 'FNR == 1 && file != "" { print lines, file } { file = FILENAME; lines = FNR } END { print lines, file }')
violation "longer than 500 lines" "$(printf '%s\n' "$lengths" | awk '$1 > 500')"
printf '%s\n' "$lengths" | awk '$1 > 300 && $1 <= 500 { print "warning: longer than 300 lines: " $0 }'
exit $status
