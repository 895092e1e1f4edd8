#include "ctl.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

void ctl_start_daemon(struct daemon *daemon) {
  *daemon = (struct daemon){0};
  harness_start(daemon, NULL);
  (void)setenv("FCACHE_SOCKET", daemon->socket, 1);
}

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
  ctl_expect_status(argv, 0, want, NULL);
}

void ctl_expect_status(const char *const argv[], int status, const char *out_part,
                       const char *err_part) {
  char *out, *err;
  int got = harness_run(argv, &out, &err);

  if (got != status || (out_part && !strstr(out, out_part)) ||
      (err_part && !strstr(err, err_part)) || strchr(err, '\x1b'))
    ck_abort_msg("%s: status %d, not %d with \"%s\" and \"%s\"; it printed: %s%s", argv[1], got,
                 status, out_part ? out_part : "", err_part ? err_part : "", out, err);
  free(out);
  free(err);
}

void ctl_expect_error(const char *const argv[], const char *want) {
  char *out, *err;

  ck_assert_int_eq(harness_run(argv, &out, &err), 1);
  ck_assert_str_eq(out, "");
  ck_assert_str_eq(err, want);
  free(out);
  free(err);
}

json_t *ctl_json(const char *const argv[]) {
  char *out = ctl_printed(argv);
  json_t *all = json_loads(out, 0, NULL);

  if (!all)
    ck_abort_msg("%s: no JSON: %s", argv[1], out);
  free(out);
  return all;
}

size_t ctl_array_size(const char *const argv[]) {
  json_t *all = ctl_json(argv);
  size_t n = json_array_size(all);

  ck_assert(json_is_array(all));
  json_decref(all);
  return n;
}
