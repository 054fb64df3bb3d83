#!/bin/sh
# Runs the commands of README.md: every ```sh block that follows a line `<!-- checked -->`, in order and in one folder,
# where mq-convert is on the path and the folders of the repository can be read. A command that is shown to fail stands
# with its exit code: `mq-convert info no.pt   # exit 5`. Other comments are ignored.
# Usage: readme_commands.sh ROOT MQ_CONVERT
set -eu
root=$1
program=$2
readme=$root/README.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/run"
ln -s "$program" "$work/bin/mq-convert"
for entry in "$root"/*; do
  case ${entry##*/} in build*) ;; *) ln -s "$entry" "$work/run/" ;; esac
done

# The commands, with what a backslash continues joined to one line.
awk '
  /^<!-- checked -->$/ { marked = 1; next }
  /^```sh$/ { inside = marked; marked = 0; next }
  /^```$/ { inside = 0; next }
  NF && !inside { marked = 0 }
  inside { line = line $0; if (sub(/\\$/, "", line)) next; if (line !~ /^[ \t]*(#|$)/) print line; line = "" }
' "$readme" >"$work/commands"
[ -s "$work/commands" ] || { echo "README.md: no block of commands is marked <!-- checked -->"; exit 1; }

PATH=$work/bin:$PATH
export PATH
cd "$work/run"
count=0
while IFS= read -r command <&3; do
  expected=$(printf '%s\n' "$command" | sed -n 's/.*# exit \([0-9][0-9]*\) *$/\1/p')
  status=0
  sh -c "$command" >"$work/output" 2>&1 </dev/null || status=$?
  if [ "$status" -ne "${expected:-0}" ]; then
    echo "README.md: $command"
    echo "exit code $status, expected ${expected:-0}:"
    cat "$work/output"
    exit 1
  fi
  count=$((count + 1))
done 3<"$work/commands"
echo "$count commands of README.md work"
