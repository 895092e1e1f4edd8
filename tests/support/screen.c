#include "tests/support/screen.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/screen_mask.h"

#define ARGS_MAX 40
#define WAIT_MS 20000
#define STATUS_MS 2000
#define KEPT "tests/system/ctl/screens"

/* No keys of tmux, no status row, and a screen that stays when its command has ended. */
static const char settings[] = "set -g default-terminal tmux-256color\n"
                               "set -g default-shell /bin/sh\n"
                               "set -g status off\n"
                               "set -g prefix None\n"
                               "set -g escape-time 0\n"
                               "set -g remain-on-exit on\n"
                               "set -g remain-on-exit-format ''\n";

/* ---- tmux ---- */

/* Runs a command of tmux, `words` and then `rest` (NULL: none), both ended by NULL. Returns its
 * status. *out, unless NULL, is the caller's. */
static int run(const struct screen *screen, const char *const words[], const char *const rest[],
               char **out) {
  const char *argv[ARGS_MAX] = {"tmux", "-u", "-S", screen->socket};
  size_t n = 4;

  for (; *words; words++)
    argv[n++] = *words;
  for (; rest && *rest; rest++) {
    ck_assert_uint_lt(n, ARGS_MAX - 1);
    argv[n++] = *rest;
  }
  argv[n] = NULL;
  return harness_run(argv, out, NULL);
}

#define TMUX(screen, out, ...)                                                                     \
  ck_assert_int_eq(run(screen, (const char *const[]){__VA_ARGS__, NULL}, NULL, out), 0)

/* Returns the value of a format such as "#{pane_pid}", or -1 if it is empty. */
static long value_of(const struct screen *screen, const char *format) {
  char *text;
  long value;

  TMUX(screen, &text, "display-message", "-p", format);
  value = *text == '\n' || *text == '\0' ? -1 : strtol(text, NULL, 10);
  free(text);
  return value;
}

static bool is_serving(void *arg) {
  const struct screen *screen = arg;

  return harness_exists(screen->socket) &&
         run(screen, (const char *const[]){"show-options", "-g", NULL}, NULL, NULL) == 0;
}

static void start_server(struct screen *screen) {
  char dir[HARNESS_PATH_SIZE], conf[HARNESS_PATH_SIZE + 8];
  const char *const argv[] = {"tmux", "-u", "-S", screen->socket, "-f", conf, "-D", NULL};
  FILE *file;

  harness_make_dir(dir);
  (void)snprintf(screen->socket, sizeof screen->socket, "%.90s/tmux", dir);
  (void)snprintf(conf, sizeof conf, "%s/conf", dir);
  file = fopen(conf, "we");
  ck_assert_ptr_nonnull(file);
  (void)fputs(settings, file);
  ck_assert_int_eq(fclose(file), 0);
  (void)unsetenv("TMUX"); /* of a developer's terminal */
  (void)setenv("LC_ALL", "C.UTF-8", 1);
  screen->server = harness_spawn(argv, -1, -1);
  ck_assert_msg(harness_wait_until(is_serving, screen, WAIT_MS), "tmux does not serve on %s",
                screen->socket);
}

static bool has_tmux(void) {
  char *out, *err;
  bool has = harness_run((const char *const[]){"tmux", "-V", NULL}, &out, &err) == 0;

  free(out);
  free(err);
  if (!has)
    printf("skipped: tmux is missing\n");
  return has;
}

bool screen_start(struct screen *screen, unsigned columns, unsigned rows,
                  const char *const argv[]) {
  char x[16], y[16];
  const char *const words[] = {"new-session", "-d", "-x", x, "-y", y, "--", NULL};

  *screen = (struct screen){0};
  if (!has_tmux())
    return false;
  (void)snprintf(x, sizeof x, "%u", columns);
  (void)snprintf(y, sizeof y, "%u", rows);
  start_server(screen);
  ck_assert_int_eq(run(screen, words, argv, NULL), 0);
  return true;
}

void screen_stop(struct screen *screen) {
  if (screen->server == 0)
    return;
  (void)kill(screen->server, SIGTERM);
  (void)harness_wait(screen->server, WAIT_MS);
  screen->server = 0;
}

/* ---- keys and size ---- */

void screen_keys(const struct screen *screen, const char *keys) {
  char *copy = strdup(keys), *rest = copy, *key;

  ck_assert_ptr_nonnull(copy);
  while ((key = strsep(&rest, " ")) != NULL)
    TMUX(screen, NULL, "send-keys", "--", key);
  free(copy);
}

void screen_type(const struct screen *screen, const char *text) {
  TMUX(screen, NULL, "send-keys", "-l", "--", text);
}

void screen_resize(const struct screen *screen, unsigned columns, unsigned rows) {
  char x[16], y[16];

  (void)snprintf(x, sizeof x, "%u", columns);
  (void)snprintf(y, sizeof y, "%u", rows);
  TMUX(screen, NULL, "resize-window", "-x", x, "-y", y);
}

/* ---- what it shows ---- */

char *screen_text(const struct screen *screen) {
  char *text;
  size_t size;

  TMUX(screen, &text, "capture-pane", "-p");
  for (size = strlen(text); size > 1 && text[size - 1] == '\n' && text[size - 2] == '\n'; size--)
    text[size - 1] = '\0';
  return text;
}

struct expectation {
  const struct screen *screen;
  const char *part, *kept; /* one of them */
  bool without;
  char *text; /* the latest, owned */
};

static bool is_met(void *arg) {
  struct expectation *wanted = arg;

  free(wanted->text);
  wanted->text = screen_text(wanted->screen);
  if (wanted->kept)
    return screen_mask_matches(wanted->kept, wanted->text);
  return (strstr(wanted->text, wanted->part) != NULL) != wanted->without;
}

static void wait_for(struct expectation *wanted) {
  if (!harness_wait_until(is_met, wanted, WAIT_MS))
    ck_abort_msg("%s \"%s\", but the screen is:\n%s", wanted->without ? "not expected" : "expected",
                 wanted->part, wanted->text);
  free(wanted->text);
}

void screen_wait(const struct screen *screen, const char *part) {
  struct expectation wanted = {.screen = screen, .part = part};

  wait_for(&wanted);
}

void screen_wait_without(const struct screen *screen, const char *part) {
  struct expectation wanted = {.screen = screen, .part = part, .without = true};

  wait_for(&wanted);
}

static void write_kept(const char *path, const char *kept, const char *text) {
  char *now = screen_mask_update(kept, text);
  FILE *file = fopen(path, "we");

  ck_assert_ptr_nonnull(now);
  ck_assert_ptr_nonnull(file);
  (void)fputs(now, file);
  ck_assert_int_eq(fclose(file), 0);
  free(now);
}

void screen_expect(const struct screen *screen, const char *name) {
  char path[256];
  struct expectation wanted = {.screen = screen};
  bool writes = getenv("FC_WRITE_SCREENS") != NULL;
  char *kept;

  (void)snprintf(path, sizeof path, KEPT "/%s.txt", name);
  kept = harness_read_file(path, NULL);
  wanted.kept = kept ? kept : "";
  if (!harness_wait_until(is_met, &wanted, writes ? WAIT_MS / 10 : WAIT_MS)) {
    if (!writes)
      ck_abort_msg("%s is not the screen.\n--- kept:\n%s--- screen:\n%s", path, wanted.kept,
                   wanted.text);
    write_kept(path, kept, wanted.text);
  }
  free(wanted.text);
  free(kept);
}

/* ---- the command ---- */

static bool has_ended(void *arg) {
  const struct screen *screen = arg;

  return value_of(screen, "#{pane_dead}") == 1;
}

/* tmux may see the end of the terminal before it knows the status. */
static bool has_status(void *arg) {
  const struct screen *screen = arg;

  return value_of(screen, "#{pane_dead_status}#{pane_dead_signal}") >= 0;
}

void screen_expect_status(const struct screen *screen, int status) {
  if (!harness_wait_until(has_ended, (void *)(uintptr_t)screen, WAIT_MS))
    ck_abort_msg("the command does not end; the screen is:\n%s", screen_text(screen));
  if (!harness_wait_until(has_status, (void *)(uintptr_t)screen, STATUS_MS)) {
    printf("tmux did not learn the exit status, which should be %d\n", status);
    return;
  }
  long signal = value_of(screen, "#{pane_dead_signal}");
  ck_assert_int_eq(signal > 0 ? 128 + signal : value_of(screen, "#{pane_dead_status}"), status);
}

static bool is_restored(void *arg) {
  const struct screen *screen = arg;

  return value_of(screen, "#{alternate_on}") == 0 &&
         (value_of(screen, "#{pane_dead}") == 1 || value_of(screen, "#{cursor_flag}") == 1);
}

void screen_wait_restored(const struct screen *screen) {
  if (!harness_wait_until(is_restored, (void *)(uintptr_t)screen, WAIT_MS))
    ck_abort_msg("the terminal is not restored; the screen is:\n%s", screen_text(screen));
}

pid_t screen_pid(const struct screen *screen) {
  return (pid_t)value_of(screen, "#{pane_pid}");
}
