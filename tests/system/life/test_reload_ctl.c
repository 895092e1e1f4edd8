/* fcachectl reload and settings: what they report, and that a reload is whole or nothing. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/support/configured_daemon.h"
#include "tests/support/ctl.h"
#include "tests/support/harness.h"
#include "tests/support/sanitizer.h"

enum { TEXT_SIZE = 4096 };

START_TEST(reload_command_reports_changes_and_the_first_mistake) {
  char text[TEXT_SIZE];
  configured_start("max-clients = 10\n", NULL);
  ctl_expect(CTL("reload"), "0 settings changed\n");
  (void)snprintf(text, sizeof text, "max-clients = 20\nverbose = yes\nstate = %s/state\n",
                 configured_dir);
  configured_write(text);
  ctl_expect(CTL("reload"),
             "2 settings changed, and 1 needs a restart of fcached: see fcachectl settings\n");
  ck_assert_uint_eq(configured_stat("clients_max"), 20);
  configured_write("# x\nmax-clients = none\nverbose = maybe\n");
  (void)snprintf(text, sizeof text,
                 "fcachectl: %s:2: max-clients: \"none\" is not a number: give 1 to 1000000\n",
                 configured_path);
  ctl_expect_error(CTL("reload"), text);
  configured_expect_log(":3: verbose: \"maybe\""); /* the others are in the log */
  configured_stop();
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
  configured_start("# x\nmax-bytes = 64M\nmax-value = 1M\n", "--max-clients=7");
  (void)snprintf(source, sizeof source, "%s:2", configured_path);
  expect_setting("max-bytes", "64M", source, "");
  expect_setting("max-clients", "7", "--max-clients", "");
  expect_setting("user-share", "75", "default", "");
  expect_setting("trace", "none", "default", "");
  ctl_expect_status(CTL("set", "max-bytes", "32M"), 0, NULL, NULL);
  expect_setting("max-bytes", "32M", "fcachectl set", "64M");
  configured_write("max-bytes = 64M\nmax-value = 2M\nuser-share = 50\n");
  ctl_expect_status(CTL("reload"), 0, NULL, NULL);
  (void)snprintf(source, sizeof source, "%s:2", configured_path);
  expect_setting("max-value", "1M", source, "2M");
  (void)snprintf(source, sizeof source, "%s:3", configured_path);
  expect_setting("user-share", "50", source, "");
  configured_stop();
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
  configured_start("max-bytes = 64M\nmax-leases = 400000\n",
                   NULL); /* 450 bytes and more for each */
  ck_assert_int_eq(prlimit(configured_daemon.pid, RLIMIT_DATA, &limit, NULL), 0);
  configured_write("max-bytes = 200M\nmax-leases = 400000\n");
  ctl_expect_status(CTL("reload"), 1, NULL, "not enough memory");
  expect_setting("max-bytes", "64M", NULL, "");
  configured_write("max-bytes = 200M\nmax-leases = 1000\n");
  ctl_expect(CTL("reload"), "2 settings changed\n");
  expect_setting("max-leases", "1000", NULL, "");
  expect_setting("max-bytes", "200M", NULL, "");
  ck_assert_uint_eq(configured_stat("max_bytes"), 200u << 20);
  configured_stop();
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
