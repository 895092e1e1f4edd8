/* The completion scripts of fcachectl and fcached, in bash and in zsh. */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/command_list.h"
#include "fcache.h"
#include "tests/support/ctl.h"
#include "tests/support/harness.h"
#include "tests/support/screen.h"

#define LONG_NAME "dlm-sway:Qwen/Qwen2.5@7ae55760:sha256"

static struct daemon daemon_;
static struct fcache *workers[2];

static struct fcache *work(const char *name_space, const char *op, const char *view) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_key key = {.op = op, .view = view};
  struct fcache *cache;

  options.socket = daemon_.socket;
  options.name_space = name_space;
  options.deadline_ms = 5000;
  ck_assert_int_eq(fcache_open(&options, &cache, NULL), 0);
  ck_assert_int_eq(fcache_put(cache, &key, "value", 5, 1000000, 0), 0);
  return cache;
}

/* Starts a daemon with two namespaces and a client in each, and puts the programs in PATH. */
static void start(void) {
  char path[4096], *program = strdup(harness_fcachectl());

  ctl_start_daemon(&daemon_);
  (void)snprintf(path, sizeof path, "%s:%s", dirname(program), getenv("PATH"));
  (void)setenv("PATH", path, 1);
  free(program);
  workers[0] = work("gpt2", "logprob_of", "base");
  workers[1] = work(LONG_NAME, "rolling_logprob", "ft");
  ck_assert_int_eq(chdir(daemon_.dir), 0);
  ck_assert_int_eq(
      harness_wait(harness_spawn((const char *const[]){"touch", "a-file", NULL}, -1, -1), 10000),
      0);
}

static void stop(void) {
  for (int i = 0; i < 2; i++)
    fcache_close(workers[i]);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}

/* ---- bash ---- */

/* A line, and what bash offers for its last word: exactly these, or with '+' these and others. Of a
 * word, bash replaces what is behind the last ':', '=' or '@'. */
static const struct {
  const char *line, *offers;
} lines[] = {
    {"fcachectl st", "stats"},
    {"fcachectl ", "+ stats list help completion run"},
    {"fcachectl --so", "--socket"},
    {"fcachectl -S /tmp/s na", "namespaces"},
    {"fcachectl --socket=/tmp/s na", "namespaces"},
    {"fcachectl list --", "+ --namespace --view --op --limit --json --no-trunc --socket --help"},
    {"fcachectl list --na", "--namespace"},
    {"fcachectl list -n g", "gpt2"},
    {"fcachectl list -n ", "gpt2 " LONG_NAME},
    {"fcachectl list --json --namespace g", "gpt2"},
    {"fcachectl list --namespace=g", "gpt2"},
    {"fcachectl list -n dlm-sway:Q", "Qwen/Qwen2.5@7ae55760:sha256"},
    {"fcachectl list -n dlm-sway:Qwen/Qwen2.5@", "7ae55760:sha256"},
    {"fcachectl list --namespace=dlm", LONG_NAME},
    {"fcachectl list --op ", "logprob_of rolling_logprob"},
    {"fcachectl list -n gpt2 --op ", "logprob_of"},
    {"fcachectl list --namespace=gpt2 -v ", "base"},
    {"fcachectl list --limit ", ""},
    {"fcachectl list ", ""},
    {"fcachectl export g", "gpt2"},
    {"fcachectl export gpt2 ", ""},
    {"fcachectl trace ", "on off status"},
    {"fcachectl trace on a-", "a-file"},
    {"fcachectl image a-", "a-file"},
    {"fcachectl set ", "max-bytes"},
    {"fcachectl completion ", "bash zsh"},
    {"fcachectl help lis", "list"},
    {"fcachectl help list ", ""},
    {"fcachectl run tru", "+ true"},
    {"fcachectl run -- tru", "+ true"},
    {"fcachectl run --trace a-", "a-file"},
    {"fcachectl run -- cat a-", "a-file"},
    {"fcachectl run cat --j", ""},
    {"fcachectl nonsense ", ""},
    {"fcached --max-b", "--max-bytes"},
    {"fcached --trace=a-", "a-file"},
    {"fcached --socket-group roo", "root"},
    {"fcached ", ""},
    {"fcachectl -S /nowhere list -n ", ""}, /* no daemon */
};

static const char bash_script[] =
    "set -eu; source <(fcachectl completion bash); source <(fcached --completion bash)\n"
    "COMP_WORDBREAKS=$' \\t\\n\"\\'@><=;|&(:' COMP_LINE=$1 COMP_POINT=${#1}; set +e\n"
    "_${1%% *} 2>/dev/null; printf '%s\\n' \"${COMPREPLY[@]-}\" | LC_ALL=C sort -u";

/* Returns whether a word is one of the lines of `offered`. */
static bool offers(const char *offered, const char *word, size_t size) {
  for (const char *at = strstr(offered, word); at; at = strstr(at + 1, word))
    if ((at == offered || at[-1] == '\n') && at[size] == '\n')
      return true;
  return false;
}

START_TEST(bash_offers) {
  const char *const argv[] = {"bash", "-c", bash_script, "bash", lines[_i].line, NULL};
  const char *want = lines[_i].offers;
  bool others = *want == '+', missing = false;
  size_t n = 0, n_offered = 0;
  char *offered, *words = strdup(want + (others ? 2 : 0)), *rest = words;

  start();
  offered = ctl_printed(argv);
  for (char *word; (word = strsep(&rest, " ")) != NULL;)
    if (*word) {
      missing |= !offers(offered, word, strlen(word));
      n++;
    }
  for (const char *at = offered; *at && *offered != '\n'; at++)
    n_offered += *at == '\n';
  if (missing || (!others && n != n_offered))
    ck_abort_msg("\"%s\" offers: %s, not: %s", lines[_i].line, offered, want);
  free(words);
  free(offered);
  stop();
}
END_TEST

/* The options that bash offers for a command are those of its help. */
START_TEST(bash_offers_the_options_of_each_help) {
  start();
  for (size_t i = 0; command_list[i]; i++) {
    const char *name = command_list[i]->name;
    char line[64], *help = ctl_printed(CTL(name, "--help")), *offered;
    const char *const argv[] = {"bash", "-c", bash_script, "bash", line, NULL};
    size_t n_help = 0, n_offered = 0;

    (void)snprintf(line, sizeof line, "fcachectl %s --", name);
    offered = ctl_printed(argv);
    for (const char *at = help; (at = strstr(at, "--")) != NULL; at += 2) {
      size_t size = 2 + strspn(at + 2, "abcdefghijklmnopqrstuvwxyz-");
      char option[64];
      bool defined = at - help > 6 && (memcmp(at - 6, "      ", 6) == 0 || at[-2] == ',');

      if (!defined || size == 2 || size >= sizeof option)
        continue; /* in a text */
      (void)snprintf(option, sizeof option, "%.*s", (int)size, at);
      ck_assert_msg(offers(offered, option, size), "%s: %s is not in %s", name, option, offered);
      n_help++;
    }
    for (const char *at = offered; *at; at++)
      n_offered += *at == '\n';
    ck_assert_msg(n_help == n_offered, "%s: %zu options in the help, but: %s", name, n_help,
                  offered);
    free(help);
    free(offered);
  }
  stop();
}
END_TEST

/* ---- a person at a terminal ---- */

static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "w");

  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(text, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

static bool has_zsh(void) {
  return harness_run((const char *const[]){"sh", "-c", "command -v zsh", NULL}, NULL, NULL) == 0;
}

/* Lines, and what is on the screen after the tabulator. */
static const struct {
  const char *line, *shows;
} typed[] = {
    {"fcachectl namesp", "fcachectl namespaces"},
    {"fcachectl list -n dlm", "-n " LONG_NAME},
    {"fcachectl list -n gpt2 --op ", "--op logprob_of"},
    {"fcachectl list --namespace=dlm-sway:Q", "--namespace=" LONG_NAME},
    {"fcachectl export g", "export gpt2"},
    {"fcachectl trace on a-f", "on a-file"},
    {"fcachectl run -- cat a-f", "cat a-file"},
    {"fcachectl help namesp", "help namespaces"},
    {"fcached --max-by", "fcached --max-bytes"},
};

static void type_lines(const char *const argv[]) {
  struct screen screen;

  if (!screen_start(&screen, 120, 24, argv))
    return;
  for (size_t i = 0; i < sizeof typed / sizeof typed[0]; i++) {
    screen_wait(&screen, "ready>");
    screen_type(&screen, typed[i].line);
    screen_keys(&screen, "Tab");
    screen_wait(&screen, typed[i].shows);
    screen_keys(&screen, "C-u C-l"); /* an empty line on an empty screen */
    screen_wait_without(&screen, typed[i].shows);
  }
  screen_stop(&screen);
}

START_TEST(bash_completes_at_a_terminal) {
  start();
  write_file("rc",
             "PS1='ready> '\nbind 'set bell-style none'\nsource <(fcachectl completion bash)\n"
             "source <(fcached --completion bash)\n");
  type_lines((const char *const[]){"bash", "--noprofile", "--rcfile", "rc", "-i", NULL});
  stop();
}
END_TEST

/* As a sourced script, and as a function that zsh loads. */
START_TEST(zsh_completes_at_a_terminal) {
  char rc[512];

  if (!has_zsh()) {
    printf("skipped: zsh is missing\n");
    return;
  }
  start();
  (void)setenv("ZDOTDIR", daemon_.dir, 1);
  (void)snprintf(
      rc, sizeof rc, "PS1='ready> '\nunsetopt beep\nfpath=($ZDOTDIR $fpath)\n%s%s%s",
      _i == 1 ? "fcachectl completion zsh >$ZDOTDIR/_fcachectl\n"
                "fcached --completion zsh >$ZDOTDIR/_fcached\n"
              : "",
      "autoload -Uz compinit; compinit -D -u\n",
      _i == 0 ? "source <(fcachectl completion zsh)\nsource <(fcached --completion zsh)\n" : "");
  write_file(".zshrc", rc);
  type_lines((const char *const[]){"zsh", "-d", "-i", NULL});
  stop();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_completion");
  TCase *tests = tcase_create("ctl_completion");

  tcase_set_timeout(tests, 120);
  tcase_add_loop_test(tests, bash_offers, 0, sizeof lines / sizeof lines[0]);
  tcase_add_test(tests, bash_offers_the_options_of_each_help);
  tcase_add_test(tests, bash_completes_at_a_terminal);
  tcase_add_loop_test(tests, zsh_completes_at_a_terminal, 0, 2);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
