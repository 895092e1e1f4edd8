#include "ctl_says.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

char *ctl_printed(const char *const argv[]) {
  char *out, *err;
  int status = harness_run(argv, &out, &err);

  if (status != 0)
    ck_abort_msg("%s: status %d: %s%s", argv[1], status, out, err);
  free(err);
  return out;
}

void ctl_expect(const char *const argv[], const char *want) {
  char *out = ctl_printed(argv);

  ck_assert_str_eq(out, want);
  free(out);
}

void ctl_expect_part(const char *const argv[], const char *want) {
  char *out = ctl_printed(argv);

  if (!strstr(out, want))
    ck_abort_msg("%s: no \"%s\" in: %s", argv[1], want, out);
  free(out);
}

json_t *ctl_json(const char *const argv[]) {
  char *out = ctl_printed(argv);
  json_t *all = json_loads(out, 0, NULL);

  if (!all)
    ck_abort_msg("%s: no JSON: %s", argv[1], out);
  free(out);
  return all;
}
