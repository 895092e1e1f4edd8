/* fcachectl trace */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/print/text.h"
#include "client/ctl/print/units.h"
#include "client/ctl/report.h"

#define USAGE "usage: fcachectl trace on [--mkdir] FILE|off|status"
#define KEY_MKDIR 257

static struct {
  enum fc_trace_action action;
  const char *file;
  unsigned words;
  bool mkdir;
} args;

static const struct argp_option options[] = {
    {"mkdir", KEY_MKDIR, NULL, 0, "Make the folders of FILE that are missing", 0}, {0}};

static void parse_word(const char *word, struct argp_state *state) {
  if (args.words == 0 && strcmp(word, "on") == 0)
    args.action = FC_TRACE_ON;
  else if (args.words == 0 && strcmp(word, "off") == 0)
    args.action = FC_TRACE_OFF;
  else if (args.words == 0 && strcmp(word, "status") == 0)
    args.action = FC_TRACE_STATUS;
  else if (args.words == 1 && args.action == FC_TRACE_ON && *word)
    args.file = word;
  else
    argument_error(state, "unexpected argument \"%s\": " USAGE, word);
  args.words++;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case ARGP_KEY_ARG:
    parse_word(arg, state);
    return 0;
  case KEY_MKDIR:
    args.mkdir = true;
    return 0;
  case ARGP_KEY_END:
    if (args.mkdir && args.action != FC_TRACE_ON)
      argument_error(state, "--mkdir goes with on: " USAGE);
    if (args.words == 0 || (args.action == FC_TRACE_ON && !args.file))
      argument_error(state, "missing argument: " USAGE);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static void find_waiting(void *arg, const struct fcache_stat *stat) {
  if (!stat->name_space && strcmp(stat->name, "trace_waiting") == 0)
    *(uint64_t *)arg = stat->integer;
}

static void print_state(const struct admin_trace *trace, uint64_t waiting) {
  char clean[ADMIN_PATH_SIZE];

  (void)printf("trace %s: ", trace->on ? "on" : "off");
  if (trace->path[0])
    (void)printf("%s, ", text_clean(clean, sizeof clean, trace->path));
  (void)printf("%" PRIu64 " line%s, %" PRIu64 " lost", trace->lines, units_plural(trace->lines),
               trace->lost);
  if (waiting > 0)
    (void)printf(", %" PRIu64 " not written yet", waiting);
  (void)putchar('\n');
}

/* A service with PrivateTmp=yes writes below a /tmp of its own. */
static void explain_temporary(const char *path) {
  bool temporary = strncmp(path, "/tmp/", 5) == 0 || strncmp(path, "/var/tmp/", 9) == 0;
  char clean[ADMIN_PATH_SIZE];

  if (temporary && access(path, F_OK) != 0 && errno == ENOENT)
    (void)printf("%s is not visible here: the daemon has a /tmp of its own (PrivateTmp=yes of "
                 "its unit). Look below /tmp/systemd-private-*/tmp, or start fcached with a "
                 "--trace-dir elsewhere.\n",
                 text_clean(clean, sizeof clean, path));
}

static int run(struct admin *admin) {
  struct admin_trace trace;
  uint64_t waiting = 0;
  int status = report_result(admin, admin_trace(admin, args.action, args.file, args.mkdir, &trace));

  if (status == CTL_DONE)
    status = report_result(admin, admin_stats(admin, NULL, find_waiting, &waiting));
  if (status == CTL_DONE)
    print_state(&trace, waiting);
  if (status == CTL_DONE && args.action == FC_TRACE_ON)
    explain_temporary(trace.path);
  return status;
}

const struct command trace_command = {
    .name = "trace",
    .arguments = "on FILE\noff\nstatus",
    .summary = "write a JSON line per lookup to a file",
    .purpose = COMMAND_CHANGE,
    .doc =
        "Append a JSON line per lookup to FILE, stop that, or show its state. fcached opens "
        "FILE, which is below its directory for traces (--trace-dir, or that of --trace): give a "
        "path below that directory, or relative to it (not to yours). Its folder must exist, or "
        "--mkdir makes it."
        "\v"
        "Examples:\n"
        "  fcachectl trace on lookups.jsonl\n"
        "  fcachectl trace off",
    .options = options,
    .parse = parse,
    .run = run};
