/* fcachectl complete-values: for the scripts of fcachectl completion, which complete the names of
 * namespaces, ops, views and clients. Not in any list. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/commands/name_set.h"
#include "client/ctl/key_filter.h"
#include "client/ctl/report.h"
#include "proto/limits.h"
#include "proto/utf8.h"

#define ENTRIES_MAX 1000u /* that are looked through for ops and views: a person waits */
#define DEADLINE_MS 300u

static struct {
  struct key_filter filter;
  const char *kind;
} args;

static const struct argp_option options[] = {KEY_FILTER_NAMESPACE, {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case ARGP_KEY_ARG:
    argument_only(state, &args.kind, arg, "complete-values takes one kind");
    return 0;
  case ARGP_KEY_END:
    if (!args.kind)
      argument_error(state, "no kind of names");
    return 0;
  default:
    return key_filter_parse(&args.filter, key, arg, state);
  }
}

/* Prints the name, unless it would be another one within a line. */
static void print_name(struct fc_str name) {
  char text[FC_NAME_MAX + 1];

  (void)snprintf(text, sizeof text, "%.*s", (int)name.size, name.data ? name.data : "");
  text[fc_utf8_clean(text, strlen(text))] = '\0';
  if (fc_str_equal(name, fc_str_of(text)))
    (void)puts(text); /* main checks the stream at the end */
}

static void print_namespace(void *arg, const struct fc_namespace_entry *entry) {
  (void)arg;
  print_name(entry->name_space);
}

static void print_client(void *arg, const struct fc_client_entry *client) {
  (void)arg;
  if (client->name_space.data) /* no tool, such as this one */
    (void)printf("%" PRIu64 "\n", client->client_id);
}

struct parts {
  bool views; /* or ops */
  struct name_set names;
};

static void add_entry(void *arg, const struct fc_list_entry *entry) {
  struct parts *parts = arg;
  struct fc_str name = parts->views ? entry->key.view : entry->key.op;

  if (name_set_add(&parts->names, name))
    print_name(name);
}

static int print_names(struct admin *admin) {
  static struct parts parts;
  int status;
  struct fc_select select = key_filter_select(&args.filter);

  if (strcmp(args.kind, "namespaces") == 0)
    return report_result(admin, admin_namespaces(admin, NULL, 0, print_namespace, NULL));
  if (strcmp(args.kind, "clients") == 0)
    return report_result(admin, admin_clients(admin, NULL, 0, print_client, NULL));
  parts.views = strcmp(args.kind, "views") == 0;
  status = report_result(admin, admin_list(admin, &select, ENTRIES_MAX, add_entry, &parts));
  name_set_deinit(&parts.names);
  return status;
}

static int run_at(const char *socket) {
  struct fcache_error error = {0};
  struct admin *admin;
  int status = report_code(admin_open(socket, NULL, DEADLINE_MS, &admin, &error), error.text);

  if (status == CTL_DONE)
    status = print_names(admin);
  admin_close(admin);
  return status;
}

const struct command complete_values_command = {.name = "complete-values",
                                                .arguments = "KIND",
                                                .summary = "for completion",
                                                .doc = "For the scripts of completion.",
                                                .options = options,
                                                .parse = parse,
                                                .run_at = run_at};
