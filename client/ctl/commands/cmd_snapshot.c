/* fcachectl snapshot */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client/ctl/command.h"
#include "client/ctl/print/json_value.h"
#include "client/ctl/print/text.h"
#include "client/ctl/print/units.h"
#include "client/ctl/report.h"

#define KEY_WAIT 256
#define KEY_NO_WAIT 257
#define PAUSE_MIN_NS 2000000u /* between two queries; doubles up to PAUSE_MAX_NS */
#define PAUSE_MAX_NS 200000000u

static struct { bool no_wait, json; } args;

static const struct argp_option options[] = {
    {"wait", KEY_WAIT, NULL, 0, "Wait until the snapshot is written (the default)", 0},
    {"no-wait", KEY_NO_WAIT, NULL, 0, "Only begin it", 0},
    {"json", 'j', NULL, 0, "A JSON object", 0},
    {0}};

/* NOLINTNEXTLINE(readability-non-const-parameter): argp's type */
static error_t parse(int key, char *arg, struct argp_state *state) {
  (void)arg, (void)state;
  switch (key) {
  case KEY_WAIT:
  case KEY_NO_WAIT:
    args.no_wait = key == KEY_NO_WAIT;
    return 0;
  case 'j':
    args.json = true;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Queries the state until the snapshot has ended. */
static int await(struct admin *admin, uint64_t number, struct admin_snapshot *state) {
  struct timespec pause = {.tv_nsec = PAUSE_MIN_NS};
  int status = CTL_DONE;

  while (status == CTL_DONE && state->ended < number) {
    (void)nanosleep(&pause, NULL); /* if interrupted: an early query */
    if (pause.tv_nsec < PAUSE_MAX_NS)
      pause.tv_nsec *= 2;
    status = report_result(admin, admin_snapshot(admin, FC_SNAPSHOT_STATUS, state));
  }
  return status;
}

static int print_json(const struct admin_snapshot *state, bool joined, bool finished) {
  json_t *object =
      json_pack("{s:s, s:b, s:b}", "path", state->path, "joined", joined, "finished", finished);
  int failed = 0;

  if (finished) {
    failed |= json_object_set_new(object, "entries", json_value_count(state->entries));
    failed |= json_object_set_new(object, "bytes", json_value_count(state->bytes));
    failed |= json_object_set_new(object, "duration_s", json_value_seconds(state->duration_ns));
  }
  if (failed) {
    json_decref(object);
    object = NULL;
  }
  if (!json_value_print(stdout, object, 0))
    return report_error("out of memory");
  (void)putchar('\n'); /* main checks the stream at the end */
  return CTL_DONE;
}

static void print_text(const struct admin_snapshot *state, bool joined, bool finished) {
  char path[ADMIN_PATH_SIZE], count[UNITS_SIZE], bytes[UNITS_SIZE], seconds[UNITS_SIZE];

  (void)text_clean(path, sizeof path, state->path);
  if (finished)
    (void)printf("wrote %s %s, %s, in %s: %s\n", units_count(state->entries, count),
                 state->entries == 1 ? "entry" : "entries", units_bytes(state->bytes, bytes),
                 units_ns(state->duration_ns, seconds), path);
  else
    (void)printf("%s: %s\n", joined ? "a snapshot is being written already" : "snapshot begun",
                 path);
  if (finished && joined)
    (void)puts("fcached had begun it before: entries stored since then may not be in it");
}

static int run(struct admin *admin) {
  struct admin_snapshot state = {0};
  int status = report_result(admin, admin_snapshot(admin, FC_SNAPSHOT_START, &state));
  uint64_t number = state.running > 0 ? state.running : state.ended;
  bool joined = !state.started;

  if (status == CTL_DONE && !args.no_wait)
    status = await(admin, number, &state);
  if (status != CTL_DONE)
    return status;
  if (!args.no_wait && state.error[0])
    return report_error("the snapshot failed: %s", state.error);
  if (args.json)
    return print_json(&state, joined, !args.no_wait);
  print_text(&state, joined, !args.no_wait);
  return CTL_DONE;
}

const struct command snapshot_command = {
    .name = "snapshot",
    .summary = "write all entries to the state folder",
    .purpose = COMMAND_DATA,
    .doc = "Write a snapshot of all entries to the state folder of fcached (its option --state), "
           "and wait until it is complete. The next start of fcached restores it. Joins a snapshot "
           "that is being written already. Allowed for fcached's own user, root and the admin "
           "group."
           "\v"
           "Example:\n"
           "  fcachectl snapshot",
    .options = options,
    .parse = parse,
    .run = run};
