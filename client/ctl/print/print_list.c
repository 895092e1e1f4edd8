#include "client/ctl/print/print_list.h"

#include <inttypes.h>

#include "client/ctl/print/render.h"

#define TOP_K_COLUMNS 7 /* enough for what is usual */

/* ---- for people ---- */

/* What the figures, at their widest, leave of RENDER_COLUMNS. Where all namespaces are
 * shown, theirs is a column, and OP and VIEW are narrower. */
struct layout {
  size_t name_space, op, view;
};

static struct layout layout_of(const struct rows *rows) {
  return rows->one_namespace ? (struct layout){0, 16, 13} : (struct layout){10, 10, 8};
}

void list_print_header(const struct rows *rows) {
  struct layout layout = layout_of(rows);

  if (rows->json)
    return;
  rows_name(rows->out, fc_str_of("NAMESPACE"), layout.name_space);
  rows_name(rows->out, fc_str_of("OP"), layout.op);
  rows_name(rows->out, fc_str_of("VIEW"), layout.view);
  (void)fprintf(rows->out, "%*s %-*s %8s %7s %7s %7s\n", TOP_K_COLUMNS, "TOP_K", ROWS_HASH_DIGITS,
                "PROMPT", "SIZE", "COST", "IDLE", "HITS");
}

/* A top_k is a key's, so it is printed whole; its largest numbers take their room from VIEW. */
static void print_line(const struct rows *rows, const struct fc_list_entry *entry) {
  char top_k[RENDER_SIZE], size[RENDER_SIZE], cost[RENDER_SIZE], idle[RENDER_SIZE],
      hits[RENDER_SIZE], hash[FC_HASH_HEX_SIZE];
  struct layout layout = layout_of(rows);
  int digits = snprintf(top_k, sizeof top_k, "%" PRIu32, entry->key.top_k);
  size_t taken = digits > TOP_K_COLUMNS ? (size_t)(digits - TOP_K_COLUMNS) : 0;

  fc_hash_hex(&entry->key.prompt, hash);
  rows_name(rows->out, entry->name_space, layout.name_space);
  rows_name(rows->out, entry->key.op, layout.op);
  rows_name(rows->out, entry->key.view, layout.view - taken);
  (void)fprintf(rows->out, "%*s %.*s %8s %7s %7s %7s\n", TOP_K_COLUMNS + (int)taken, top_k,
                ROWS_HASH_DIGITS, hash, render_bytes(entry->value_size, size),
                render_seconds((double)entry->compute_ns / 1e9, cost),
                render_seconds((double)entry->idle_ns / 1e9, idle),
                render_count(entry->hits, hits));
}

/* ---- for programs ---- */

static json_t *object_of(const struct fc_list_entry *entry) {
  json_t *rest = json_pack(
      "{s:o, s:o, s:o, s:o, s:o}", "value_bytes", rows_integer(entry->value_size), "charge_bytes",
      rows_integer(entry->charge), "compute_s", rows_seconds(entry->compute_ns), "idle_s",
      rows_seconds(entry->idle_ns), "hits", rows_integer(entry->hits));

  return rows_with_key(&entry->name_space, &entry->key, rest);
}

/* ---- both ---- */

void list_print_entry(void *arg, const struct fc_list_entry *entry) {
  struct rows *rows = arg;

  if (rows->json) {
    rows_object(rows, object_of(entry));
  } else {
    print_line(rows, entry);
    rows->n++;
  }
}
