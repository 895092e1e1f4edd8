/* Tables of fcachectl on terminals of several widths, in a pipe, and with --no-trunc. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcache.h"
#include "tests/support/ctl.h"
#include "tests/support/harness.h"
#include "tests/support/screen.h"

#define SWAY "dlm-sway:Qwen/Qwen2.5-0.5B-Instruct@7ae557604adf67be50417f59c2c2f167def9a775:sha256"
#define LM_EVAL "lm_eval:gpt2@607a30d783dfa663caf39e06633721c8d4cfcd7e"
#define HASH_SIZE 33

static const struct {
  const char *name_space, *op, *view;
} entries[] = {
    {SWAY, "next_token_dist", "base"},
    {SWAY, "rolling_logprob", "scaled_1.00"},
    {LM_EVAL, "loglikelihood_rolling", "lm"},
    {LM_EVAL, "generate_until", "lm"},
    {"gpt2", "op", "v"},
};
#define N_ENTRIES (sizeof entries / sizeof entries[0])

static struct daemon daemon_;
static char hashes[N_ENTRIES][HASH_SIZE];

static void put(size_t i) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_key key = {.op = entries[i].op, .view = entries[i].view, .top_k = 256};
  struct fcache *cache;

  options.socket = daemon_.socket;
  options.name_space = entries[i].name_space;
  options.deadline_ms = 5000;
  key.prompt = fcache_hash(&i, sizeof i);
  for (size_t byte = 0; byte < 16; byte++)
    (void)snprintf(hashes[i] + 2 * byte, 3, "%02x", key.prompt.bytes[byte]);
  ck_assert_int_eq(fcache_open(&options, &cache, NULL), 0);
  ck_assert_int_eq(fcache_put(cache, &key, "value", 5, 1000000, 0), 0);
  fcache_close(cache);
}

static void start(void) {
  ctl_start_daemon(&daemon_);
  for (size_t i = 0; i < N_ENTRIES; i++)
    put(i);
}

#define END "(end)"

/* Returns the output of a command that succeeds on a terminal, or NULL without tmux. The caller
 * frees it. */
static char *on_terminal(unsigned columns, const char *const argv[]) {
  /* The shell stays: tmux may lose what was written just before the end of its process. */
  const char *words[8] = {"sh", "-c", "\"$0\" \"$@\" && echo '" END "'; read x"};
  struct screen screen;
  char *text;

  for (size_t i = 0; argv[i]; i++) {
    ck_assert_uint_lt(3 + i + 1, sizeof words / sizeof words[0]);
    words[3 + i] = argv[i];
  }
  if (!screen_start(&screen, columns, 100, words))
    return NULL;
  screen_wait(&screen, END);
  text = screen_text(&screen);
  *strstr(text, END) = '\0';
  screen_stop(&screen);
  return text;
}

/* Fails the test unless the text has `part`. */
static void has(const char *text, const char *part) {
  ck_assert_msg(strstr(text, part), "no \"%s\" in:\n%s", part, text);
}

/* Returns the number of lines, without that of dead regions, which other tests may make. */
static size_t lines(const char *text) {
  size_t n = 0;

  for (const char *at = text; *at; at++)
    n += *at == '\n';
  return n - (strstr(text, "\ndead regions ") != NULL);
}

static const unsigned widths[] = {80, 100, 132, 200};
#define N_WIDTHS (sizeof widths / sizeof widths[0])

/* A row is one line, with its op and view in full, and both ends of its namespace. */
START_TEST(list_shows_ops_and_views_at_each_width) {
  char *text;

  start();
  text = on_terminal(widths[_i], CTL("list"));
  for (size_t i = 0; text && i < N_ENTRIES; i++) {
    char end[16], hash[9];

    (void)snprintf(end, sizeof end, "%s ",
                   entries[i].name_space + strlen(entries[i].name_space) - 4);
    (void)snprintf(hash, sizeof hash, "%.6s", hashes[i]);
    has(text, entries[i].op);
    has(text, entries[i].view);
    has(text, end);
    has(text, hash);
  }
  if (text) {
    ck_assert_uint_ge(lines(text), 1 + N_ENTRIES);
    ck_assert_uint_le(lines(text), 2 + N_ENTRIES); /* an op below its row, at 80 columns */
    if (widths[_i] >= 200)
      has(text, SWAY);
  }
  free(text);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(list_of_one_namespace_has_it_above_the_rows) {
  char *text;

  start();
  ctl_expect_part(CTL("clear", "--namespace", LM_EVAL), "removed 2");
  ctl_expect_part(CTL("clear", "--namespace", "gpt2"), "removed 1");
  text = on_terminal(80, CTL("list"));
  if (text)
    has(text, "NAMESPACE:\n    dlm-sway:Qwen/Qwen2.5-0.5B-Instruct@7ae557604adf67be50417f59c2c2f167"
              "def9a775\n    :sha256\nOP ");
  free(text);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(namespaces_have_a_cut_name_in_full_below) {
  char *text;

  start();
  text = on_terminal(80, CTL("namespaces"));
  if (text) {
    has(text, "dlm-sway:Qwen/Qw");
    has(text, ":sha256 ");
    has(text, "\n    NAMESPACE dlm-sway:Qwen/Qwen2.5-0.5B-Instruct@7ae557604adf67be50417f59c2c2f1\n"
              "              67def9a775:sha256\n");
  }
  free(text);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

/* Nothing is cut in a pipe, nor on a terminal with --no-trunc, whose lines wrap. */
START_TEST(nothing_is_cut_in_a_pipe_or_with_no_trunc) {
  static const char *const commands[] = {"list", "namespaces", "stats", "list"};
  const char *command = commands[_i];
  bool in_pipe = _i < 3;
  char *text, *to;

  start();
  text = in_pipe ? ctl_printed(CTL(command)) : on_terminal(80, CTL(command, "--no-trunc"));
  if (text && !in_pipe) { /* joins the lines that the terminal wrapped */
    to = text;
    for (const char *at = text; *at; at++)
      if (*at != '\n')
        *to++ = *at;
    *to = '\0';
  }
  for (size_t i = 0; text && i < N_ENTRIES; i++) {
    has(text, entries[i].name_space);
    if (strcmp(command, "list") != 0)
      continue;
    has(text, entries[i].op);
    has(text, hashes[i]);
  }
  if (text)
    ck_assert_ptr_null(strstr(text, "\xe2\x80\xa6"));
  free(text);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

/* The other tables: each line fits. tmux would wrap a longer one. */
START_TEST(tables_fit_80_columns) {
  static const char *const commands[] = {"clients", "stats", "leases"};
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_key key = {.op = "rolling_logprob", .view = "scaled_1.00"};
  struct fcache_value value = {0};
  struct fcache *cache;
  char *piped, *text;

  start();
  options.socket = daemon_.socket;
  options.name_space = SWAY;
  options.deadline_ms = 5000;
  ck_assert_int_eq(fcache_open(&options, &cache, NULL), 0);
  ck_assert_int_eq(fcache_get(cache, &key, FCACHE_LEASE, &value), FCACHE_LEASED);
  piped = ctl_printed(CTL(commands[_i]));
  has(piped, SWAY);
  text = on_terminal(80, CTL(commands[_i]));
  if (text) {
    ck_assert_uint_eq(lines(text),
                      lines(piped) + (_i == 2 ? 3 : 0)); /* leases: the namespace above */
    has(text, _i == 2 ? "NAMESPACE:" : "dlm-");
  }
  free(piped);
  free(text);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_width");
  TCase *tests = tcase_create("ctl_width");

  tcase_set_timeout(tests, 60);
  tcase_add_loop_test(tests, list_shows_ops_and_views_at_each_width, 0, N_WIDTHS);
  tcase_add_test(tests, list_of_one_namespace_has_it_above_the_rows);
  tcase_add_test(tests, namespaces_have_a_cut_name_in_full_below);
  tcase_add_loop_test(tests, nothing_is_cut_in_a_pipe_or_with_no_trunc, 0, 4);
  tcase_add_loop_test(tests, tables_fit_80_columns, 0, 3);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
