# Prints NAME.SECTION and the page's file for each name in the line below "# NAME" of each page.
FNR == 1 { section = substr($0, index($0, "(") + 1, 1); page = FILENAME; sub(/.*\//, "", page); sub(/\.scd$/, "", page) }
found && NF {
  found = 0
  sub(/ - .*/, "")
  count = split($0, names, /, */)
  for (i = 1; i <= count; i++) print names[i] "." section, page
}
$0 == "# NAME" { found = 1 }
