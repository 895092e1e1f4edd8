#include "client/ctl/top/top_keys.h"

#include <limits.h>
#include <string.h>
#include <wchar.h>

#include "proto/utf8.h"

void top_keys_clamp(struct top_ui *ui, size_t table_rows) {
  size_t n = ui->model.n_shown, most = n > table_rows ? n - table_rows : 0;

  if (ui->first > most)
    ui->first = most;
}

/* ---- the filter ---- */

static void append(char filter[TOP_FILTER_SIZE], int key) {
  char bytes[MB_LEN_MAX];
  size_t used = strlen(filter), size;
  mbstate_t state = {0};

  if (key < ' ' || !fc_utf8_fits_line((uint32_t)key))
    return;
  size = wcrtomb(bytes, (wchar_t)key, &state);
  if (size == (size_t)-1 || used + size >= TOP_FILTER_SIZE)
    return;
  memcpy(filter + used, bytes, size);
  filter[used + size] = '\0';
}

static void remove_last(char filter[TOP_FILTER_SIZE]) {
  size_t used = strlen(filter);

  while (used > 0 && ((unsigned char)filter[used - 1] & 0xc0) == 0x80)
    used--;
  filter[used > 0 ? used - 1 : 0] = '\0';
}

static void type(struct top_ui *ui, int key) {
  char *filter = ui->model.options.filter;

  if (key == TOP_KEY_ENTER || key == '\r') {
    ui->typing = false;
  } else if (key == TOP_KEY_ESCAPE) {
    ui->typing = false;
    filter[0] = '\0';
  } else if (key == TOP_KEY_BACKSPACE || key == 0x7f || key == '\b') {
    remove_last(filter);
  } else if (key < TOP_KEY_UP) {
    append(filter, key);
  }
  ui->first = 0;
}

/* ---- the table ---- */

static void show(struct top_ui *ui, enum top_by by) {
  ui->model.options.by = by;
  ui->first = 0;
}

/* Moves to the next column that the grouping has. */
static void move_sort(struct top_options *options, int step) {
  int last = options->by == TOP_NAMESPACE ? TOP_STORED : TOP_PUT;
  int column = (int)options->sort + step;

  options->sort = (enum top_column)(column < 0 ? last : column > last ? 0 : column);
}

static void scroll(struct top_ui *ui, int key, size_t table_rows) {
  size_t page = table_rows > 1 ? table_rows - 1 : 1;

  switch (key) {
  case TOP_KEY_UP:
    ui->first -= ui->first > 0;
    break;
  case TOP_KEY_DOWN:
    ui->first++;
    break;
  case TOP_KEY_PAGE_UP:
    ui->first -= ui->first > page ? page : ui->first;
    break;
  case TOP_KEY_PAGE_DOWN:
    ui->first += page;
    break;
  case TOP_KEY_HOME:
    ui->first = 0;
    break;
  case TOP_KEY_END:
    ui->first = ui->model.n_shown;
    break;
  default:
    break;
  }
}

static void press(struct top_ui *ui, int key) {
  struct top_options *options = &ui->model.options;

  switch (key) {
  case 'n':
    show(ui, TOP_NAMESPACE);
    break;
  case 'o':
    show(ui, TOP_OP);
    break;
  case 'v':
    show(ui, TOP_VIEW);
    break;
  case 'c':
    show(ui, TOP_CLIENT);
    break;
  case 'p':
    show(ui, TOP_PROBE);
    break;
  case TOP_KEY_TAB:
    show(ui, (enum top_by)((options->by + 1) % TOP_BYS));
    break;
  case TOP_KEY_BACK_TAB:
    show(ui, (enum top_by)((options->by + TOP_BYS - 1) % TOP_BYS));
    break;
  case '<':
    move_sort(options, -1);
    break;
  case '>':
    move_sort(options, 1);
    break;
  case 'r':
    options->reversed = !options->reversed;
    break;
  case 't':
    options->totals = !options->totals;
    break;
  case '/':
    ui->typing = true;
    break;
  case TOP_KEY_ESCAPE:
    options->filter[0] = '\0';
    break;
  case ' ':
    ui->paused = !ui->paused;
    break;
  case 'h':
  case '?':
    ui->help = true;
    break;
  case 'q':
    ui->quit = true;
    break;
  default:
    break;
  }
}

bool top_keys_press(struct top_ui *ui, int key, size_t table_rows) {
  bool is_idle = key == TOP_KEY_NONE || key == TOP_KEY_REDRAW || key == TOP_KEY_QUIT;
  bool arranged;

  if (key == TOP_KEY_QUIT)
    ui->quit = true;
  else if (!is_idle && ui->help)
    ui->help = false;
  else if (!is_idle && ui->typing)
    type(ui, key);
  else if (!is_idle)
    press(ui, key);
  if (!ui->help && !ui->typing)
    scroll(ui, key, table_rows);
  arranged = is_idle || top_model_arrange(&ui->model); /* the key may have changed the order */
  top_keys_clamp(ui, table_rows);
  return arranged;
}
