#include "crash_admin.h"

#include <string.h>

#include "client/lib/admin/admin.h"
#include "proto/errors.h"

bool crash_admin_clear(const char *socket, struct crash_place place) {
  struct fc_clear request = {.select.name_space = fc_str_of(crash_space_name(place.space)),
                             .select.view = fc_str_of(crash_view_name(place.view)),
                             .select.op = fc_str_of(crash_op_name(place.op))};
  struct fcache_error error;
  struct admin *admin;
  uint64_t removed;
  if (admin_open(socket, NULL, CRASH_DEADLINE_MS, &admin, &error) < 0)
    return false;
  bool acked = admin_clear(admin, &request, &removed) == 0;
  admin_close(admin);
  return acked;
}

bool crash_admin_delete(const char *socket, uint32_t key) {
  struct crash_place place = crash_key_place(key);
  struct fcache_key wire = crash_key_of(key);
  struct fc_delete request = {
      .name_space = fc_str_of(crash_space_name(place.space)),
      .key = {.op = fc_str_of(wire.op), .view = fc_str_of(wire.view), .top_k = wire.top_k}};
  struct fcache_error error;
  struct admin *admin;
  bool existed;
  memcpy(request.key.prompt.bytes, &wire.prompt, sizeof request.key.prompt.bytes);
  if (admin_open(socket, NULL, CRASH_DEADLINE_MS, &admin, &error) < 0)
    return false;
  bool acked = admin_delete(admin, &request, &existed) == 0;
  admin_close(admin);
  return acked;
}

/* Sends the buffer and frees it. Returns whether a reply came. */
static bool call(struct raw *raw, struct fc_buf *buf, struct fc_reply *reply) {
  bool sent = raw_send_buf(raw, buf) == 0;
  fc_buf_free(buf);
  return sent && raw_recv(raw, reply, CRASH_DEADLINE_MS) == RAW_REPLY;
}

static bool open_raw(struct raw *raw, const char *socket) {
  bool good = raw_connect(raw, socket) == 0 && raw_hello(raw, "admin", NULL) == 0;
  if (!good)
    raw_close(raw);
  return good;
}

/* Returns whether the reply is of the type. An error is a fault. */
static bool is_reply(struct crash_board *board, const struct fc_reply *reply, enum fc_type type) {
  if (reply->type == FC_ERROR)
    crash_report(board, CRASH_OTHER, "request %u: %.*s", type, (int)reply->error.text.size,
                 reply->error.text.data);
  return (int)reply->type == (FC_REPLY | (int)type);
}

/* ---- snapshots ---- */

void crash_admin_snapshot_forget(struct crash_snapshot *snapshot) {
  if (snapshot->is_awaited)
    raw_close(&snapshot->raw);
  *snapshot = (struct crash_snapshot){0};
}

static bool call_snapshot(struct crash_snapshot *snapshot, struct crash_board *board,
                          enum fc_snapshot_action action, struct fc_reply *reply) {
  struct fc_buf buf = {0};
  (void)fc_encode_snapshot(&buf, snapshot->raw.next_id++, action); /* the buffer keeps a failure */
  return call(&snapshot->raw, &buf, reply) && is_reply(board, reply, FC_SNAPSHOT);
}

static void request(struct crash_snapshot *snapshot, struct crash_board *board,
                    const char *socket) {
  struct fc_reply reply;
  snapshot->begun = crash_tick(board);
  snapshot->is_awaited = open_raw(&snapshot->raw, socket);
  if (snapshot->is_awaited && call_snapshot(snapshot, board, FC_SNAPSHOT_START, &reply) &&
      reply.snapshot.started)
    snapshot->number = reply.snapshot.running;
  else
    crash_admin_snapshot_forget(snapshot);
}

static void look(struct crash_snapshot *snapshot, struct crash_board *board) {
  struct fc_reply reply;
  bool replied = call_snapshot(snapshot, board, FC_SNAPSHOT_STATUS, &reply);
  if (replied && reply.snapshot.ended < snapshot->number)
    return;
  if (replied && reply.snapshot.ended == snapshot->number) {
    if (reply.snapshot.error.size > 0)
      crash_report(board, CRASH_OTHER, "a snapshot failed: %.*s", (int)reply.snapshot.error.size,
                   reply.snapshot.error.data);
    else
      atomic_store(&board->snapshot, snapshot->begun);
    atomic_fetch_add(&board->snapshots, 1);
  }
  crash_admin_snapshot_forget(snapshot);
}

void crash_admin_snapshot(struct crash_snapshot *snapshot, struct crash_board *board,
                          const char *socket) {
  if (snapshot->is_awaited)
    look(snapshot, board);
  else
    request(snapshot, board, socket);
}

/* ---- settings ---- */

void crash_admin_resize(struct crash_board *board, const char *socket, const char *max_bytes) {
  struct fc_set set = {.name = fc_str_of("max-bytes"), .value = fc_str_of(max_bytes)};
  struct fc_buf buf = {0};
  struct fc_reply reply;
  struct raw raw;
  if (!open_raw(&raw, socket))
    return;
  (void)fc_encode_set(&buf, raw.next_id++, &set); /* the buffer keeps a failure */
  bool called = call(&raw, &buf, &reply);
  bool is_busy = called && reply.type == FC_ERROR && reply.error.code == FC_EREFUSED;
  /* Refused while entries still move, after an adoption or the resize before. */
  if (called && !is_busy && is_reply(board, &reply, FC_SET))
    atomic_fetch_add(&board->resizes, 1);
  raw_close(&raw);
}
