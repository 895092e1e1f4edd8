#include "client/ctl/transfer/export_source.h"

#include <string.h>

#include "proto/errors.h"
#include "proto/wire/buf.h"

#define PART_BYTES (4u << 20) /* of values in memory; one larger value is alone */

void export_source_init(struct export_source *source, struct admin *admin, const char *name_space) {
  *source = (struct export_source){.admin = admin, .name_space = name_space};
  key_table_init(&source->keys);
}

void export_source_deinit(struct export_source *source) {
  key_table_deinit(&source->keys);
}

/* ---- keys ---- */

static void add_key(void *arg, const struct fc_list_entry *entry) {
  struct export_source *source = arg;
  if (source->failed)
    return;
  int added = key_table_add(&source->keys, entry);
  source->failed = added < 0;
  source->added += added == KEY_NEW;
}

int export_source_list(struct export_source *source) {
  uint32_t passes = 0;
  int rc;
  do {
    source->added = 0;
    rc = transfer_list(source->admin, source->name_space, add_key, source);
    passes++;
  } while (rc == 0 && !source->failed && source->added > 0 && passes < EXPORT_PASSES_MAX);
  key_table_sort(&source->keys);
  return source->failed ? FC_ENOMEM : rc;
}

/* ---- values ---- */

/* Some rows, with their values. */
struct part {
  const struct key_row *rows[TRANSFER_KEYS_MAX];
  size_t at[TRANSFER_KEYS_MAX]; /* of the value in `values` */
  uint32_t sizes[TRANSFER_KEYS_MAX];
  bool read[TRANSFER_KEYS_MAX], found[TRANSFER_KEYS_MAX];
  uint32_t n;
  uint64_t bytes; /* expected */
  struct fc_buf values;
  uint32_t group[TRANSFER_KEYS_MAX]; /* places of the rows of the request in progress */
};

static void keep_value(void *arg, uint32_t index, const void *value, uint32_t size) {
  struct part *part = arg;
  uint32_t i = part->group[index];
  part->found[i] = value != NULL;
  part->at[i] = part->values.size;
  part->sizes[i] = size;
  if (value)
    (void)fc_buf_append(&part->values, value, size); /* the caller checks `failed` */
}

/* Reads the values of all rows that have the op, view and top_k of row `first`. */
static int read_group(struct export_source *source, struct part *part, uint32_t first) {
  uint8_t prompts[TRANSFER_KEYS_MAX * FC_HASH_SIZE];
  const struct key_row *row = part->rows[first];
  struct fc_key key = key_table_key(&source->keys, row);
  uint32_t n = 0;
  for (uint32_t i = first; i < part->n; i++) {
    if (part->rows[i]->label != row->label || part->rows[i]->top_k != row->top_k)
      continue;
    memcpy(prompts + (size_t)n * FC_HASH_SIZE, part->rows[i]->prompt.bytes, FC_HASH_SIZE);
    part->group[n++] = i;
    part->read[i] = true;
  }
  int rc = transfer_get(source->admin, &key, prompts, n, keep_value, part);
  return rc == 0 && part->values.failed ? FC_ENOMEM : rc;
}

/* Calls `fn` for the rows of the part. Sets *ended if `fn` ended the export. */
static void give(struct export_source *source, const struct part *part, export_fn *fn, void *arg,
                 bool *ended) {
  for (uint32_t i = 0; i < part->n && !*ended; i++) {
    const struct key_row *row = part->rows[i];
    struct export_entry entry = {.key = key_table_key(&source->keys, row),
                                 .compute_ns = row->compute_ns,
                                 .idle_ns = row->idle_ns,
                                 .hits = row->hits,
                                 .value =
                                     part->sizes[i] > 0 ? part->values.data + part->at[i] : NULL,
                                 .size = part->sizes[i]};
    source->gone += !part->found[i];
    *ended = part->found[i] && !fn(arg, &entry);
  }
}

static int read_part(struct export_source *source, struct part *part, export_fn *fn, void *arg,
                     bool *ended) {
  int rc = 0;
  memset(part->read, 0, sizeof part->read);
  fc_buf_reset(&part->values);
  for (uint32_t i = 0; i < part->n && rc == 0; i++)
    if (!part->read[i])
      rc = read_group(source, part, i);
  if (rc == 0)
    give(source, part, fn, arg, ended);
  part->n = 0;
  part->bytes = 0;
  return rc;
}

static bool is_full(const struct part *part, const struct key_row *next) {
  return part->n == TRANSFER_KEYS_MAX ||
         (part->n > 0 && part->bytes + next->value_size > PART_BYTES);
}

int export_source_read(struct export_source *source, export_fn *fn, void *arg) {
  static struct part part; /* large; a process runs one command */
  bool ended = false;
  int rc = 0;
  part.n = 0;
  part.bytes = 0;
  for (uint32_t i = 0; i < source->keys.n && rc == 0 && !ended; i++) {
    const struct key_row *row = &source->keys.rows[i];
    if (is_full(&part, row))
      rc = read_part(source, &part, fn, arg, &ended);
    part.rows[part.n++] = row;
    part.bytes += row->value_size;
  }
  if (rc == 0 && !ended && part.n > 0)
    rc = read_part(source, &part, fn, arg, &ended);
  fc_buf_free(&part.values);
  return rc;
}
