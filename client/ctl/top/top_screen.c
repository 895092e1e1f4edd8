#include "client/ctl/top/top_screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <term.h>
#undef columns /* a macro of term.h */

#include "client/ctl/top/top_keys.h"

#define ESCAPE_MS 25     /* that the rest of a key's sequence may take */
#define FAILURES_MAX 100 /* reads without a key from a terminal that has input: it is gone */

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
#define N_ENDING (sizeof ending / sizeof ending[0])

static SCREEN *screen;
static sigset_t mask_before;
static struct sigaction actions_before[N_ENDING];
static volatile sig_atomic_t ended_by; /* the signal */

bool top_screen_is_possible(void) {
  bool can_move;
  int error;

  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
    return false;
  if (setupterm(NULL, STDOUT_FILENO, &error) != OK)
    return false;
  can_move = cursor_address != NULL && clear_screen != NULL;
  (void)del_curterm(cur_term); /* newterm makes its own */
  return can_move;
}

/* ---- signals ---- */

static void note(int signal) {
  ended_by = signal;
}

/* A signal that was ignored (nohup) stays ignored. ncurses leaves these handlers alone. */
static void block_signals(void) {
  struct sigaction action = {.sa_handler = note};
  sigset_t mask;

  (void)sigemptyset(&mask);
  (void)sigaddset(&mask, SIGWINCH);
  for (size_t i = 0; i < N_ENDING; i++) {
    (void)sigaddset(&mask, ending[i]);
    (void)sigaction(ending[i], NULL, &actions_before[i]); /* cannot fail for these signals */
    if (actions_before[i].sa_handler != SIG_IGN)
      (void)sigaction(ending[i], &action, NULL);
  }
  (void)sigprocmask(SIG_BLOCK, &mask, &mask_before);
}

static void restore_signals(void) {
  for (size_t i = 0; i < N_ENDING; i++)
    (void)sigaction(ending[i], &actions_before[i], NULL);
  (void)sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

int top_screen_signal(void) {
  return ended_by;
}

/* ---- open and close ---- */

bool top_screen_open(void) {
  block_signals();
  screen = newterm(NULL, stdout, stdin);
  if (!screen) {
    restore_signals();
    return false;
  }
  (void)set_escdelay(ESCAPE_MS);
  (void)cbreak(); /* these fail only without a screen */
  (void)noecho();
  (void)nonl(); /* Enter is '\r' */
  (void)keypad(stdscr, TRUE);
  (void)nodelay(stdscr, TRUE);
  (void)curs_set(0); /* fails on a terminal that cannot hide it */
  return true;
}

void top_screen_close(void) {
  if (!screen)
    return;
  (void)curs_set(1);
  (void)endwin();
  delscreen(screen);
  screen = NULL;
  restore_signals();
}

/* A stopped process gets no SIGWINCH, so the size is read each time. */
void top_screen_size(size_t *columns, size_t *rows) {
  struct winsize size;

  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0 &&
      is_term_resized(size.ws_row, size.ws_col)) {
    (void)resizeterm(size.ws_row, size.ws_col);
    (void)clearok(curscr, TRUE);
  }
  *columns = COLS > 0 ? (size_t)COLS : 0;
  *rows = LINES > 0 ? (size_t)LINES : 0;
}

/* ---- output ---- */

static attr_t attributes_of(enum top_line_kind kind) {
  return kind == TOP_LINE_HEADING ? A_REVERSE : kind == TOP_LINE_NOTICE ? A_BOLD : A_NORMAL;
}

void top_screen_show(const struct top_page *page) {
  (void)erase();
  for (size_t i = 0; i < page->n && i < (size_t)LINES; i++) {
    const struct top_line *line = &page->at[i];

    (void)attrset(attributes_of(line->kind));
    (void)mvaddstr((int)i, 0, line->text); /* fails in the last cell of the screen, written all the
                                              same. Below, too */
    if (line->kind == TOP_LINE_HEADING)
      (void)chgat(-1, A_REVERSE, 0, NULL);
  }
  (void)attrset(A_NORMAL);
  (void)refresh();
}

/* ---- input ---- */

static int key_of(wint_t code) {
  switch (code) {
  case KEY_UP:
    return TOP_KEY_UP;
  case KEY_DOWN:
    return TOP_KEY_DOWN;
  case KEY_PPAGE:
    return TOP_KEY_PAGE_UP;
  case KEY_NPAGE:
    return TOP_KEY_PAGE_DOWN;
  case KEY_HOME:
    return TOP_KEY_HOME;
  case KEY_END:
    return TOP_KEY_END;
  case KEY_BACKSPACE:
    return TOP_KEY_BACKSPACE;
  case KEY_BTAB:
    return TOP_KEY_BACK_TAB;
  case KEY_ENTER:
    return TOP_KEY_ENTER;
  default:
    return TOP_KEY_REDRAW; /* KEY_RESIZE, and keys without a meaning */
  }
}

enum input { INPUT_NONE, INPUT_READY, INPUT_GONE };

/* Waits until there is input, a signal, or the time is over. */
static enum input wait_for_input(uint64_t until_ns) {
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  struct timespec now, left = {0};
  uint64_t now_ns;

  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  if (until_ns > now_ns) {
    left.tv_sec = (time_t)((until_ns - now_ns) / 1000000000u);
    left.tv_nsec = (long)((until_ns - now_ns) % 1000000000u);
  }
  if (ppoll(&input, 1, &left, &mask_before) < 0)
    return errno == EINTR ? INPUT_NONE : INPUT_GONE;
  if ((input.revents & POLLIN) != 0)
    return INPUT_READY;
  return input.revents != 0 ? INPUT_GONE : INPUT_NONE;
}

int top_screen_key(uint64_t until_ns) {
  static unsigned failures; /* reads without a key, one after another */
  enum input input = INPUT_READY;
  wint_t code;
  int kind = get_wch(&code); /* ncurses may have read ahead */

  if (kind == ERR) {
    input = wait_for_input(until_ns);
    if (input == INPUT_GONE || ended_by != 0)
      return TOP_KEY_QUIT;
    kind = get_wch(&code);
  }
  failures = kind == ERR && input == INPUT_READY ? failures + 1 : 0;
  if (kind == ERR)
    return failures > FAILURES_MAX ? TOP_KEY_QUIT : TOP_KEY_NONE;
  if (kind == KEY_CODE_YES)
    return key_of(code);
  if (code == '\f') /* Ctrl-L */
    (void)clearok(curscr, TRUE);
  return code == '\r' ? TOP_KEY_ENTER : code == '\f' ? TOP_KEY_REDRAW : (int)code;
}
