/* The encoders of requests; their contract is in message.h. */
#include "proto/wire/encode.h"

int fc_encode_hello(struct fc_buf *buf, uint32_t id, const struct fc_hello *hello) {
  size_t start;
  uint32_t version = hello->version_max;
  uint32_t fields = version >= 5 ? 8 : version >= 4 ? 7 : version >= 2 ? 6 : 5;
  msgpack_packer packer = fc_encode_begin(buf, FC_HELLO, id, fields, &start);

  msgpack_pack_uint32(&packer, hello->version_min);
  msgpack_pack_uint32(&packer, hello->version_max);
  fc_pack_str(&packer, hello->client);
  fc_pack_str_or_nil(&packer, hello->name_space);
  if (hello->has_max_entries)
    msgpack_pack_int64(&packer, hello->max_entries);
  else
    msgpack_pack_nil(&packer);
  if (version >= 2)
    msgpack_pack_uint32(&packer, hello->region_layout);
  if (version >= 4)
    fc_pack_str_or_nil(&packer, hello->manifest);
  if (version >= 5 && hello->has_max_bytes)
    msgpack_pack_uint64(&packer, hello->max_bytes);
  else if (version >= 5)
    msgpack_pack_nil(&packer);
  return fc_encode_end(buf, start, 0);
}

static void pack_key_names(msgpack_packer *packer, uint32_t flags, const struct fc_key *key) {
  msgpack_pack_uint32(packer, flags);
  fc_pack_str(packer, key->op);
  fc_pack_str(packer, key->view);
  msgpack_pack_uint32(packer, key->top_k);
}

static void pack_epoch(msgpack_packer *packer, const struct fc_epoch *epoch) {
  msgpack_pack_uint64(packer, epoch->boot_id);
  msgpack_pack_uint64(packer, epoch->clear_generation);
}

int fc_encode_get(struct fc_buf *buf, uint32_t id, const struct fc_get *get) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, FC_GET, id, get->has_terms ? 8 : 6, &start);

  pack_key_names(&packer, get->flags, &get->key);
  fc_pack_bin(&packer, get->key.prompt.bytes, FC_HASH_SIZE);
  fc_pack_str_or_nil(&packer, get->probe);
  if (get->has_terms) {
    msgpack_pack_uint32(&packer, get->terms.lease_ms);
    msgpack_pack_uint32(&packer, get->terms.wait_ms);
  }
  return fc_encode_end(buf, start, 0);
}

int fc_encode_put_head(struct fc_buf *buf, uint32_t id, const struct fc_put *put) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, FC_PUT, id, 10, &start);

  pack_key_names(&packer, put->flags, &put->key);
  fc_pack_bin(&packer, put->key.prompt.bytes, FC_HASH_SIZE);
  fc_pack_str_or_nil(&packer, put->probe);
  pack_epoch(&packer, &put->epoch);
  msgpack_pack_uint64(&packer, put->compute_ns);
  if (put->withheld)
    msgpack_pack_nil(&packer);
  else
    msgpack_pack_bin(&packer, put->value_size);
  return fc_encode_end(buf, start, put->withheld ? 0 : put->value_size);
}

int fc_encode_get_many(struct fc_buf *buf, uint32_t id, const struct fc_get_many *get) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, FC_GET_MANY, id, get->has_terms ? 7 : 6, &start);

  pack_key_names(&packer, get->flags, &get->key);
  fc_pack_bin(&packer, get->prompts, get->n * FC_HASH_SIZE);
  fc_pack_str_or_nil(&packer, get->probe);
  if (get->has_terms)
    msgpack_pack_uint32(&packer, get->terms.lease_ms);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_put_many_head(struct fc_buf *buf, uint32_t id, const struct fc_put_many *put) {
  size_t start; /* the caller knows it too, and finishes the frame */
  msgpack_packer packer = fc_encode_begin(buf, FC_PUT_MANY, id, 11, &start);

  pack_key_names(&packer, put->flags, &put->key);
  fc_pack_bin(&packer, put->prompts, put->n * FC_HASH_SIZE);
  fc_pack_str_or_nil(&packer, put->probe);
  pack_epoch(&packer, &put->epoch);
  msgpack_pack_uint64(&packer, put->compute_ns);
  msgpack_pack_uint32(&packer, put->batch);
  msgpack_pack_array(&packer, put->n);
  return fc_encode_so_far(buf);
}

int fc_encode_stats(struct fc_buf *buf, uint32_t id, struct fc_str name_space) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, FC_STATS, id, 1, &start);

  fc_pack_str_or_nil(&packer, name_space);
  return fc_encode_end(buf, start, 0);
}

static void pack_select(msgpack_packer *packer, const struct fc_select *select) {
  fc_pack_str_or_nil(packer, select->name_space);
  fc_pack_str_or_nil(packer, select->view);
  fc_pack_str_or_nil(packer, select->op);
}

int fc_encode_clear(struct fc_buf *buf, uint32_t id, const struct fc_select *select) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, FC_CLEAR, id, 3, &start);

  pack_select(&packer, select);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_list(struct fc_buf *buf, uint32_t id, const struct fc_list *list) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, FC_LIST, id, 5, &start);

  pack_select(&packer, &list->select);
  msgpack_pack_uint32(&packer, list->limit);
  fc_pack_bin(&packer, list->cursor, list->cursor_size);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_trace(struct fc_buf *buf, uint32_t id, const struct fc_trace *trace) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, FC_TRACE, id, 2, &start);

  msgpack_pack_uint32(&packer, trace->action);
  fc_pack_str_or_nil(&packer, trace->path);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_give_up(struct fc_buf *buf, uint32_t id, const struct fc_give_up *give_up) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, FC_GIVE_UP, id, 4, &start);
  bool all = give_up->key.op.data == NULL;

  fc_pack_str_or_nil(&packer, give_up->key.op);
  fc_pack_str_or_nil(&packer, all ? (struct fc_str){0} : give_up->key.view);
  msgpack_pack_uint32(&packer, all ? 0 : give_up->key.top_k);
  if (all)
    msgpack_pack_nil(&packer);
  else
    fc_pack_bin(&packer, give_up->prompts, give_up->n * FC_HASH_SIZE);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_page(struct fc_buf *buf, enum fc_type type, uint32_t id, const struct fc_page *page) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, type, id, 3, &start);

  fc_pack_str_or_nil(&packer, page->name_space);
  msgpack_pack_uint32(&packer, page->limit);
  fc_pack_bin(&packer, page->cursor, page->cursor_size);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_ring(struct fc_buf *buf, uint32_t id, const struct fc_ring_request *ring) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, FC_RING, id, 2, &start);

  msgpack_pack_uint32(&packer, ring->region_layout);
  msgpack_pack_uint32(&packer, ring->want_slots);
  return fc_encode_end(buf, start, 0);
}

int fc_encode_kill(struct fc_buf *buf, uint32_t id, uint64_t client_id) {
  size_t start;
  msgpack_packer packer = fc_encode_begin(buf, FC_KILL, id, 1, &start);

  msgpack_pack_uint64(&packer, client_id);
  return fc_encode_end(buf, start, 0);
}
