#include "client/ctl/top/top_run.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "client/ctl/report.h"
#include "client/ctl/top/top_batch.h"
#include "client/ctl/top/top_fetch.h"
#include "client/ctl/top/top_keys.h"
#include "client/ctl/top/top_screen.h"
#include "proto/errors.h"

#define SECOND_NS 1000000000.0
#define FIRST_NS 300000000u /* to the second reading, so that rates are there soon */
#define RETRY_NS 500000000u /* between two attempts to connect */
#define NOTICE_SIZE 1024u
#define NO_MEMORY "out of memory"

/* One program that shows readings. */
struct top {
  struct admin *admin;
  const struct top_settings *settings;
  struct top_ui ui;
  bool is_up;               /* the last reading was complete */
  char notice[NOTICE_SIZE]; /* why there is none, if not, or why the program ends */
  unsigned long n;          /* readings shown */
  uint64_t next_ns;         /* time of the next one */
};

static uint64_t now_ns(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- readings ---- */

/* Connects again if the daemon has gone. Another daemon counts from 0 on. */
static int connect_again(struct top *top) {
  int rc = top->is_up ? 0 : admin_reconnect(top->admin);

  if (!top->is_up && rc == 0)
    top_model_restart(&top->ui.model);
  return rc;
}

static void note_failure(struct top *top, int rc) {
  if (rc == FC_EUNAVAILABLE)
    (void)snprintf(top->notice, sizeof top->notice, "no daemon at %s, waiting",
                   admin_socket(top->admin));
  else
    (void)snprintf(top->notice, sizeof top->notice, "%s; waiting", admin_error(top->admin));
  top->is_up = false;
}

/* Ends the program. The error is printed when the terminal is restored, which clears the screen. */
static int fail(struct top *top, const char *why) {
  (void)snprintf(top->notice, sizeof top->notice, "%s", why);
  return CTL_FAILED;
}

/* Reads once. Returns CTL_DONE also if no daemon answers, which sets the notice. */
static int read_once(struct top *top) {
  struct top_reading reading;
  int rc = connect_again(top);

  top_reading_init(&reading);
  if (rc == 0)
    rc = top_fetch(top->admin, top->settings->name_space, &reading);
  if (rc == 0) {
    top->is_up = true;
    return top_model_read(&top->ui.model, &reading) ? CTL_DONE : fail(top, NO_MEMORY);
  }
  top_reading_deinit(&reading);
  if (rc == FC_EVERSION || rc == FC_ENOMEM || rc == FC_EDENIED)
    return fail(top, *admin_error(top->admin) ? admin_error(top->admin) : fc_error_text(rc));
  note_failure(top, rc);
  return CTL_DONE;
}

/* Sets the time of the next reading. */
static void plan_next(struct top *top) {
  double pause_ns = top->settings->pause_s * SECOND_NS;
  double first_ns = pause_ns < FIRST_NS ? pause_ns : FIRST_NS;
  bool needs_second = top->is_up && !top->ui.model.has_before;

  top->next_ns = now_ns() + (uint64_t)(!top->is_up ? RETRY_NS : needs_second ? first_ns : pause_ns);
}

static bool is_done(const struct top *top) {
  return top->settings->count > 0 && top->n >= top->settings->count;
}

static struct top_view view_of(const struct top *top, bool keys) {
  return (struct top_view){.model = &top->ui.model,
                           .notice = top->is_up ? NULL : top->notice,
                           .pause_s = top->settings->pause_s,
                           .first = top->ui.first,
                           .paused = top->ui.paused,
                           .help = top->ui.help,
                           .typing = top->ui.typing,
                           .keys = keys};
}

/* ---- on a terminal ---- */

static bool draw(struct top *top) {
  struct top_view view;
  struct top_page page;
  size_t columns, rows;
  bool complete;

  top_screen_size(&columns, &rows);
  top_keys_clamp(&top->ui, top_page_table_rows(rows));
  view = view_of(top, true);
  top_page_init(&page);
  top_page_make(&page, &view, columns, rows);
  top_screen_show(&page);
  complete = !page.failed;
  top_page_deinit(&page);
  return complete;
}

static int refresh_if_due(struct top *top) {
  int status;

  if (top->ui.paused || now_ns() < top->next_ns)
    return CTL_DONE;
  status = read_once(top);
  top->n += top->is_up && top->ui.model.has_before;
  plan_next(top);
  return status;
}

static int loop_on_screen(struct top *top) {
  int status = CTL_DONE;

  while (status == CTL_DONE && !top->ui.quit) {
    size_t columns, rows;

    status = refresh_if_due(top);
    if (status != CTL_DONE)
      break;
    if (!draw(top))
      return fail(top, NO_MEMORY);
    if (is_done(top))
      break;
    top_screen_size(&columns, &rows);
    if (!top_keys_press(&top->ui, top_screen_key(top->ui.paused ? UINT64_MAX : top->next_ns),
                        top_page_table_rows(rows)))
      return fail(top, NO_MEMORY);
  }
  return status;
}

/* ---- batch ---- */

static void sleep_until(uint64_t until_ns) {
  struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
                           .tv_nsec = (long)(until_ns % 1000000000u)};

  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
    ; /* interrupted by a stop */
}

static int print(struct top *top) {
  struct top_view view = view_of(top, false);
  time_t now = time(NULL);
  bool complete = top->settings->json ? top_batch_print_json(stdout, &top->ui.model, now)
                                      : top_batch_print_text(stdout, &view, now);

  if (!complete)
    return fail(top, NO_MEMORY);
  top->n++;
  return fflush(stdout) == 0 ? CTL_DONE : fail(top, ""); /* main reports it */
}

/* A rate needs two readings. Without a daemon, one line on stderr says so. */
static int loop_in_batch(struct top *top) {
  int status = CTL_DONE;

  while (status == CTL_DONE && !is_done(top)) {
    bool was_up = top->is_up;

    status = read_once(top);
    if (status == CTL_DONE && !top->is_up && was_up)
      (void)report_error("%s", top->notice);
    if (status == CTL_DONE && top->is_up &&
        (top->ui.model.has_before || top->ui.model.options.totals))
      status = print(top);
    plan_next(top);
    if (status == CTL_DONE && !is_done(top))
      sleep_until(top->next_ns);
  }
  return status;
}

int top_run(struct admin *admin, const struct top_settings *settings) {
  struct top top = {.admin = admin, .settings = settings, .is_up = true};
  bool batch = settings->batch || settings->json || !top_screen_is_possible() || !top_screen_open();
  int status, ended_by;

  top_model_init(&top.ui.model, &settings->options);
  status = batch ? loop_in_batch(&top) : loop_on_screen(&top);
  top_screen_close();
  top_model_deinit(&top.ui.model);
  if (status != CTL_DONE && top.notice[0] != '\0')
    (void)report_error("%s", top.notice);
  ended_by = batch ? 0 : top_screen_signal();
  if (ended_by != 0)
    (void)raise(ended_by); /* if it is not handled, this ends the process */
  return status;
}
