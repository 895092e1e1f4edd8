#include "tests/support/promtool.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/harness.h"

void promtool_check_metrics(const char *metrics) {
  char dir[HARNESS_PATH_SIZE], path[HARNESS_PATH_SIZE + 16], command[2 * HARNESS_PATH_SIZE];
  char *out, *err;
  FILE *file;
  if (harness_run((const char *const[]){"sh", "-c", "command -v promtool", NULL}, NULL, NULL)) {
    puts("skipped: check of metrics: there is no promtool (Debian package prometheus)");
    return;
  }
  harness_make_dir(dir);
  (void)snprintf(path, sizeof path, "%s/metrics", dir);
  file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(metrics, file), 0);
  ck_assert_int_eq(fclose(file), 0);
  (void)snprintf(command, sizeof command, "promtool check metrics <%s", path);
  int status = harness_run((const char *const[]){"sh", "-c", command, NULL}, &out, &err);
  ck_assert_msg(status == 0 && *out == '\0' && *err == '\0', "promtool: %s%s", out, err);
  free(out);
  free(err);
}
