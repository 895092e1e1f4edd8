# Corrects what scdoc writes, so that mandoc -Tlint finds nothing: paragraph macros that have no effect, a title in lower
# case, and text lines of more than 80 bytes. A paragraph macro before .RE has an effect in groff, as a distance from the
# next text, but not in mandoc, so it moves behind the .RE.
function flush() { if (paragraph) print ".P"; paragraph = 0 }
/^\.(P|PP|LP)$/ { paragraph = !after_heading; next }
/^\.RE$/ { print; next }
/^\.S[HS] / { paragraph = 0; print; after_heading = 1; next }
/^\.TH / { match($0, /"[^"]*"/); print substr($0, 1, RSTART) toupper(substr($0, RSTART + 1, RLENGTH - 1)) substr($0, RSTART + RLENGTH); after_heading = 1; next }
{ flush(); after_heading = 0 }
/^\.nf/ { literal = 1 }
/^\.fi/ { literal = 0 }
# Breaks the line at its spaces. A word that begins with a point or an apostrophe would become a macro at the beginning.
!/^\./ && !literal {
  while (length($0) > 80) {
    at = 0
    for (i = 2; i <= 80 && i < length($0); i++)
      if (substr($0, i, 1) == " " && substr($0, i - 1, 1) != "\\" && substr($0, i + 1, 1) !~ /[.' ]/) at = i
    if (!at) break
    print substr($0, 1, at - 1)
    $0 = substr($0, at + 1)
  }
}
{ print }
