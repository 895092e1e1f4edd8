/* top_screen.h - the terminal of fcachectl top, by ncurses. There is one.
 *
 * Between open and close, SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGWINCH are blocked except in
 * top_screen_key. A stop (Ctrl-Z) restores the terminal until the process goes on. */
#ifndef FC_CTL_TOP_SCREEN_H
#define FC_CTL_TOP_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/ctl/top/top_page.h"

/* Returns whether stdin and stdout are a terminal on which a cursor can be moved. */
bool top_screen_is_possible(void);

/* Takes the terminal over. Returns false if that fails. Then nothing has changed. */
bool top_screen_open(void);

/* Restores the terminal and the signals. Idempotent. */
void top_screen_close(void);

void top_screen_size(size_t *columns, size_t *rows);

/* Replaces the screen by the page. */
void top_screen_show(const struct top_page *page);

/* Waits for a key until that time (CLOCK_MONOTONIC). Returns an enum top_key or a character. */
int top_screen_key(uint64_t until_ns);

/* Returns the signal that ends the program, or 0. */
int top_screen_signal(void);

#endif
