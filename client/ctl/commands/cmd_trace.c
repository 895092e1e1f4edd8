/* fcachectl trace */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/ctl.h"
#include "client/ctl/print/render.h"

struct args {
  struct ctl *ctl; /* first: see CTL_PARSE */
  enum fc_trace_action action;
  const char *file;
  unsigned words;
};

static void parse_word(struct args *args, const char *word, struct argp_state *state) {
  if (args->words == 0 && strcmp(word, "on") == 0)
    args->action = FC_TRACE_ON;
  else if (args->words == 0 && strcmp(word, "off") == 0)
    args->action = FC_TRACE_OFF;
  else if (args->words == 0 && strcmp(word, "status") == 0)
    args->action = FC_TRACE_STATUS;
  else if (args->words == 1 && args->action == FC_TRACE_ON && *word)
    args->file = word;
  else
    ctl_usage(state, "no use for \"%s\": trace takes on FILE, off or status", word);
  args->words++;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct args *args = state->input;

  CTL_PARSE(key, state);
  switch (key) {
  case ARGP_KEY_ARG:
    parse_word(args, arg, state);
    return 0;
  case ARGP_KEY_END:
    if (args->words == 0)
      ctl_usage(state, "trace takes on FILE, off or status");
    if (args->action == FC_TRACE_ON && !args->file)
      ctl_usage(state, "trace on takes the FILE that lines are appended to");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "on FILE\noff\nstatus",
    .doc = "Append a JSON line per lookup to FILE, stop that, or tell how it stands. The daemon "
           "writes "
           "FILE, below its folder for traces (its --trace-dir, or that of its --trace): give a "
           "path below that folder, or one that is relative to it.",
    .children = ctl_children};

static void find_waiting(void *arg, const struct fcache_stat *stat) {
  if (!stat->name_space && strcmp(stat->name, "trace_waiting") == 0)
    *(uint64_t *)arg = stat->integer;
}

static void print_state(const struct admin_trace *trace, uint64_t waiting) {
  char clean[ADMIN_PATH_SIZE];

  if (trace->path[0])
    (void)printf("trace %s: %s, ", trace->on ? "on" : "off",
                 render_clean(clean, sizeof clean, trace->path));
  else
    (void)printf("trace %s: ", trace->on ? "on" : "off");
  (void)printf("%" PRIu64 " lines, %" PRIu64 " lost", trace->lines, trace->lost);
  if (waiting > 0)
    (void)printf(", %" PRIu64 " not written yet", waiting);
  (void)putchar('\n');
}

int trace_command(struct ctl *ctl, int argc, char **argv) {
  struct args args = {.ctl = ctl};
  struct admin_trace trace;
  struct admin *admin;
  uint64_t waiting = 0;
  int status;

  if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
    return CTL_USAGE;
  status = ctl_open(ctl, NULL, &admin);
  if (status == CTL_DONE) {
    status = ctl_result(admin, admin_trace(admin, args.action, args.file, &trace));
    if (status == CTL_DONE) /* an older daemon does not count those that wait */
      status = ctl_result(admin, admin_stats(admin, NULL, find_waiting, &waiting));
    if (status == CTL_DONE)
      print_state(&trace, waiting);
    admin_close(admin);
  }
  return status;
}
