#include "client/ctl/print/print_leases.h"

#include "client/ctl/print/render.h"

/* ---- for people ---- */

/* What the figures, at their widest, leave of RENDER_COLUMNS. */
struct layout {
  size_t name_space, op, view, client;
};

static struct layout layout_of(const struct rows *rows) {
  return rows->one_namespace ? (struct layout){0, 15, 10, 12} : (struct layout){9, 10, 6, 11};
}

static void print_header(const struct rows *rows) {
  struct layout layout = layout_of(rows);

  rows_name(rows->out, fc_str_of("NAMESPACE"), layout.name_space);
  rows_name(rows->out, fc_str_of("OP"), layout.op);
  rows_name(rows->out, fc_str_of("VIEW"), layout.view);
  (void)fprintf(rows->out, "%-*s ", ROWS_HASH_DIGITS, "PROMPT");
  rows_name(rows->out, fc_str_of("CLIENT"), layout.client);
  (void)fprintf(rows->out, "%7s %7s %7s %7s\n", "PID", "HELD", "LEFT", "WAITING");
}

static void print_line(const struct rows *rows, const struct fc_lease_entry *lease) {
  char pid[RENDER_SIZE], held[RENDER_SIZE], left[RENDER_SIZE], waiting[RENDER_SIZE],
      hash[FC_HASH_HEX_SIZE];
  struct layout layout = layout_of(rows);

  fc_hash_hex(&lease->key.prompt, hash);
  rows_name(rows->out, lease->name_space, layout.name_space);
  rows_name(rows->out, lease->key.op, layout.op);
  rows_name(rows->out, lease->key.view, layout.view);
  (void)fprintf(rows->out, "%.*s ", ROWS_HASH_DIGITS, hash);
  rows_name(rows->out, lease->client, layout.client);
  (void)fprintf(rows->out, "%7s %7s %7s %7s\n", render_pid(lease->pid, pid),
                render_seconds((double)lease->held_ns / 1e9, held),
                render_seconds((double)lease->left_ns / 1e9, left),
                render_count(lease->waits, waiting));
}

/* ---- for programs ---- */

static json_t *object_of(const struct fc_lease_entry *lease) {
  json_t *rest = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "client", rows_string(lease->client),
                           "client_id", rows_integer(lease->client_id), "pid", rows_pid(lease->pid),
                           "held_s", rows_seconds(lease->held_ns), "left_s",
                           rows_seconds(lease->left_ns), "waits", rows_integer(lease->waits));

  return rows_with_key(&lease->name_space, &lease->key, rest);
}

/* ---- both ---- */

void leases_print_lease(void *arg, const struct fc_lease_entry *lease) {
  struct rows *rows = arg;

  if (rows->json) {
    rows_object(rows, object_of(lease));
    return;
  }
  if (rows->n == 0)
    print_header(rows);
  print_line(rows, lease);
  rows->n++;
}
