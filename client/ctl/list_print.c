#include "client/ctl/list_print.h"

#include "client/ctl/render.h"

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
  (void)fprintf(rows->out, "%7s %-*s %8s %7s %7s %7s\n", "TOP_K", ROWS_HASH_DIGITS, "PROMPT",
                "SIZE", "COST", "IDLE", "HITS");
}

static void print_line(const struct rows *rows, const struct fc_list_entry *entry) {
  char top_k[RENDER_SIZE], size[RENDER_SIZE], cost[RENDER_SIZE], idle[RENDER_SIZE],
      hits[RENDER_SIZE], hash[FC_HASH_HEX_SIZE];
  struct layout layout = layout_of(rows);

  fc_hash_hex(&entry->key.prompt, hash);
  rows_name(rows->out, entry->name_space, layout.name_space);
  rows_name(rows->out, entry->key.op, layout.op);
  rows_name(rows->out, entry->key.view, layout.view);
  (void)fprintf(rows->out, "%7s %.*s %8s %7s %7s %7s\n", render_count(entry->key.top_k, top_k),
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
