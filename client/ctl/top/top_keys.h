/* top_keys.h - the state of fcachectl top, and the effect of each key. Knows no terminal. */
#ifndef FC_CTL_TOP_KEYS_H
#define FC_CTL_TOP_KEYS_H

#include "client/ctl/top/top_model.h"

/* Keys: the character's code (Unicode), or one of these. */
enum top_key {
  TOP_KEY_NONE = -1, /* the time is over */
  TOP_KEY_TAB = '\t',
  TOP_KEY_ENTER = '\n',
  TOP_KEY_ESCAPE = 0x1b,
  TOP_KEY_UP = 0x110000, /* above all characters */
  TOP_KEY_DOWN,
  TOP_KEY_PAGE_UP,
  TOP_KEY_PAGE_DOWN,
  TOP_KEY_HOME,
  TOP_KEY_END,
  TOP_KEY_BACKSPACE,
  TOP_KEY_BACK_TAB,
  TOP_KEY_REDRAW, /* the size changed, or the process went on after a stop */
  TOP_KEY_QUIT,   /* a signal, or the terminal is gone */
};

struct top_ui {
  struct top_model model;
  size_t first; /* the row on top */
  bool paused, help, typing, quit;
};

/* Changes the state as the key says. `table_rows` is the number of rows that fit the screen.
 * Returns false if out of memory. */
bool top_keys_press(struct top_ui *ui, int key, size_t table_rows);

/* Moves ui->first so that the screen is full, if there are enough rows. */
void top_keys_clamp(struct top_ui *ui, size_t table_rows);

#endif
