# Reads file names from standard input and the rules from the file named by `floors`; see floors.txt.

function die(text) { print text; failed = 1; exit 1 }
function report(text) { print text; failed = 1 }

# A pattern as a regular expression: {a,b} is a choice, ** any characters, * any but a slash.
function to_regex(glob,    out, i, c, depth) {
  out = "^"
  depth = 0
  for (i = 1; i <= length(glob); i++) {
    c = substr(glob, i, 1)
    if (c == "*" && substr(glob, i + 1, 1) == "*") { out = out ".*"; i++ }
    else if (c == "*") out = out "[^/]*"
    else if (c == "{") { out = out "("; depth++ }
    else if (c == "}") { out = out ")"; depth-- }
    else if (c == "," && depth > 0) out = out "|"
    else if (c ~ /[.+?()|^$\[\]\\]/) out = out "[" c "]"
    else out = out c
  }
  return out "$"
}

function read_rules(    line, n, word, i) {
  while ((getline line < floors) > 0) {
    sub(/#.*/, "", line)
    n = split(line, word, " ")
    if (n == 0) continue
    if (word[1] == "floor" && n >= 4) {
      for (i = 4; i <= n; i++) {
        floor_count++
        floor_name[floor_count] = word[2]
        floor_number[floor_count] = word[3]
        floor_regex[floor_count] = to_regex(word[i])
      }
    } else if (word[1] == "allow" && n == 3) {
      allow_count++
      allow_from[allow_count] = to_regex(word[2])
      allow_to[allow_count] = to_regex(word[3])
    } else if (word[1] == "home" && n >= 4) {
      package_prefix[word[2]] = word[3]
      for (i = 4; i <= n; i++) {
        home_count++
        home_package[home_count] = word[2]
        home_regex[home_count] = to_regex(word[i])
      }
    } else if (word[1] == "once" && n == 2) {
      once[word[2]] = 1
    } else if (word[1] == "plain" && n >= 3) {
      for (i = 3; i <= n; i++) {
        plain_count++
        plain_from[plain_count] = to_regex(word[2])
        plain_header[plain_count] = to_regex(word[i])
      }
    } else if (word[1] == "system") {
      for (i = 2; i <= n; i++) system_regex[++system_count] = to_regex(word[i])
    } else {
      die(floors ": not understood: " line)
    }
  }
  if (floor_count == 0) die(floors ": no floors")
}

function place(file,    i) {
  for (i = 1; i <= floor_count; i++) {
    if (file ~ floor_regex[i]) { number[file] = floor_number[i]; name[file] = floor_name[i]; return }
  }
  report(file ": has no floor (tests/rules/floors.txt)")
  number[file] = -1
}

function check_package(file, header, where,    package, i, ok) {
  for (package in package_prefix) {
    if (index(header, package_prefix[package]) != 1) continue
    ok = 0
    for (i = 1; i <= home_count; i++) if (home_package[i] == package && file ~ home_regex[i]) ok = 1
    if (!ok) report(where ": <" header "> does not belong here")
    if (!((package, file) in uses)) { uses[package, file] = 1; users[package] = users[package] " " file; user_count[package]++ }
    return
  }
  if (header !~ /[.\/]/) return  # of the language
  for (i = 1; i <= system_count; i++) if (header ~ system_regex[i]) return
  report(where ": <" header "> is of no package this project uses")
}

function check_arrow(file, target, where,    i) {
  if (number[file] < 0 || number[target] < 0) return
  if (number[target] < number[file] || name[target] == name[file]) return
  for (i = 1; i <= allow_count; i++) if (file ~ allow_from[i] && target ~ allow_to[i]) return
  report(where ": " target " (floor " number[target] ", " name[target] ") is not below floor " number[file] ", " name[file])
}

# The file that a quoted include means: beside the includer, in the tree, or in include/.
function resolve(file, header,    folder) {
  folder = file
  sub(/[^\/]*$/, "", folder)
  if ((folder header) in known) return folder header
  if (header in known) return header
  if (("include/" header) in known) return "include/" header
  return ""
}

function scan(file,    line, at, quoted, header, target) {
  at = 0
  while ((getline line < file) > 0) {
    at++
    if (line !~ /^[ \t]*#[ \t]*include/) continue
    if (match(line, /"[^"]*"/)) quoted = 1
    else if (match(line, /<[^>]*>/)) quoted = 0
    else { report(file ":" at ": an include that is not a name"); continue }
    header = substr(line, RSTART + 1, RLENGTH - 2)
    target = quoted || header ~ /^mq\// ? resolve(file, header) : ""
    if (header ~ /(^|\/)\.\.?\//) report(file ":" at ": \"" header "\" is written relative to the file")
    if (target == "") {
      if (quoted || header ~ /^mq\//) report(file ":" at ": " header " is not in this tree")
      else check_package(file, header, file ":" at)
      # Standard and foreign headers, for the transitive rules.
      outside[file] = outside[file] " " header
      continue
    }
    if (header ~ /^mq\//) outside[file] = outside[file] " " header
    inside[file] = inside[file] " " target
    check_arrow(file, target, file ":" at)
  }
  close(file)
}

# Walks all that a file includes and compares the headers found with the rules of its first includer.
function check_plain(from,    queue, head, tail, seen, file, n, word, i, k) {
  queue[1] = from; head = 1; tail = 1; seen[from] = 1
  while (head <= tail) {
    file = queue[head++]
    n = split(outside[file], word, " ")
    for (i = 1; i <= n; i++)
      for (k = 1; k <= plain_count; k++)
        if (from ~ plain_from[k] && word[i] ~ plain_header[k])
          report(from ": reaches <" word[i] ">" (file == from ? "" : " through " file))
    n = split(inside[file], word, " ")
    for (i = 1; i <= n; i++) if (!(word[i] in seen)) { seen[word[i]] = 1; queue[++tail] = word[i] }
  }
}

BEGIN { read_rules() }
{ files[++file_count] = $0; known[$0] = 1 }
END {
  if (failed) exit 1
  for (f = 1; f <= file_count; f++) place(files[f])
  for (f = 1; f <= file_count; f++) scan(files[f])
  for (f = 1; f <= file_count; f++)
    for (k = 1; k <= plain_count; k++)
      if (files[f] ~ plain_from[k]) { check_plain(files[f]); break }
  for (package in once)
    if (user_count[package] > 1) report(package ": included by more than one file:" users[package])
  if (!failed) print file_count " files, no include against the floors"
  exit failed
}
