#include "client/ctl/list_print.h"

#include <jansson.h>
#include <string.h>

#include "client/ctl/render.h"
#include "proto/limits.h"

#define HASH_DIGITS 8u /* of 32, in a line for people */

/* ---- for people ---- */

/* What the figures, at their widest, leave of RENDER_COLUMNS. Where all namespaces are
 * shown, theirs is a column, and OP and VIEW are narrower. */
struct layout {
  size_t name_space, op, view;
};

static struct layout layout_of(const struct list_print *print) {
  return print->one_namespace ? (struct layout){0, 16, 13} : (struct layout){10, 10, 8};
}

static void print_text(FILE *out, struct fc_str name, size_t columns) {
  char text[FC_NAME_MAX + 1];

  if (columns == 0)
    return;
  snprintf(text, sizeof text, "%.*s", (int)name.size, name.data ? name.data : "");
  render_fit(out, text, columns, 1);
  (void)fputc(' ', out); /* the stream's error is checked at the end */
}

static void print_header(const struct list_print *print) {
  struct layout layout = layout_of(print);

  print_text(print->out, fc_str_of("NAMESPACE"), layout.name_space);
  print_text(print->out, fc_str_of("OP"), layout.op);
  print_text(print->out, fc_str_of("VIEW"), layout.view);
  (void)fprintf(print->out, "%7s %-8s %8s %7s %7s %7s\n", "TOP_K", "PROMPT", "SIZE", "COST", "IDLE",
                "HITS");
}

static void print_line(const struct list_print *print, const struct fc_list_entry *entry) {
  char top_k[RENDER_SIZE], size[RENDER_SIZE], cost[RENDER_SIZE], idle[RENDER_SIZE],
      hits[RENDER_SIZE], hash[FC_HASH_HEX_SIZE];
  struct layout layout = layout_of(print);

  fc_hash_hex(&entry->key.prompt, hash);
  print_text(print->out, entry->name_space, layout.name_space);
  print_text(print->out, entry->key.op, layout.op);
  print_text(print->out, entry->key.view, layout.view);
  (void)fprintf(print->out, "%7s %.*s %8s %7s %7s %7s\n", render_count(entry->key.top_k, top_k),
                (int)HASH_DIGITS, hash, render_bytes(entry->value_size, size),
                render_seconds((double)entry->compute_ns / 1e9, cost),
                render_seconds((double)entry->idle_ns / 1e9, idle),
                render_count(entry->hits, hits));
}

/* ---- for programs ---- */

static json_t *integer(uint64_t number) {
  return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

static json_t *object_of(const struct fc_list_entry *entry) {
  char hash[FC_HASH_HEX_SIZE];
  const struct fc_key *key = &entry->key;

  fc_hash_hex(&key->prompt, hash);
  return json_pack("{s:s%, s:s%, s:s%, s:s, s:o, s:o, s:o, s:f, s:f, s:o}", "namespace",
                   entry->name_space.data, (size_t)entry->name_space.size, "op", key->op.data,
                   (size_t)key->op.size, "view", key->view.data, (size_t)key->view.size,
                   "prompt_hash", hash, "top_k", integer(key->top_k), "value_bytes",
                   integer(entry->value_size), "charge_bytes", integer(entry->charge), "compute_s",
                   (double)entry->compute_ns / 1e9, "idle_s", (double)entry->idle_ns / 1e9, "hits",
                   integer(entry->hits));
}

static void print_object(struct list_print *print, const struct fc_list_entry *entry) {
  json_t *object = object_of(entry);

  if (!object) {
    print->failed = true;
    return;
  }
  (void)fputs(print->n ? ",\n  " : "\n  ", print->out); /* the stream's error is checked later */
  (void)json_dumpf(object, print->out, JSON_REAL_PRECISION(12));
  json_decref(object);
}

/* ---- both ---- */

void list_print_begin(struct list_print *print) {
  if (print->json)
    (void)fputc('[', print->out); /* the stream's error is checked at the end */
  else
    print_header(print);
}

void list_print_entry(void *arg, const struct fc_list_entry *entry) {
  struct list_print *print = arg;

  if (print->json)
    print_object(print, entry);
  else
    print_line(print, entry);
  print->n++;
}

void list_print_end(struct list_print *print) {
  if (print->json)
    (void)fputs(print->n ? "\n]\n" : "]\n", print->out);
}
