/* fcachectl clear */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/commands/stats_fetch.h"
#include "client/ctl/key_filter.h"
#include "client/ctl/report.h"
#include "proto/errors.h"

static struct {
  struct key_filter filter;
  bool all;
} args;

static const struct argp_option options[] = {
    KEY_FILTER_OPTIONS, {"all", 'a', NULL, 0, "All namespaces", 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'a':
    args.all = true;
    return 0;
  case ARGP_KEY_END:
    if (!args.filter.name_space == !args.all)
      argument_error(state, "give either --namespace NAME or --all");
    return 0;
  default:
    return key_filter_parse(&args.filter, key, arg, state);
  }
}

/* A namespace that does not exist is neither an error nor created. */
static int run(struct admin *admin) {
  const char *name_space = args.filter.name_space;
  struct fc_select select = key_filter_select(&args.filter);
  uint64_t removed = 0;
  int result = admin_clear(admin, &select, &removed), status;
  char error[FCACHE_ERROR_TEXT_SIZE];
  bool exists = true;

  (void)snprintf(error, sizeof error, "%s", admin_error(admin)); /* the next call replaces it */
  if (name_space && (result == FC_EDENIED || (result == 0 && removed == 0))) {
    status = stats_fetch_namespace(admin, name_space, &exists);
    if (status != CTL_DONE)
      return status;
  }
  if (!exists) {
    (void)printf("removed 0 entries: " STATS_NO_NAMESPACE "\n", name_space);
    return CTL_DONE;
  }
  status = report_code(result, error);
  if (status == CTL_DONE)
    (void)printf("removed %" PRIu64 " %s\n", removed, removed == 1 ? "entry" : "entries");
  return status;
}

const struct command clear_command = {
    .name = "clear",
    .summary = "remove entries",
    .purpose = COMMAND_CHANGE,
    .doc = "Remove the entries of a namespace, which the user who created it may do, or of all. "
           "fcached's own user, root and the admin group may do both. A result whose computation "
           "began before the clear is not stored afterwards."
           "\v"
           "Example:\n"
           "  fcachectl clear --namespace gpt2 --view ft",
    .options = options,
    .parse = parse,
    .run = run};
