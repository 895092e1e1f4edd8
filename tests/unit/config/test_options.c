#include "daemon/config/command_line.h"
#include "daemon/config/option_value.h"
#include "daemon/config/options_set.h"
#include "proto/errors.h"
#include "proto/limits.h"
#include "tests/support/runner.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 24

/* argp wants strings that it may permute and a list that ends with NULL. */
static int copy_words(const char *const *words, char *argv[WORDS_MAX + 1]) {
  int n = 0;
  for (; words[n] != NULL; n++) {
    ck_assert_int_lt(n, WORDS_MAX);
    argv[n] = strdup(words[n]);
    ck_assert_ptr_nonnull(argv[n]);
  }
  argv[n] = NULL;
  return n;
}

static void unexpected(void *arg, const char *text) {
  (void)arg;
  ck_abort_msg("%s", text);
}

static void free_words(char **argv) {
  for (; *argv != NULL; argv++)
    free(*argv);
}

START_TEST(options_init_sets_the_defaults) {
  struct options o;
  struct error_text error;
  options_init(&o);
  ck_assert_int_eq(options_resolve(&o, &error), 0);
  ck_assert_uint_eq(o.max_bytes, 256u << 20);
  ck_assert_uint_eq(o.max_value, 16u << 20);
  ck_assert_uint_eq(o.max_clients, 1000);
  ck_assert_uint_eq(o.max_namespaces, 1024);
  ck_assert_uint_eq(o.user_share, 75);
  ck_assert_uint_eq(o.client_budget, 64u << 20);
  ck_assert_uint_eq(o.hello_timeout_ms, 10000);
  ck_assert_uint_eq(o.stall_timeout_ms, 10000);
  ck_assert_ptr_null(o.socket);
  ck_assert_ptr_null(o.trace);
  ck_assert(!o.has_admin_group && !o.has_socket_group && !o.verbose);
}
END_TEST

START_TEST(command_line_values_are_in_the_configuration) {
  static const char *const words[] = {"fcached",
                                      "--config=none",
                                      "--socket=/x/y.sock",
                                      "--socket-group",
                                      "root",
                                      "--admin-group=123",
                                      "-m",
                                      "1.5G",
                                      "--max-value=64M",
                                      "--max-clients=7",
                                      "--max-namespaces=3",
                                      "--user-share=100",
                                      "--trace",
                                      "t.jsonl",
                                      "--hello-timeout=2",
                                      "--stall-timeout",
                                      "0.25",
                                      "--state=/s",
                                      "--snapshot-interval=0",
                                      "-v",
                                      "--no-region=no",
                                      NULL};
  struct command_line command_line;
  struct config config;
  char *argv[WORDS_MAX + 1];
  command_line_parse(copy_words(words, argv), argv, &command_line);
  ck_assert_int_eq(config_load(&config, &command_line, unexpected, NULL), 0);
  struct options o = config.options; /* borrows its strings */
  ck_assert_str_eq(o.socket, "/x/y.sock");
  ck_assert(o.has_socket_group && o.socket_group.gid == 0);
  ck_assert(o.has_admin_group && o.admin_group.gid == 123);
  ck_assert_str_eq(o.socket_group.text, "root"); /* looked up once: no text looks it up again */
  ck_assert_uint_eq(o.max_bytes, UINT64_C(3) << 29);
  ck_assert_uint_eq(o.max_value, 64u << 20);
  ck_assert_uint_eq(o.client_budget, options_min_budget(64u << 20)); /* raised with max-value */
  ck_assert_uint_eq(o.max_clients, 7);
  ck_assert_uint_eq(o.max_namespaces, 3);
  ck_assert_uint_eq(o.user_share, 100);
  ck_assert_str_eq(o.trace, "t.jsonl");
  ck_assert_uint_eq(o.hello_timeout_ms, 2000);
  ck_assert_uint_eq(o.stall_timeout_ms, 250);
  ck_assert_str_eq(o.state, "/s");
  ck_assert_uint_eq(o.snapshot_interval_ms, 0);
  ck_assert(o.verbose);
  ck_assert(!o.no_region);
  config_deinit(&config);
  free_words(argv);
}
END_TEST

START_TEST(options_resolve_small_max_bytes_lowers_max_value) {
  struct options o;
  struct error_text error;
  options_init(&o);
  ck_assert_int_eq(options_set(&o, "max-bytes", "1M", &error), 0);
  ck_assert_int_eq(options_resolve(&o, &error), 0);
  ck_assert_uint_eq(o.max_value, 1u << 20);
}
END_TEST

START_TEST(options_resolve_contradiction_refused) {
  struct options o;
  struct error_text error;
  options_init(&o);
  ck_assert_int_eq(options_set(&o, "max-bytes", "1M", &error), 0);
  ck_assert_int_eq(options_set(&o, "max-value", "2M", &error), 0);
  ck_assert_int_eq(options_resolve(&o, &error), FC_EINVAL);
  ck_assert_str_eq(error.text,
                   "max-value: 2 MiB (2097152 bytes) is more than max-bytes, 1 MiB (1048576 "
                   "bytes): lower it, or raise that");
  options_init(&o);
  ck_assert_int_eq(options_set(&o, "client-budget", "1M", &error), 0);
  ck_assert_int_eq(options_resolve(&o, &error), FC_EINVAL);
  ck_assert_str_eq(
      error.text,
      "client-budget: 1 MiB (1048576 bytes) is less than two frames of max-value need, 34 "
      "MiB (35651584 bytes): raise it, or lower max-value");
}
END_TEST

static const struct {
  const char *name, *value, *text;
} bad[] = {
    {"max-bytes", "12Q", "\"12Q\" is not a size"},
    {"max-bytes", "1", "1 is out of range: give 4 KiB to 1 PiB"},
    {"max-bytes", "99999T", "out of range"},
    {"max-value", "0", "0 is out of range: give 1 B to 1 GiB"},
    {"max-value", "2G", "2G is out of range: give 1 B to 1 GiB"},
    {"max-clients", "0", "0 is out of range: give 1 to 1000000"},
    {"max-clients", "-1", "\"-1\" is not a number"},
    {"max-clients", "1x", "\"1x\" is not a number"},
    {"max-clients", "99999999999999999999999", "out of range"},
    {"max-namespaces", "", "\"\" is not a number"},
    {"max-namespaces", "1251", "1251 is out of range: give 1 to 1250"},
    {"user-share", "0", "0 is out of range: give 1 to 100"},
    {"user-share", "101", "101 is out of range: give 1 to 100"},
    {"hello-timeout", "0", "out of range: give 0.01 to 3600 seconds"},
    {"hello-timeout", "3601", "out of range"},
    {"snapshot-interval", "0.5", "out of range: give 1 to 604800 seconds, or 0 for none"},
    {"snapshot-interval", "604801", "out of range"},
    {"state", "", "the path is empty"},
    {"hello-timeout", "99999999999999999999999", "out of range"},
    {"hello-timeout", "1.", "\"1.\" is not a time"},
    {"hello-timeout", "1.2345", "is not a time"},
    {"hello-timeout", "1,5", "is not a time"},
    {"stall-timeout", "inf", "is not a time"},
    {"stall-timeout", ".5", "is not a time"},
    {"socket-group", "no such group", "there is no group \"no such group\""},
    {"admin-group", "4294967295", "there is no group"},
    {"admin-group", "1x", "there is no group"},
    {"socket", "", "the path is empty"},
    {"trace", "", "the path is empty"},
    {"nonsense", "1", "there is no such option"},
    {"socket", NULL, "needs a value"},
    {"verbose", "maybe", "\"maybe\" is neither yes nor no"},
    {"verbose", "", "\"\" is neither yes nor no"},
    {"no-region", "YES", "is neither yes nor no"},
    {"tier", "", "it is not the URL of a tier: give redis://"},
    {"tier-mode", "readonly", "give one of read-write|read-only|write-only"},
    {"tier-prefix", "", "give 1 to 64 letters"},
    {"tier-prefix", "a{b}", "\"a{b}\" is not a prefix"},
    {"tier-prefix", "a b", "\"a b\" is not a prefix"},
    {"tier-prefix", "12345678901234567890123456789012345678901234567890123456789012345",
     "is not a prefix"},
    {"tier-namespaces", "a,,b", "a pattern is empty"},
    {"tier-namespaces", "a, b", "there is a space in it"},
    {"tier-deadline", "0", "out of range: give 0.01 to 60 seconds"},
    {"tier-deadline", "61", "out of range: give 0.01 to 60 seconds"},
    {"tier-ttl", "0.5", "out of range: give 1 to 2592000 seconds, or 0 for none"},
    {"tier-queue", "1", "out of range: give 4 KiB to 1 PiB"},
    {"tier-queue-age", "0", "out of range: give 0.01 to 3600 seconds"},
    {"tier-lease", "0.05", "out of range: give 0.1 to 3600 seconds"},
};

/* A value that was formatted is the same value again. */
START_TEST(option_format_can_be_set_again) {
  static const struct {
    const char *name, *value, *text;
  } rows[] = {{"max-bytes", "1.5G", "1536M"},
              {"max-bytes", "4097", "4097"},
              {"max-value", "1k", "1K"},
              {"hello-timeout", "0.250", "0.25"},
              {"hello-timeout", "10", "10"},
              {"snapshot-interval", "0", "0"},
              {"max-clients", "007", "7"},
              {"trace", "/x y", "/x y"},
              {"trace", "none", "none"},
              {"verbose", "on", "yes"},
              {"no-region", "0", "no"},
              {"admin-group", "0", "root"},
              {"tier", "none", "none"},
              {"tier", "redis://h", "redis://h"},
              {"tier-mode", "read-only", "read-only"},
              {"tier-prefix", "fcached:", "fcached:"},
              {"tier-prefix", "x", "x"},
              {"tier-namespaces", "*", "*"},
              {"tier-namespaces", "none", "none"},
              {"tier-ca", "/x", "/x"},
              {"tier-deadline", "0.050", "0.05"},
              {"admin-group", "77777", "77777"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const struct option_row *row = option_find(rows[i].name);
    struct options once, again;
    struct error_text error;
    char text[OPTION_TEXT_SIZE];
    options_init(&once);
    options_init(&again);
    ck_assert_int_eq(option_set(&once, row, rows[i].value, &error), 0);
    ck_assert_str_eq(option_format(&once, row, text), rows[i].text);
    ck_assert_int_eq(option_set(&again, row, text, &error), 0);
    ck_assert(option_equal(&once, &again, row));
    options_deinit(&once);
    options_deinit(&again);
  }
}
END_TEST

START_TEST(options_set_wrong_value_refused) {
  struct options o;
  struct error_text error = {{0}};
  options_init(&o);
  ck_assert_int_eq(options_set(&o, bad[_i].name, bad[_i].value, &error), FC_EINVAL);
  ck_assert_msg(strstr(error.text, bad[_i].text) != NULL, "%s", error.text);
  ck_assert_msg(strncmp(error.text, bad[_i].name, strlen(bad[_i].name)) == 0, "%s", error.text);
}
END_TEST

/* A value that is the default again is equal to one that was never set. */
START_TEST(options_set_default_text_equals_the_initial_one) {
  static const char *const names[] = {"tier", "tier-prefix", "tier-namespaces"};
  static const char *const others[] = {"redis://h", "x", "gpt*"};
  static const char *const defaults[] = {"none", TIER_PREFIX_DEFAULT, TIER_NAMESPACES_DEFAULT};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const struct option_row *row = option_find(names[i]);
    struct options o, initial;
    struct error_text error;
    options_init(&o);
    options_init(&initial);
    ck_assert_int_eq(options_set(&o, names[i], others[i], &error), 0);
    ck_assert(!option_equal(&o, &initial, row));
    ck_assert_int_eq(options_set(&o, names[i], defaults[i], &error), 0);
    ck_assert(option_equal(&o, &initial, row));
    ck_assert_str_eq(options_tier_prefix(&o), TIER_PREFIX_DEFAULT);
    ck_assert_str_eq(options_tier_namespaces(&o), TIER_NAMESPACES_DEFAULT);
    options_deinit(&o);
  }
}
END_TEST

START_TEST(options_copy_owns_all_strings) {
  struct options o, copy;
  struct error_text error;
  options_init(&o);
  ck_assert_int_eq(options_set(&o, "tier", "redis://h", &error), 0);
  ck_assert_int_eq(options_set(&o, "trace", "/t", &error), 0);
  ck_assert(options_copy(&copy, &o));
  ck_assert_ptr_ne(copy.tier, o.tier);
  options_deinit(&o);
  ck_assert_ptr_null(o.tier);
  ck_assert_str_eq(copy.tier, "redis://h");
  ck_assert_str_eq(copy.trace, "/t");
  options_deinit(&copy);
  options_deinit(&copy);
}
END_TEST

/* Options of the tier that contradict each other. */
START_TEST(options_resolve_tier_contradiction_refused) {
  static const struct {
    const char *names[3], *values[3], *text; /* NULL: allowed */
  } rows[] = {
      {{"tier-cert"}, {"/c"}, "tier-cert: there is no tier-key"},
      {{"tier-key"}, {"/k"}, "tier-key: there is no tier-cert"},
      {{"tier", "tier-ca"}, {"redis://h", "/a"}, "tier-ca: the URL of tier has no TLS"},
      {{"tier", "tier-cert", "tier-key"},
       {"unix:///s", "/c", "/k"},
       "tier-cert: the URL of tier has no TLS"},
      {{"tier", "tier-cert", "tier-key"}, {"rediss://h", "/c", "/k"}, NULL},
      {{"tier-ca"}, {"/a"}, NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct options o;
    struct error_text error = {{0}};
    options_init(&o);
    for (size_t j = 0; j < 3 && rows[i].names[j] != NULL; j++)
      ck_assert_int_eq(options_set(&o, rows[i].names[j], rows[i].values[j], &error), 0);
    ck_assert_int_eq(options_resolve(&o, &error), rows[i].text != NULL ? FC_EINVAL : 0);
    if (rows[i].text != NULL)
      ck_assert_msg(strncmp(error.text, rows[i].text, strlen(rows[i].text)) == 0, "%s", error.text);
    options_deinit(&o);
  }
}
END_TEST

/* Runs command_line_parse in a child, which must exit. Returns its status, and its output in
 * `output`.
 */
static int run(const char *const *words, char *output, size_t size) {
  int out[2], status;
  char *argv[WORDS_MAX + 1];
  int n = copy_words(words, argv);
  ck_assert_int_eq(pipe(out), 0);
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    struct command_line command_line;
    dup2(out[1], 1);
    dup2(out[1], 2);
    command_line_parse(n, argv, &command_line);
    _exit(99);
  }
  close(out[1]);
  size_t used = 0;
  ssize_t got;
  while (used < size - 1 && (got = read(out[0], output + used, size - 1 - used)) > 0)
    used += (size_t)got;
  output[used] = '\0';
  close(out[0]);
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  free_words(argv);
  ck_assert(WIFEXITED(status));
  return WEXITSTATUS(status);
}

START_TEST(command_line_version_and_help_exit_0) {
  char output[16384];
  ck_assert_int_eq(run((const char *const[]){"fcached", "--version", NULL}, output, sizeof output),
                   0);
  ck_assert_str_eq(output, "fcached " FC_VERSION "\n");
  ck_assert_int_eq(run((const char *const[]){"fcached", "--help", NULL}, output, sizeof output), 0);
  static const char *const names[] = {
      "--socket=",    "--socket-group=",  "--admin-group=",    "--max-bytes=",
      "--max-value=", "--max-clients=",   "--max-namespaces=", "--client-budget=",
      "--trace=",     "--hello-timeout=", "--stall-timeout=",  "--verbose"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    ck_assert_msg(strstr(output, names[i]) != NULL, "%s", names[i]);
  static const char *const others[] = {"-h", "help"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    char same[sizeof output];
    ck_assert_int_eq(run((const char *const[]){"fcached", others[i], NULL}, same, sizeof same), 0);
    ck_assert_str_eq(same, output);
  }
}
END_TEST

START_TEST(command_line_wrong_usage_exits_2) {
  char output[4096];
  ck_assert_int_eq(
      run((const char *const[]){"fcached", "--frobnicate", NULL}, output, sizeof output), 2);
  ck_assert_int_eq(run((const char *const[]){"fcached", "--socket", NULL}, output, sizeof output),
                   2);
  ck_assert_int_eq(
      run((const char *const[]){"fcached", "--max-bytes=x", NULL}, output, sizeof output), 2);
  ck_assert_ptr_nonnull(strstr(output, "--max-bytes: \"x\" is not a size"));
  ck_assert_int_eq(run((const char *const[]){"fcached", "stray", NULL}, output, sizeof output), 2);
  ck_assert_ptr_nonnull(strstr(output, "unexpected argument \"stray\""));
  ck_assert_int_eq(
      run((const char *const[]){"fcached", "--max-byts=1M", NULL}, output, sizeof output), 2);
  ck_assert_ptr_nonnull(strstr(output, "did you mean --max-bytes?"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("options");
  TCase *tc = tcase_create("options");
  tcase_add_test(tc, options_init_sets_the_defaults);
  tcase_add_test(tc, command_line_values_are_in_the_configuration);
  tcase_add_test(tc, options_resolve_small_max_bytes_lowers_max_value);
  tcase_add_test(tc, options_resolve_contradiction_refused);
  tcase_add_loop_test(tc, options_set_wrong_value_refused, 0, sizeof bad / sizeof bad[0]);
  tcase_add_test(tc, command_line_version_and_help_exit_0);
  tcase_add_test(tc, command_line_wrong_usage_exits_2);
  tcase_add_test(tc, option_format_can_be_set_again);
  tcase_add_test(tc, options_set_default_text_equals_the_initial_one);
  tcase_add_test(tc, options_copy_owns_all_strings);
  tcase_add_test(tc, options_resolve_tier_contradiction_refused);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
