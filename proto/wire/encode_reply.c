/* The encoders of replies; their contract is in message.h. */
#include "proto/wire/encode.h"

#define REPLY_TO(type) ((uint32_t)FC_REPLY | (uint32_t)(type))

int fc_encode_welcome(struct fc_buf *buf, uint32_t id, const struct fc_welcome *welcome) {
  size_t start;
  msgpack_packer packer =
      fc_encode_begin(buf, REPLY_TO(FC_HELLO), id, welcome->version >= 2 ? 8 : 6, &start);

  msgpack_pack_uint32(&packer, welcome->version);
  fc_pack_str(&packer, welcome->server);
  msgpack_pack_uint64(&packer, welcome->boot_id);
  msgpack_pack_uint64(&packer, welcome->clear_generation);
  msgpack_pack_uint32(&packer, welcome->max_value);
  msgpack_pack_uint32(&packer, welcome->max_frame);
  if (welcome->version >= 2) {
    msgpack_pack_uint64(&packer, welcome->namespace_id);
    msgpack_pack_uint64(&packer, welcome->client_id);
  }
  return fc_encode_end(buf, start, 0);
}

int fc_encode_miss(struct fc_buf *buf, uint32_t id, uint64_t clear_generation) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, REPLY_TO(FC_GET), id, 2, &start);

  msgpack_pack_uint64(&packer, clear_generation);
  msgpack_pack_nil(&packer);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_miss_lease(struct fc_buf *buf, uint32_t id, uint64_t clear_generation,
                         enum fc_lease_state lease) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, REPLY_TO(FC_GET), id, 3, &start);

  msgpack_pack_uint64(&packer, clear_generation);
  msgpack_pack_nil(&packer);
  msgpack_pack_uint32(&packer, lease);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_hit_head(struct fc_buf *buf, uint32_t id, uint64_t clear_generation,
                       uint32_t value_size) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, REPLY_TO(FC_GET), id, 2, &start);

  msgpack_pack_uint64(&packer, clear_generation);
  msgpack_pack_bin(&packer, value_size);
  return fc_encode_end(buf, start, value_size);
}

int fc_encode_waited_hit_head(struct fc_buf *buf, uint32_t id, uint64_t clear_generation,
                              uint32_t value_size) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, REPLY_TO(FC_GET), id, 3, &start);

  msgpack_pack_uint64(&packer, clear_generation);
  msgpack_pack_bin(&packer, value_size);
  return fc_encode_end(buf, start, value_size + 1);
}

int fc_encode_put_reply(struct fc_buf *buf, uint32_t id, enum fc_put_outcome outcome) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, REPLY_TO(FC_PUT), id, 1, &start);

  msgpack_pack_uint32(&packer, outcome);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_get_many_reply_head(struct fc_buf *buf, uint32_t id,
                                  const struct fc_get_many_reply *reply) {
  size_t start; /* the caller knows it too, and finishes the frame */
  msgpack_packer packer =
      fc_encode_begin(buf, REPLY_TO(FC_GET_MANY), id, reply->n_leases > 0 ? 5 : 4, &start);

  msgpack_pack_uint64(&packer, reply->clear_generation);
  msgpack_pack_uint32(&packer, reply->first);
  if (reply->last)
    msgpack_pack_true(&packer);
  else
    msgpack_pack_false(&packer);
  msgpack_pack_array(&packer, reply->values.n);
  return fc_encode_so_far(buf);
}

int fc_encode_leases(struct fc_buf *buf, const uint8_t *leases, uint32_t n) {
  msgpack_packer packer = fc_packer(buf);

  fc_pack_bin(&packer, leases, n);
  return fc_encode_so_far(buf);
}

int fc_encode_put_many_reply(struct fc_buf *buf, uint32_t id,
                             const struct fc_put_many_reply *reply) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, REPLY_TO(FC_PUT_MANY), id, 4, &start);

  msgpack_pack_uint32(&packer, reply->stored);
  msgpack_pack_uint32(&packer, reply->kept);
  msgpack_pack_uint32(&packer, reply->stale);
  msgpack_pack_uint32(&packer, reply->too_big);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_stats_reply_head(struct fc_buf *buf, uint32_t id) {
  size_t start; /* the caller knows it too, and finishes the frame */

  (void)fc_encode_begin(buf, REPLY_TO(FC_STATS), id, 2,
                        &start); /* the fields come piece by piece */
  return fc_encode_so_far(buf);
}

int fc_encode_stat_uint(struct fc_buf *buf, const char *name, uint64_t value) {
  msgpack_packer packer = fc_packer(buf);

  fc_pack_str(&packer, fc_str_of(name));
  msgpack_pack_uint64(&packer, value);
  return fc_encode_so_far(buf);
}

int fc_encode_stat_real(struct fc_buf *buf, const char *name, double value) {
  msgpack_packer packer = fc_packer(buf);

  fc_pack_str(&packer, fc_str_of(name));
  msgpack_pack_double(&packer, value);
  return fc_encode_so_far(buf);
}

int fc_encode_stat_text(struct fc_buf *buf, const char *name, struct fc_str value) {
  msgpack_packer packer = fc_packer(buf);

  fc_pack_str(&packer, fc_str_of(name));
  fc_pack_str(&packer, value);
  return fc_encode_so_far(buf);
}

int fc_encode_given_up(struct fc_buf *buf, uint32_t id, uint32_t given_up) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, REPLY_TO(FC_GIVE_UP), id, 1, &start);

  msgpack_pack_uint32(&packer, given_up);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_killed(struct fc_buf *buf, uint32_t id, bool killed) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, REPLY_TO(FC_KILL), id, 1, &start);

  if (killed)
    msgpack_pack_true(&packer);
  else
    msgpack_pack_false(&packer);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_cleared(struct fc_buf *buf, uint32_t id, uint64_t removed) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, REPLY_TO(FC_CLEAR), id, 1, &start);

  msgpack_pack_uint64(&packer, removed);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_trace_reply(struct fc_buf *buf, uint32_t id, const struct fc_trace_reply *reply) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, REPLY_TO(FC_TRACE), id, 4, &start);

  if (reply->on)
    msgpack_pack_true(&packer);
  else
    msgpack_pack_false(&packer);
  fc_pack_str_or_nil(&packer, reply->path);
  msgpack_pack_uint64(&packer, reply->lines);
  msgpack_pack_uint64(&packer, reply->lost);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_ring_reply(struct fc_buf *buf, uint32_t id, const struct fc_ring_reply *reply) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, REPLY_TO(FC_RING), id, 2, &start);

  msgpack_pack_uint64(&packer, reply->namespace_id);
  msgpack_pack_uint64(&packer, reply->client_id);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_error(struct fc_buf *buf, uint32_t id, int code, struct fc_str text) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, FC_ERROR, id, 2, &start);

  msgpack_pack_uint32(&packer, (uint32_t)-code); /* positive on the wire */
  fc_pack_str(&packer, text);
  return fc_encode_end(buf, start, 0);
}
