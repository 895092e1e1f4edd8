#include "client/ctl/commands/listing.h"

#include "client/ctl/commands/cmd_stats.h"

#define LIMIT_DEFAULT 100u
#define LIMIT_MAX 1000000000000ul

struct input {
  struct ctl *ctl; /* first: see CTL_PARSE */
  const struct listing *listing;
  struct listing_args args;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct input *input = state->input;

  CTL_PARSE(key, state);
  switch (key) {
  case 'l':
    input->args.limit = ctl_number(state, "limit", arg, 0, LIMIT_MAX);
    return 0;
  case 'j':
    input->args.json = true;
    return 0;
  case LISTING_NO_MANIFEST:
    input->args.no_manifest = true;
    return 0;
  case ARGP_KEY_ARG:
    ctl_usage(state, "%s takes no \"%s\"", input->listing->name, arg);
    return 0;
  default:
    return select_parse(&input->args.select, key, arg, state);
  }
}

/* A person who mistyped the name is told, as by stats; a program gets what there is: nothing. */
static int check_namespace(const struct listing_args *args, struct admin *admin) {
  const char *name_space = args->select.name_space;
  bool has = true;
  int status = CTL_DONE;

  if (name_space && !args->json)
    status = stats_has_namespace(admin, name_space, &has);
  return status == CTL_DONE && !has ? ctl_error(STATS_NO_NAMESPACE, name_space) : status;
}

static int print(const struct listing *listing, const struct listing_args *args,
                 struct admin *admin) {
  struct rows rows = {
      .out = stdout, .json = args->json, .one_namespace = args->select.name_space != NULL};
  const char *none = rows.one_namespace ? listing->none_in_namespace : listing->none;
  int status;

  rows_begin(&rows);
  status = ctl_result(admin, listing->ask(admin, args, &rows));
  rows_end(&rows, status == CTL_DONE ? none : NULL);
  if (status == CTL_DONE && rows.failed)
    status = ctl_error("out of memory: the listing is not complete");
  return status;
}

int listing_command(const struct listing *listing, struct ctl *ctl, int argc, char **argv) {
  const struct argp argp = {
      .options = listing->options, .parser = parse, .doc = listing->doc, .children = ctl_children};
  struct input input = {.ctl = ctl, .listing = listing, .args.limit = LIMIT_DEFAULT};
  struct admin *admin;
  int status;

  if (argp_parse(&argp, argc, argv, 0, NULL, &input) != 0)
    return CTL_USAGE;
  status = ctl_open(ctl, NULL, &admin);
  if (status != CTL_DONE)
    return status;
  status = check_namespace(&input.args, admin);
  if (status == CTL_DONE)
    status = print(listing, &input.args, admin);
  admin_close(admin);
  return status;
}
