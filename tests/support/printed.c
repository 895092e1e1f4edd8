#include "printed.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/render.h"

void printed_fits(const char *text) {
  char *copy = strdup(text), *rest = copy;

  ck_assert_ptr_nonnull(copy);
  for (char *line; (line = strsep(&rest, "\n")) != NULL;)
    if (render_width(line) > RENDER_COLUMNS)
      ck_abort_msg("%zu columns: %s", render_width(line), line);
  free(copy);
}
