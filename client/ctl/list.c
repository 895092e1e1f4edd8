/* fcachectl list */
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/list_print.h"
#include "client/ctl/select.h"
#include "client/ctl/stats.h"

#define LIMIT_DEFAULT 100u
#define LIMIT_MAX 1000000000000ul

struct args {
  struct ctl *ctl; /* first: see CTL_PARSE */
  struct select_args select;
  unsigned long limit; /* 0: all */
  bool json;
};

static const struct argp_option options[] = {
    SELECT_OPTIONS,
    {"limit", 'l', "N", 0, "At most N entries; 0: all (100)", 0},
    {"json", 'j', NULL, 0, "A JSON array, with the whole hashes and names", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct args *args = state->input;

  CTL_PARSE(key, state);
  switch (key) {
  case 'l':
    args->limit = ctl_number(state, "limit", arg, 0, LIMIT_MAX);
    return 0;
  case 'j':
    args->json = true;
    return 0;
  case ARGP_KEY_ARG:
    ctl_usage(state, "list takes no \"%s\"", arg);
    return 0;
  default:
    return select_parse(&args->select, key, arg, state);
  }
}

static const struct argp argp = {.options = options,
                                 .parser = parse,
                                 .doc = "List the entries, most recently used first.",
                                 .children = ctl_children};

/* A person who mistyped the name is told, as by stats; a program gets what there is, no entries. */
static int check_namespace(const struct args *args, struct admin *admin) {
  const char *name_space = args->select.name_space;
  bool has = true;
  int status = CTL_DONE;

  if (name_space && !args->json)
    status = stats_has_namespace(admin, name_space, &has);
  return status == CTL_DONE && !has ? ctl_error(STATS_NO_NAMESPACE, name_space) : status;
}

static int list(const struct args *args, struct admin *admin) {
  struct list_print print = {
      .out = stdout, .json = args->json, .one_namespace = args->select.name_space != NULL};
  struct fc_select select = select_of(&args->select);
  int status;

  list_print_begin(&print);
  status = ctl_result(admin, admin_list(admin, &select, args->limit, list_print_entry, &print));
  list_print_end(&print);
  if (status == CTL_DONE && print.failed)
    status = ctl_error("out of memory: entries are missing from the list");
  return status;
}

int list_command(struct ctl *ctl, int argc, char **argv) {
  struct args args = {.ctl = ctl, .limit = LIMIT_DEFAULT};
  struct admin *admin;
  int status;

  if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
    return CTL_USAGE;
  status = ctl_open(ctl, NULL, &admin);
  if (status != CTL_DONE)
    return status;
  status = check_namespace(&args, admin);
  if (status == CTL_DONE)
    status = list(&args, admin);
  admin_close(admin);
  return status;
}
