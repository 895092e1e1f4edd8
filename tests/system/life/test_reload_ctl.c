/* fcachectl reload and settings: what they report, and that a reload is whole or nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "proto/errors.h"
#include "tests/support/ctl.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/sanitizer.h"

enum { TEXT_SIZE = 4096 };

static struct daemon daemon_;
static char dir[HARNESS_PATH_SIZE], path[HARNESS_PATH_SIZE + 16];

static void write_config(const char *text) {
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(text, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

/* `extra`: an option of the command line, or NULL. */
static void start(const char *text, const char *extra) {
  daemon_ = (struct daemon){0};
  harness_make_dir(dir);
  (void)snprintf(path, sizeof path, "%s/x.conf", dir);
  write_config(text);
  harness_start(&daemon_, "--config", path, extra, NULL);
  ck_assert_int_eq(setenv("FCACHE_SOCKET", daemon_.socket, 1), 0);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}

static void expect_log(const char *text) {
  char *log = harness_log(&daemon_);
  ck_assert_msg(strstr(log, text) != NULL, "no \"%s\" in %s", text, log);
  free(log);
}

static uint64_t stat_of(const char *name) {
  struct fcache *watch = library_open(daemon_.socket, "watch", NULL, 0);
  uint64_t value = library_stat(watch, name);
  fcache_close(watch);
  return value;
}

START_TEST(reload_command_reports_changes_and_the_first_mistake) {
  char text[TEXT_SIZE];
  start("max-clients = 10\n", NULL);
  ctl_expect(CTL("reload"), "0 settings changed\n");
  (void)snprintf(text, sizeof text, "max-clients = 20\nverbose = yes\nstate = %s/state\n", dir);
  write_config(text);
  ctl_expect(CTL("reload"),
             "2 settings changed, and 1 needs a restart of fcached: see fcachectl settings\n");
  ck_assert_uint_eq(stat_of("clients_max"), 20);
  write_config("# x\nmax-clients = none\nverbose = maybe\n");
  (void)snprintf(text, sizeof text,
                 "fcachectl: %s:2: max-clients: \"none\" is not a number: give 1 to 1000000\n",
                 path);
  ctl_expect_error(CTL("reload"), text);
  expect_log(":3: verbose: \"maybe\""); /* the others are in the log */
  stop();
}
END_TEST

/* Returns a member of the setting in `list`, or "" for null. */
static const char *setting(const json_t *list, const char *name, const char *member) {
  size_t i;
  json_t *item;
  json_array_foreach(list, i, item) {
    const char *value = json_string_value(json_object_get(item, member));
    if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0)
      return value != NULL ? value : "";
  }
  ck_abort_msg("there is no setting %s", name);
}

/* `source` NULL: any. */
static void expect_setting(const char *name, const char *value, const char *source,
                           const char *after_restart) {
  json_t *list = ctl_json(CTL("settings", "--json"));
  ck_assert_str_eq(setting(list, name, "value"), value);
  if (source != NULL)
    ck_assert_str_eq(setting(list, name, "source"), source);
  ck_assert_str_eq(setting(list, name, "after_restart"), after_restart);
  json_decref(list);
}

START_TEST(settings_name_the_value_in_use_and_its_source) {
  char source[TEXT_SIZE];
  start("# x\nmax-bytes = 64M\nmax-value = 1M\n", "--max-clients=7");
  (void)snprintf(source, sizeof source, "%s:2", path);
  expect_setting("max-bytes", "64M", source, "");
  expect_setting("max-clients", "7", "--max-clients", "");
  expect_setting("user-share", "75", "default", "");
  expect_setting("trace", "none", "default", "");
  ctl_expect_status(CTL("set", "max-bytes", "32M"), 0, NULL, NULL);
  expect_setting("max-bytes", "32M", "fcachectl set", "64M");
  write_config("max-bytes = 64M\nmax-value = 2M\nuser-share = 50\n");
  ctl_expect_status(CTL("reload"), 0, NULL, NULL);
  (void)snprintf(source, sizeof source, "%s:2", path);
  expect_setting("max-value", "1M", source, "2M");
  (void)snprintf(source, sizeof source, "%s:3", path);
  expect_setting("user-share", "50", source, "");
  stop();
}
END_TEST

/* ---- memory ---- */

/* Lower limits in the same file make room for a larger cache. The memory is compared for all of
 * them together: not for the larger cache with the former limits, which would not fit. */
START_TEST(reload_size_fits_with_the_lower_limits_of_the_same_file) {
  struct rlimit limit = {700u << 20, 700u << 20};
  if (SANITIZER_SLOW) {
    (void)printf("skipped: a sanitizer's own memory is over the limit\n");
    return;
  }
  start("max-bytes = 64M\nmax-leases = 400000\n", NULL); /* 450 bytes and more for each */
  ck_assert_int_eq(prlimit(daemon_.pid, RLIMIT_DATA, &limit, NULL), 0);
  write_config("max-bytes = 200M\nmax-leases = 400000\n");
  ctl_expect_status(CTL("reload"), 1, NULL, "not enough memory");
  expect_setting("max-bytes", "64M", NULL, "");
  write_config("max-bytes = 200M\nmax-leases = 1000\n");
  ctl_expect(CTL("reload"), "2 settings changed\n");
  expect_setting("max-leases", "1000", NULL, "");
  expect_setting("max-bytes", "200M", NULL, "");
  ck_assert_uint_eq(stat_of("max_bytes"), 200u << 20);
  stop();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("reload_ctl");
  TCase *tc = tcase_create("reload_ctl");
  tcase_add_test(tc, reload_command_reports_changes_and_the_first_mistake);
  tcase_add_test(tc, settings_name_the_value_in_use_and_its_source);
  tcase_add_test(tc, reload_size_fits_with_the_lower_limits_of_the_same_file);
  suite_add_tcase(suite, tc);
  return harness_main(suite);
}
