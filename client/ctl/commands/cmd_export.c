/* fcachectl export */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/commands/stats_fetch.h"
#include "client/ctl/print/units.h"
#include "client/ctl/report.h"
#include "client/ctl/transfer/export_file.h"
#include "client/ctl/transfer/target.h"
#include "proto/errors.h"

static struct { const char *name_space; } args;

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case ARGP_KEY_ARG:
    argument_only(state, &args.name_space, argument_namespace(state, arg),
                  "export takes one namespace");
    return 0;
  case ARGP_KEY_END:
    if (!args.name_space)
      argument_error(state, "no namespace: give one of fcachectl namespaces");
    if (isatty(STDOUT_FILENO))
      argument_error(state, "an image is no text for a terminal: redirect it, as in fcachectl "
                            "export NAMESPACE > FILE");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Drops the unwritten output, or main would report the error again. */
static int report_write(const struct export_file *file) {
  __fpurge(stdout);
  clearerr(stdout);
  return report_error("cannot write the image: %s: it is incomplete", strerror(file->error));
}

/* Reports an error of export_source.h. */
static int report_source(struct admin *admin, int rc) {
  return rc == FC_ENOMEM ? report_error("out of memory for the export") : report_result(admin, rc);
}

static void print_summary(const struct export_source *source, const struct export_file *file) {
  char count[UNITS_SIZE], bytes[UNITS_SIZE];

  /* stdout is the image. main checks no errors of stderr. */
  (void)fprintf(stderr, "exported %s %s of namespace %s, %s of values\n",
                units_count(file->info.records, count),
                file->info.records == 1 ? "entry" : "entries", args.name_space,
                units_bytes(file->value_bytes, bytes));
  if (source->gone > 0)
    (void)fprintf(stderr, "%s left the cache before they were read\n",
                  units_count(source->gone, count));
}

static int write_image(struct admin *admin, const struct target *target) {
  struct export_source source;
  struct export_file file;
  int status;

  export_source_init(&source, admin, args.name_space);
  status = report_source(admin, export_source_list(&source));
  if (status == CTL_DONE && !export_file_begin(&file, stdout, fc_str_of(args.name_space),
                                               target_manifest(target), target->max_bytes))
    status = report_write(&file);
  if (status == CTL_DONE)
    status = report_source(admin, export_source_read(&source, export_file_add, &file));
  if (status == CTL_DONE && !export_file_end(&file))
    status = report_write(&file);
  if (status == CTL_DONE)
    print_summary(&source, &file);
  export_source_deinit(&source);
  return status;
}

static int run(struct admin *admin) {
  struct fcache_error error = {0};
  struct target target;
  struct admin *member;
  int status = target_read(admin, args.name_space, &target);

  if (status == CTL_DONE && !target.exists)
    return stats_fetch_report_missing(admin, args.name_space);
  if (status != CTL_DONE)
    return status;
  status = report_code(transfer_open(admin, args.name_space, NULL, &member, &error), error.text);
  if (status == CTL_DONE)
    status = write_image(member, &target);
  admin_close(member);
  return status;
}

const struct command export_command = {
    .name = "export",
    .arguments = "NAMESPACE",
    .summary = "write a namespace to stdout, for import elsewhere",
    .purpose = COMMAND_DATA,
    .doc = "Write all entries of a namespace with its manifest to stdout, the least recently used "
           "first, for fcachectl import on another machine. Neither the order of the entries nor "
           "a counter of hits changes. fcachectl image verifies and lists the file."
           "\v"
           "Example:\n"
           "  fcachectl export gpt2 | ssh other fcachectl import",
    .parse = parse,
    .run = run};
