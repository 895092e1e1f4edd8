/* screen.h - runs a command in a terminal (tmux), presses keys, and compares the screen with a kept
 * text. Each screen has a tmux server of its own, which ends with the process of the test.
 *
 * Each function waits for its condition with a bound, after which the test fails. A screen is text:
 * rows without the spaces at their ends, and without empty rows at the end, each with a newline.
 *
 *   struct screen screen;
 *   if (!screen_start(&screen, 80, 24, CTL("top")))
 *     return; // tmux is missing: it has printed "skipped: ..."
 *   screen_expect(&screen, "top_by_op");
 *   screen_keys(&screen, "q");
 *   screen_expect_status(&screen, 0);
 *   screen_stop(&screen); */
#ifndef FC_TESTS_SCREEN_H
#define FC_TESTS_SCREEN_H

#include <stdbool.h>

#include "tests/support/harness.h"

struct screen {
  pid_t server; /* 0: none */
  char socket[HARNESS_PATH_SIZE];
};

/* Runs the command, whose argv ends with NULL, in a terminal of that size. It has the environment
 * of the test, TERM=tmux-256color and a UTF-8 locale. Returns false, after a line for the log, if
 * there is no tmux. */
bool screen_start(struct screen *screen, unsigned columns, unsigned rows, const char *const argv[]);

/* Ends the terminal, and the command with SIGHUP. Idempotent. */
void screen_stop(struct screen *screen);

/* Presses keys by tmux's names ("q", "Enter", "Up", "C-z"), one or several with spaces between. */
void screen_keys(const struct screen *screen, const char *keys);

/* Types a text as it is. */
void screen_type(const struct screen *screen, const char *text);

/* Changes the size of the terminal, of which its programs get SIGWINCH. */
void screen_resize(const struct screen *screen, unsigned columns, unsigned rows);

/* Returns the screen now. The caller frees it. */
__attribute__((warn_unused_result)) char *screen_text(const struct screen *screen);

/* Waits until the screen contains `part`, or does not contain it any more. */
void screen_wait(const struct screen *screen, const char *part);
void screen_wait_without(const struct screen *screen, const char *part);

/* Waits until the screen is like tests/system/ctl/screens/NAME.txt (see screen_mask.h), and fails
 * the test with both texts if it does not become so. With FC_WRITE_SCREENS=1 in the environment it
 * writes the rows that differ to the file instead: look at them, and mask what varies. */
void screen_expect(const struct screen *screen, const char *name);

/* Waits for the end of the command, and checks its exit status, or 128 + signal. On a busy machine
 * tmux sometimes does not learn the status: then a line for the log says that it is not checked. */
void screen_expect_status(const struct screen *screen, int status);

/* Waits until no program has the terminal: its own screen is back, and its cursor, which
 * tmux hides after the end of the command. */
void screen_wait_restored(const struct screen *screen);

/* Returns the pid of the command. */
pid_t screen_pid(const struct screen *screen);

#endif
