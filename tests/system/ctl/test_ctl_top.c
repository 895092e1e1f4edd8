/* fcachectl top: its screens at several sizes, its keys, a daemon that restarts, signals, and its
 * output without a terminal. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/ctl.h"
#include "tests/support/raw.h"
#include "tests/support/screen.h"
#include "tests/support/scripted_daemon.h"

#define COMPUTE_NS UINT64_C(250000000)
#define STILL "--interval", "3600" /* nothing changes after the second reading */

static struct daemon daemon_;
static struct screen screen;

/* What each worker does: it puts so many values of that size, and gets each so many times. */
static const struct {
  const char *client, *name_space, *op, *view, *probe;
  unsigned puts, gets;
  uint32_t size;
} works[] = {
    {"score-0", "llama-8b@3f2c1", "logprob_of", "base", "sentiment", 40, 3, 1000},
    {"score-0", "llama-8b@3f2c1", "logprob_of", "chat-template-with-a-very-long-name-v2", NULL, 10,
     1, 1000},
    {"score-0", "llama-8b@3f2c1", "next_token_dist", "base", "entities", 5, 20, 30000},
    {"\xe6\x97\xa5\xe6\x9c\xac-1", "gpt2-r1", "logprob_of", "base", NULL, 100, 0, 100},
    {"evil\xe2\x80\xaegnp", "gpt2-r1", "generate", "base", "sentiment", 1, 1, 10},
};
#define N_WORKS (sizeof works / sizeof works[0])
static struct raw raws[N_WORKS];

static void work(size_t i) {
  static const uint8_t value[30000];
  const struct fc_key key = {.op = fc_str_of(works[i].op), .view = fc_str_of(works[i].view)};
  struct fc_put put = {.key = key,
                       .probe = fc_str_of(works[i].probe),
                       .compute_ns = COMPUTE_NS,
                       .value = value,
                       .value_size = works[i].size};
  struct fc_get get = {.key = key, .probe = put.probe};
  struct fc_reply reply;

  for (unsigned n = 0; n < works[i].puts; n++) {
    put.key.prompt.bytes[0] = get.key.prompt.bytes[0] = (uint8_t)n;
    ck_assert_int_eq(raw_put(&raws[i], &put, &reply), RAW_REPLY);
    for (unsigned hits = 0; hits < works[i].gets; hits++)
      ck_assert_int_eq(raw_get(&raws[i], &get, &reply), RAW_REPLY);
  }
}

static void start(void) {
  ctl_start_daemon(&daemon_);
}

static void start_with_workers(void) {
  start();
  for (size_t i = 0; i < N_WORKS; i++) {
    ck_assert_int_eq(raw_connect(&raws[i], daemon_.socket), 0);
    ck_assert_int_eq(raw_hello(&raws[i], works[i].client, works[i].name_space), 0);
    work(i);
  }
}

static void stop(void) {
  screen_stop(&screen);
  for (size_t i = 0; i < N_WORKS; i++)
    raw_close(&raws[i]);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}

static bool open_top(unsigned columns, unsigned rows, const char *const argv[]) {
  if (screen_start(&screen, columns, rows, argv))
    return true;
  stop();
  return false;
}

static void quit(void) {
  screen_keys(&screen, "q");
  screen_expect_status(&screen, 0);
  screen_wait_restored(&screen);
  stop();
}

/* ---- screens ---- */

START_TEST(each_grouping_has_its_screen) {
  start_with_workers();
  if (!open_top(80, 24, CTL("top", STILL, "--totals")))
    return;
  screen_expect(&screen, "top_namespace");
  screen_keys(&screen, "o");
  screen_expect(&screen, "top_op");
  screen_keys(&screen, "v");
  screen_expect(&screen, "top_view");
  screen_keys(&screen, "c");
  screen_expect(&screen, "top_client");
  screen_keys(&screen, "p");
  screen_expect(&screen, "top_probe");
  screen_keys(&screen, "t"); /* nothing happens between the readings */
  screen_expect(&screen, "top_rates");
  quit();
}
END_TEST

START_TEST(clients_that_left_are_one_row) {
  start_with_workers();
  raw_close(&raws[0]);
  raw_close(&raws[1]);
  if (!open_top(80, 24, CTL("top", STILL, "--totals", "--by", "client")))
    return;
  screen_expect(&screen, "top_client_left");
  quit();
}
END_TEST

START_TEST(filter_sort_pause_and_help_have_their_screens) {
  start_with_workers();
  if (!open_top(80, 24, CTL("top", STILL, "--by", "view", "--totals", "--sort", "hits")))
    return;
  screen_wait(&screen, "VIEW");
  screen_keys(&screen, "/");
  screen_type(&screen, "LONG");
  screen_expect(&screen, "top_filter_typing");
  screen_keys(&screen, "Enter");
  screen_expect(&screen, "top_filter");
  screen_keys(&screen, "Escape > r Space");
  screen_expect(&screen, "top_paused");
  screen_keys(&screen, "h");
  screen_expect(&screen, "top_help");
  screen_keys(&screen, "x r Space");
  screen_wait_without(&screen, "PAUSED");
  quit();
}
END_TEST

START_TEST(each_size_has_its_screen) {
  start_with_workers();
  if (!open_top(80, 24, CTL("top", STILL, "--totals", "--by", "client")))
    return;
  screen_expect(&screen, "top_client");
  screen_resize(&screen, 120, 40);
  screen_expect(&screen, "top_client_120x40");
  screen_resize(&screen, 40, 10);
  screen_expect(&screen, "top_client_40x10");
  screen_resize(&screen, 40, 5);
  screen_expect(&screen, "top_client_40x5");
  screen_resize(&screen, 20, 2);
  screen_expect(&screen, "top_too_small");
  screen_resize(&screen, 80, 24);
  screen_expect(&screen, "top_client");
  quit();
}
END_TEST

/* ---- the daemon ---- */

START_TEST(daemon_that_restarts_is_waited_for) {
  char *log;

  start_with_workers();
  if (!open_top(80, 24, CTL("top", "--interval", "0.1")))
    return;
  screen_wait(&screen, "llama-8b@3f2c1");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
  screen_wait(&screen, "no daemon at ");
  screen_wait(&screen, ", waiting");
  harness_start(&daemon_, NULL);
  screen_wait_without(&screen, ", waiting");
  screen_wait(&screen, "0 of 0 rows");
  log = screen_text(&screen);
  ck_assert_ptr_null(strstr(log, "llama"));
  free(log);
  quit();
}
END_TEST

START_TEST(missing_daemon_at_the_start_is_status_3) {
  ctl_expect_status(CTL("top", "--socket", "/nonexistent/socket"), 3, NULL, "no daemon at");
}
END_TEST

/* The error is printed after the end of the screen, which would hide it. */
START_TEST(older_daemon_is_named_after_the_terminal_is_restored) {
  struct scripted_daemon scripted;

  scripted_start(&scripted, scripted_hello_alone, NULL);
  scripted.welcome.version = 6;
  if (screen_start(&screen, 120, 24, CTL("top", "--socket", scripted.path))) {
    screen_expect_status(&screen, 1);
    screen_wait(&screen, "which has no usage: restart it with the new version");
    screen_wait_restored(&screen);
    screen_stop(&screen);
  }
  scripted_stop(&scripted);
}
END_TEST

/* ---- the terminal ---- */

static const int ending[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

START_TEST(signal_restores_the_terminal) {
  start();
  if (!open_top(80, 24, CTL("top")))
    return;
  screen_wait(&screen, "NAMESPACE");
  ck_assert_int_eq(kill(screen_pid(&screen), ending[_i]), 0);
  screen_expect_status(&screen, 128 + ending[_i]);
  screen_wait_restored(&screen);
  stop();
}
END_TEST

START_TEST(stopped_top_restores_the_terminal_and_goes_on) {
  start();
  (void)setenv("PS1", "shell> ", 1);
  if (!open_top(80, 24, (const char *const[]){"sh", "-i", NULL}))
    return;
  screen_wait(&screen, "shell>");
  screen_type(&screen, harness_fcachectl());
  screen_type(&screen, " top");
  screen_keys(&screen, "Enter");
  screen_wait(&screen, "NAMESPACE");
  screen_keys(&screen, "C-z");
  screen_wait(&screen, "shell>");
  screen_wait_restored(&screen);
  screen_type(&screen, "fg");
  screen_keys(&screen, "Enter");
  screen_wait(&screen, "NAMESPACE");
  screen_keys(&screen, "C-c");
  screen_wait(&screen, "shell>");
  screen_wait_restored(&screen);
  stop();
}
END_TEST

/* ---- without a terminal ---- */

START_TEST(batch_prints_blocks) {
  static const char *const lines[] = {
      " UTC\nfcached ",
      "\nmemory ",
      "\nhit rate ",
      "\nop: totals since the start   filter \"LOG\"   sorted by saved   1 of 3 rows   every 0.1 "
      "s\n",
      "\nOP               HITS   MISSES   HIT%   *SAVED  COMPUTED       PUT\n"
      "logprob_of        130      150  46.4%   32.5 s ",
      "58.6 KiB\n\n"};
  char *out;

  start_with_workers();
  out =
      ctl_printed(CTL("top", "-c", "2", "-i", "0.1", "--by", "op", "--totals", "--filter", "LOG"));
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    const char *first = strstr(out, lines[i]);
    if (!first || !strstr(first + 1, lines[i]))
      ck_abort_msg("not twice: \"%s\" in:\n%s", lines[i], out);
  }
  ck_assert_ptr_null(strchr(out, '\x1b'));
  free(out);
  stop();
}
END_TEST

START_TEST(json_has_exact_counts) {
  json_t *all, *row;

  start_with_workers();
  all = ctl_json(CTL("top", "--json", "-c", "1", "-i", "0.1", "--by", "op", "--sort", "hits"));
  ck_assert_str_eq(json_string_value(json_object_get(all, "by")), "op");
  ck_assert_uint_eq(json_array_size(json_object_get(all, "rows")), 3);
  row = json_array_get(json_object_get(all, "rows"), 0); /* all rates are 0: by name */
  ck_assert_str_eq(json_string_value(json_object_get(row, "name")), "generate");
  row = json_array_get(json_object_get(all, "rows"), 2);
  ck_assert_str_eq(json_string_value(json_object_get(row, "name")), "next_token_dist");
  ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(row, "total"), "hits")), 100);
  ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(row, "growth"), "hits")), 0);
  ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(row, "total"), "put_bytes")),
                   150000);
  json_decref(all);
  stop();
}
END_TEST

START_TEST(dumb_terminal_gets_blocks) {
  start();
  (void)setenv("TERM", "dumb", 1);
  if (!open_top(
          80, 24,
          (const char *const[]){"sh", "-c", "TERM=dumb exec $FCACHECTL top -c 1 -i 0.1", NULL}))
    return;
  screen_expect_status(&screen, 0);
  screen_wait(&screen, " UTC\nfcached ");
  screen_wait_restored(&screen);
  stop();
}
END_TEST

static const struct {
  const char *argv[4], *error;
} wrong[] = {
    {{"top", "--by", "vieww"}, "did you mean view? Give namespace, op, view, client or probe"},
    {{"top", "--by", "x\x1b"}, "--by \"x?\": give namespace, op,"},
    {{"top", "--sort", "saves"}, "did you mean saved?"},
    {{"top", "--interval", "0"}, "--interval takes a number of seconds"},
    {{"top", "--interval", "nan"}, "--interval takes a number of seconds"},
    {{"top", "-c", "0"}, "--count takes a whole number"},
};

START_TEST(wrong_usage_is_status_2) {
  ctl_expect_status(CTL(wrong[_i].argv[0], wrong[_i].argv[1], wrong[_i].argv[2]), 2, NULL,
                    wrong[_i].error);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_top");
  TCase *tests = tcase_create("ctl_top");

  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, each_grouping_has_its_screen);
  tcase_add_test(tests, clients_that_left_are_one_row);
  tcase_add_test(tests, filter_sort_pause_and_help_have_their_screens);
  tcase_add_test(tests, each_size_has_its_screen);
  tcase_add_test(tests, daemon_that_restarts_is_waited_for);
  tcase_add_test(tests, missing_daemon_at_the_start_is_status_3);
  tcase_add_test(tests, older_daemon_is_named_after_the_terminal_is_restored);
  tcase_add_loop_test(tests, signal_restores_the_terminal, 0, sizeof ending / sizeof ending[0]);
  tcase_add_test(tests, stopped_top_restores_the_terminal_and_goes_on);
  tcase_add_test(tests, batch_prints_blocks);
  tcase_add_test(tests, json_has_exact_counts);
  tcase_add_test(tests, dumb_terminal_gets_blocks);
  tcase_add_loop_test(tests, wrong_usage_is_status_2, 0, sizeof wrong / sizeof wrong[0]);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
