/* fcachectl import */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/print/manifest.h"
#include "client/ctl/print/units.h"
#include "client/ctl/report.h"
#include "client/ctl/transfer/image_input.h"
#include "client/ctl/transfer/target.h"
#include "client/lib/admin/transfer.h"
#include "proto/image/image_space.h"

#define KEY_FORCE 256

static struct {
  const char *file, *name_space;
  bool force, json;
} args;

static const struct argp_option options[] = {
    {"namespace", 'n', "NAME", 0, "Into this namespace (default: that of the image)", 0},
    {"force", KEY_FORCE, NULL, 0, "Also if the manifests differ", 0},
    {"json", 'j', NULL, 0, "A JSON object", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'n':
    args.name_space = argument_name(state, "namespace", arg);
    return 0;
  case KEY_FORCE:
    args.force = true;
    return 0;
  case 'j':
    args.json = true;
    return 0;
  case ARGP_KEY_ARG:
    argument_only(state, &args.file, arg, "import takes one file");
    return 0;
  case ARGP_KEY_END:
    if (!args.file && isatty(STDIN_FILENO))
      argument_error(state, "stdin is a terminal: give a FILE that fcachectl export wrote, or "
                            "redirect stdin");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* An import in progress. */
struct import {
  struct image_input input;
  char name[FC_NAME_MAX + 1]; /* of the namespace in the image */
  uint64_t space;             /* its id there */
  struct fc_str manifest;     /* borrowed from the reader's preamble */
  const char *to;             /* the namespace of the daemon */
  struct target before, after;
  struct transfer_counts counts;
};

/* Finds the image's only namespace. */
static int find_space(struct import *import) {
  struct image_preamble items;
  struct image_item item;
  struct image_space space;
  unsigned n = 0;

  image_reader_items(&import->input.reader, &items);
  while (image_preamble_next(&items, &item)) {
    if (item.tag != IMAGE_SPACE || !image_space_decode(&item, &space))
      continue;
    n++;
    import->space = space.numbers[IMAGE_SPACE_ID];
    import->manifest = space.manifest;
    (void)snprintf(import->name, sizeof import->name, "%.*s", (int)space.name.size,
                   space.name.data);
  }
  if (n == 1)
    return CTL_DONE;
  return report_error("%s holds %u namespaces: import takes an image of one, as fcachectl export "
                      "writes it; a snapshot is restored by fcached --state DIR",
                      import->input.name, n);
}

/* Compares the manifests, unless the namespace is new or empty and has none. */
static int check_manifest(const struct import *import) {
  struct fc_str theirs = import->manifest, ours = target_manifest(&import->before);
  bool is_new = !ours.data && import->before.entries == 0;

  if (is_new || manifest_equal(theirs, ours) || args.force)
    return CTL_DONE;
  (void)report_error("the image and namespace %s have different manifests: --force imports it",
                     import->to);
  manifest_print_differences(stderr, "image", theirs, "namespace", ours);
  return CTL_FAILED;
}

/* Puts a batch of records. The reader has verified them. */
static int put_batch(struct admin *member, struct import *import, const struct image_read *batch,
                     int n) {
  struct transfer_put puts[IMAGE_BATCH];
  uint32_t n_puts = 0;

  for (int i = 0; i < n; i++) {
    const struct image_record *record = &batch[i].record;

    if (record->name_space == import->space)
      puts[n_puts++] = (struct transfer_put){.key = record->key,
                                             .compute_ns = record->compute_ns,
                                             .value = batch[i].value,
                                             .size = record->value_size};
  }
  return report_result(member, transfer_put(member, puts, n_puts, &import->counts));
}

static int put_all(struct admin *member, struct import *import) {
  struct image_read batch[IMAGE_BATCH];
  int status = CTL_DONE, n;

  while (status == CTL_DONE && (n = image_input_next(&import->input, batch)) != 0)
    status = n < 0 ? CTL_FAILED : put_batch(member, import, batch, n);
  return status;
}

/* Opens a connection with the namespace. It gets the image's manifest if it has none. */
static int open_member(struct admin *admin, const struct import *import, struct admin **member) {
  char manifest[FC_MANIFEST_MAX + 1];
  bool sets = import->manifest.data && !import->before.has_manifest &&
              (import->before.entries == 0 || args.force);
  struct fcache_error error = {0};

  (void)snprintf(manifest, sizeof manifest, "%.*s", (int)import->manifest.size,
                 import->manifest.data ? import->manifest.data : "");
  return report_code(transfer_open(admin, import->to, sets ? manifest : NULL, member, &error),
                     error.text);
}

/* ---- results ---- */

/* Returns how many of the imported entries were certainly evicted again: the namespace's older
 * entries go first. */
static uint64_t evicted_again(const struct import *import) {
  uint64_t evicted = import->after.evictions - import->before.evictions;

  if (import->after.evictions < import->before.evictions || evicted < import->before.entries)
    return 0;
  return evicted - import->before.entries;
}

static void print_json(const struct import *import) {
  const struct transfer_counts *counts = &import->counts;

  (void)printf("{\"stored\": %" PRIu64 ", \"kept\": %" PRIu64 ", \"too_big\": %" PRIu64
               ", \"no_memory\": %" PRIu64 ", \"damaged\": %" PRIu64 ", \"evicted\": %" PRIu64
               ", \"complete\": %s}\n",
               counts->stored, counts->kept, counts->too_big + import->input.reader.too_large,
               counts->no_memory, import->input.reader.damaged, evicted_again(import),
               image_input_is_complete(&import->input) ? "true" : "false");
}

static void print_count(uint64_t n, const char *text) {
  char count[UNITS_SIZE];

  if (n > 0)
    (void)printf("%10s %s\n", units_count(n, count), text);
}

static void print_text(const struct import *import) {
  const struct transfer_counts *counts = &import->counts;
  const struct image_reader *reader = &import->input.reader;
  char count[UNITS_SIZE];

  (void)printf("imported %s %s into namespace %s\n", units_count(counts->stored, count),
               counts->stored == 1 ? "entry" : "entries", import->to);
  print_count(counts->kept, "kept: the namespace had a value before");
  print_count(counts->too_big + reader->too_large,
              "too big: raise --max-value, or max_bytes of fcached or of the namespace");
  print_count(counts->no_memory, "not stored: fcached was out of memory");
  print_count(reader->damaged, "damaged in the image: fcachectl image FILE shows where");
  print_count(evicted_again(import), "evicted again, the oldest first: raise --max-bytes");
}

/* Reports an image that ends early, or lost entries. Returns CTL_FAILED if there are some. */
static int judge(const struct import *import) {
  const struct transfer_counts *counts = &import->counts;
  const struct image_reader *reader = &import->input.reader;
  uint64_t lost = counts->too_big + reader->too_large + counts->no_memory + reader->damaged +
                  evicted_again(import);

  if (!image_input_is_complete(&import->input))
    return report_error("%s ends too early: what it has was imported, the rest is missing",
                        import->input.name);
  return lost > 0 ? report_error("%" PRIu64 " %s not in the namespace", lost,
                                 lost == 1 ? "entry is" : "entries are")
                  : CTL_DONE;
}

static int import_all(struct admin *admin, struct import *import) {
  struct admin *member;
  int status = open_member(admin, import, &member);

  if (status == CTL_DONE) {
    status = put_all(member, import);
    if (status == CTL_DONE)
      status = target_read(admin, import->to, &import->after);
    if (args.json)
      print_json(import);
    else
      print_text(import); /* also after an error: so much was done */
    status = status == CTL_DONE ? judge(import) : status;
  }
  admin_close(member);
  return status;
}

static int run(struct admin *admin) {
  static struct import import; /* large; a process runs one command */
  int status = image_input_open(&import.input, args.file);

  if (status == CTL_DONE)
    status = find_space(&import);
  import.to = args.name_space ? args.name_space : import.name;
  if (status == CTL_DONE)
    status = target_read(admin, import.to, &import.before);
  if (status == CTL_DONE)
    status = check_manifest(&import);
  if (status == CTL_DONE)
    status = import_all(admin, &import);
  image_input_close(&import.input);
  return status;
}

const struct command import_command = {
    .name = "import",
    .arguments = "[FILE]",
    .summary = "read a namespace that export wrote",
    .purpose = COMMAND_DATA,
    .doc = "Read an image of one namespace, which fcachectl export wrote, from FILE or stdin, and "
           "put its entries into the namespace of that name, the least recently used first. A key "
           "that has a value keeps it. The import is refused if the manifests differ. No counter "
           "of hits changes."
           "\v"
           "Example:\n"
           "  fcachectl import --namespace gpt2-copy gpt2.image",
    .options = options,
    .parse = parse,
    .run = run};
