/* fcachectl image */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/commands/listing.h"
#include "client/ctl/report.h"
#include "client/ctl/transfer/image_input.h"
#include "client/ctl/transfer/image_summary.h"

#define KEY_LIST 257
#define DAMAGES_MAX 100u /* lines about damage */

static struct {
  const char *file;
  bool list;
} args;

static const struct argp_option options[] = {
    {"list", KEY_LIST, NULL, 0, "List the entries, in the order of the file", 0},
    KEY_FILTER_OPTIONS,
    LISTING_OPTIONS("entries"),
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  const struct listing *listing = listing_parsed();

  switch (key) {
  case KEY_LIST:
    args.list = true;
    return 0;
  case ARGP_KEY_ARG:
    argument_only(state, &args.file, arg, "image takes one file");
    return 0;
  case ARGP_KEY_END:
    if (!args.file)
      argument_error(state, "no file: give a snapshot or a file of fcachectl export, or - for "
                            "stdin");
    if (!args.list && (listing->filter.name_space || listing->filter.view || listing->filter.op))
      argument_error(state, "--namespace, --view and --op need --list");
    return 0;
  default:
    return listing_parse(key, arg, state);
  }
}

/* ---- damage ---- */

/* Reports one place. Reporting stops after DAMAGES_MAX: a summary has their number. */
static void report_damage(void *arg, uint64_t offset, const struct image_record *record) {
  struct image_summary *summary = arg;
  char hash[FC_HASH_HEX_SIZE];

  image_summary_damage(summary, offset, record);
  if (summary->n_damages > DAMAGES_MAX)
    return;
  if (summary->n_damages == DAMAGES_MAX) {
    (void)report_error("%s: more damage is not shown", args.file);
  } else if (record) {
    fc_hash_hex(&record->key.prompt, hash);
    (void)report_error("%s: damaged at byte %" PRIu64
                       ": the value of prompt %s, op %.*s, view %.*s",
                       args.file, offset, hash, (int)record->key.op.size, record->key.op.data,
                       (int)record->key.view.size, record->key.view.data);
  } else {
    (void)report_error("%s: damaged at byte %" PRIu64 ": one entry or more", args.file, offset);
  }
}

/* ---- entries ---- */

static bool matches(struct fc_str name, const char *filter) {
  return !filter || fc_str_equal(name, fc_str_of(filter));
}

/* Prints the record, if the filters match it and the limit allows it. */
static void list_record(struct listing *listing, const struct image_summary *summary,
                        const struct image_record *record) {
  const struct image_space_sum *space = image_summary_space(summary, record->name_space);
  uint64_t clock_ns = summary->clock_ns;
  struct fc_list_entry entry = {
      .name_space = space ? space->name : fc_str_of("?"),
      .key = record->key,
      .value_size = record->value_size,
      .compute_ns = record->compute_ns,
      .idle_ns = clock_ns > record->last_use_ns ? clock_ns - record->last_use_ns : 0,
      .hits = record->hits};

  if (listing->limit > 0 && listing->n >= listing->limit)
    return;
  if (matches(entry.name_space, listing->filter.name_space) &&
      matches(entry.key.view, listing->filter.view) && matches(entry.key.op, listing->filter.op))
    list_print_entry(listing, &entry);
}

/* Reads all records: counts them, and lists them if `listing` is given. */
static int read_all(struct image_input *input, struct image_summary *summary,
                    struct listing *listing) {
  struct image_read batch[IMAGE_BATCH];
  int n;

  while ((n = image_input_next(input, batch)) > 0)
    for (int i = 0; i < n; i++) {
      image_summary_add(summary, &batch[i].record);
      if (listing)
        list_record(listing, summary, &batch[i].record);
    }
  return n < 0 ? CTL_FAILED : CTL_DONE;
}

static int run_list(struct image_input *input, struct image_summary *summary) {
  struct listing listing = *listing_parsed();
  int status;

  listing.out = stdout;
  listing_begin(&listing, &list_kind);
  status = read_all(input, summary, &listing);
  listing_end(&listing, &list_kind, status == CTL_DONE);
  return status == CTL_DONE && listing.failed
             ? report_error("out of memory: the listing is incomplete")
             : status;
}

/* Returns CTL_DONE if the image is good, else reports the kinds of damage that no offset shows. */
static int judge(const struct image_input *input, const struct image_summary *summary) {
  const struct image_reader *reader = &input->reader;

  if (!reader->has_first)
    (void)report_error("%s: the preamble at its beginning is damaged; that at its end was used",
                       args.file);
  if (!reader->has_last)
    (void)report_error("%s ends too early, or its end is damaged: %" PRIu64 " entries are intact",
                       args.file, summary->entries);
  return reader->has_first && reader->has_last && summary->n_damages == 0 ? CTL_DONE : CTL_FAILED;
}

static int run_alone(void) {
  bool is_stdin = strcmp(args.file, "-") == 0;
  struct image_summary summary;
  struct image_input input;
  int status = image_input_open(&input, is_stdin ? NULL : args.file);

  image_summary_init(&summary);
  if (status == CTL_DONE)
    status = image_summary_begin(&summary, &input) ? CTL_DONE : report_error("out of memory");
  input.reader.on_damage = report_damage;
  input.reader.on_damage_arg = &summary;
  if (status == CTL_DONE && args.list)
    status = run_list(&input, &summary);
  else if (status == CTL_DONE)
    status = read_all(&input, &summary, NULL);
  if (status == CTL_DONE && !args.list &&
      !image_summary_print(stdout, &summary, &input, listing_parsed()->json))
    status = report_error("out of memory");
  if (status == CTL_DONE)
    status = judge(&input, &summary);
  image_summary_deinit(&summary);
  image_input_close(&input);
  return status;
}

const struct command image_command = {
    .name = "image",
    .arguments = "FILE",
    .summary = "verify a snapshot or an export, and show what it holds",
    .purpose = COMMAND_DATA,
    .doc = "Verify every entry of a snapshot or an export, and show what it holds. Works without "
           "fcached. FILE - is stdin. Exit status: 0 all is intact, 1 something is damaged."
           "\v"
           "Examples:\n"
           "  fcachectl image gpt2.image\n"
           "  fcachectl image --list --limit 0 /var/lib/fcached/snapshot",
    .options = options,
    .parse = parse,
    .run_alone = run_alone,
    .no_socket = "image reads a file, and needs no fcached"};
