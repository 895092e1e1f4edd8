/* fcachectl slowest */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/key_filter.h"
#include "client/ctl/print/json_value.h"
#include "client/ctl/print/slowest_report.h"
#include "client/ctl/report.h"
#include "client/lib/admin/times.h"

#define LIMIT_DEFAULT 10u
#define LIMIT_MAX 1000u

static struct {
  bool json, requests, entries, reset;
  unsigned long limit;
  struct key_filter filter;
} args = {.limit = LIMIT_DEFAULT};

enum { KEY_REQUESTS = 256, KEY_ENTRIES, KEY_RESET };

static const struct argp_option options[] = {
    {"requests", KEY_REQUESTS, NULL, 0, "Only requests", 0},
    {"entries", KEY_ENTRIES, NULL, 0, "Only entries", 0},
    KEY_FILTER_OPTIONS,
    {"limit", 'l', "N", 0, "At most N of each (default 10)", 0},
    {"reset", KEY_RESET, NULL, 0, "Forget the requests after they are printed", 0},
    {"json", 'j', NULL, 0, "JSON, with whole hashes and names", 0},
    COMMAND_NO_TRUNC,
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'j':
    args.json = true;
    return 0;
  case 'l':
    args.limit = argument_number(state, "limit", arg, 1, LIMIT_MAX);
    return 0;
  case KEY_REQUESTS:
    args.requests = true;
    return 0;
  case KEY_ENTRIES:
    args.entries = true;
    return 0;
  case KEY_RESET:
    args.reset = true;
    return 0;
  case ARGP_KEY_END:
    if (args.reset && args.entries && !args.requests)
      argument_error(state, "--reset forgets requests, and --entries shows none");
    return 0;
  default:
    return key_filter_parse(&args.filter, key, arg, state);
  }
}

/* ---- requests ---- */

static bool is_selected(const char *wanted, struct fc_str name) {
  return !wanted || fc_str_equal(name, fc_str_of(wanted));
}

static void add_request(void *arg, const struct fc_slow_entry *request) {
  struct slowest_report *report = arg;

  if (report->n < args.limit && is_selected(args.filter.name_space, request->name_space) &&
      is_selected(args.filter.op, request->op) && is_selected(args.filter.view, request->view))
    slowest_report_add_request(report, request);
}

/* The daemon sends all that it keeps, as it does not filter them. */
static int show_requests(struct admin *admin, struct slowest_report *report) {
  uint64_t period_ns = 0;
  int status;

  slowest_report_begin(report, SLOWEST_REQUESTS);
  status = report_result(
      admin, admin_slowest(admin, UINT32_MAX, args.reset, &period_ns, add_request, report));
  slowest_report_end(report, status == CTL_DONE, period_ns);
  return status;
}

/* ---- entries ---- */

static int show_entries(struct admin *admin, struct slowest_report *report) {
  struct fc_select select = key_filter_select(&args.filter);
  struct admin_costly costly = {.limit = (uint32_t)args.limit};
  int status;

  costly.entries = calloc(costly.limit, sizeof *costly.entries);
  if (!costly.entries)
    return report_error("out of memory");
  slowest_report_begin(report, SLOWEST_ENTRIES);
  status = report_result(admin, admin_costly(admin, &select, &costly));
  for (uint32_t i = 0; i < costly.n && status == CTL_DONE; i++)
    slowest_report_add_entry(report, &costly.entries[i].entry);
  slowest_report_end(report, status == CTL_DONE, 0);
  free(costly.entries);
  return status;
}

/* ---- the command ---- */

static int print_json(struct slowest_report *report) {
  if (!json_value_print(stdout, slowest_report_json(report), JSON_INDENT(2)))
    return report_error("out of memory");
  (void)putchar('\n'); /* main checks the stream at the end */
  return CTL_DONE;
}

static int run(struct admin *admin) {
  bool both = args.requests == args.entries;
  struct slowest_report report = {.out = stdout, .json = args.json, .headings = both};
  int status = CTL_DONE;

  if (both || args.requests)
    status = show_requests(admin, &report);
  if (status == CTL_DONE && (both || args.entries))
    status = show_entries(admin, &report);
  if (status == CTL_DONE && args.json)
    status = print_json(&report);
  if (status == CTL_DONE && report.failed)
    status = report_error("out of memory: the output is incomplete");
  slowest_report_deinit(&report);
  return status;
}

const struct command slowest_command = {
    .name = "slowest",
    .summary = "show the slowest requests and the most expensive entries",
    .purpose = COMMAND_LOOK,
    .doc = "Show the slowest requests of the last 10 to 20 minutes, with the parts of their time, "
           "and the entries whose computation took longest."
           "\v"
           "Examples:\n"
           "  fcachectl slowest\n"
           "  fcachectl slowest --requests --limit 20\n"
           "  fcachectl slowest --entries --namespace gpt2",
    .options = options,
    .parse = parse,
    .run = run};
