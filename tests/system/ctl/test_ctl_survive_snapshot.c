/* fcachectl snapshot and fcachectl set with a real daemon. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/library.h"

static struct daemon daemon_;
static char state[HARNESS_PATH_SIZE];

static void start(bool with_state) {
  memset(&daemon_, 0, sizeof daemon_);
  harness_make_dir(state);
  if (with_state)
    harness_start(&daemon_, "--state", state, NULL);
  else
    harness_start(&daemon_, NULL);
  (void)setenv("FCACHE_SOCKET", daemon_.socket, 1);
}

static void put_some(uint32_t n) {
  struct fcache *cache = library_open(daemon_.socket, "ns", NULL, 0);
  for (uint32_t i = 0; i < n; i++) {
    char prompt[16];
    (void)snprintf(prompt, sizeof prompt, "%u", i);
    struct fcache_key key = library_key("op", "base", prompt, 0);
    library_put_text(cache, &key, prompt);
  }
  fcache_close(cache);
}

START_TEST(snapshot_is_complete_when_the_command_ends) {
  char file[HARNESS_PATH_SIZE + 16], text[HARNESS_PATH_SIZE + 64];
  start(true);
  put_some(500);
  (void)snprintf(file, sizeof file, "%s/snapshot", state);
  (void)snprintf(text, sizeof text, ": %s\n", file);
  ctl_expect_part(CTL("snapshot"), "wrote 500 entries, ");
  ctl_expect_part(CTL("snapshot", "--wait"), text);
  ctl_expect_part(CTL("image", file), "500 intact");
  put_some(600);
  json_t *written = ctl_json(CTL("snapshot", "--json"));
  ck_assert_int_eq(json_integer_value(json_object_get(written, "entries")), 600);
  ck_assert_str_eq(json_string_value(json_object_get(written, "path")), file);
  ck_assert(json_is_true(json_object_get(written, "finished")));
  ck_assert(json_is_real(json_object_get(written, "duration_s")));
  json_decref(written);
  ctl_expect_part(CTL("image", file), "600 intact");
  ctl_expect_part(CTL("snapshot", "--no-wait"), text);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(snapshot_without_state_folder_refused) {
  start(false);
  ctl_expect_error(CTL("snapshot"),
                   "fcachectl: fcached has no state folder: start it with --state DIR\n");
  ctl_expect_status(CTL("snapshot", "x"), 2, "", "unexpected argument \"x\"");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

/* The folder is gone: the daemon's reason is shown. */
START_TEST(snapshot_that_fails_is_status_1) {
  char command[2 * HARNESS_PATH_SIZE];
  start(true);
  put_some(10);
  (void)snprintf(command, sizeof command, "mkdir %s/snapshot.tmp", state);
  ck_assert_int_eq(harness_run((const char *const[]){"sh", "-c", command, NULL}, NULL, NULL), 0);
  ctl_expect_status(CTL("snapshot"), 1, "", "fcachectl: ");
  (void)snprintf(command, sizeof command, "rmdir %s/snapshot.tmp", state);
  ck_assert_int_eq(harness_run((const char *const[]){"sh", "-c", command, NULL}, NULL, NULL), 0);
  ctl_expect_part(CTL("snapshot"), "wrote 10 entries, ");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

static const struct {
  const char *argv[4];
  int status;
  const char *error;
} wrong[] = {
    {{NULL}, 2, "missing argument: usage: fcachectl set max-bytes SIZE"},
    {{"max-bytes"}, 2, "missing argument: usage: fcachectl set max-bytes SIZE"},
    {{"max-bytes=1G"}, 2, "missing argument"},
    {{"max-bytes", "1G", "x"}, 2, "unexpected argument \"x\""},
    {{"", "1G"}, 2, "\"\" is no name of a setting"},
    {{"max_bytes", "1G"}, 1, "no setting \"max_bytes\": those that can be set are: max-bytes"},
    {{"max-bytes", "12Q"}, 1, "max-bytes: \"12Q\" is no size"},
    {{"max-bytes", "0"}, 1, "max-bytes: \"0\" is no size"},
};

START_TEST(set_wrong_use_has_its_error) {
  const char *argv[7] = {harness_fcachectl(), "set"};
  start(false);
  memcpy(argv + 2, wrong[_i].argv, sizeof wrong[_i].argv);
  ctl_expect_status(argv, wrong[_i].status, "", wrong[_i].error);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_survive_snapshot");
  TCase *tcase = tcase_create("ctl_survive_snapshot");
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, snapshot_is_complete_when_the_command_ends);
  tcase_add_test(tcase, snapshot_without_state_folder_refused);
  tcase_add_test(tcase, snapshot_that_fails_is_status_1);
  tcase_add_loop_test(tcase, set_wrong_use_has_its_error, 0, sizeof wrong / sizeof wrong[0]);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
