/* The encoders of the replies that are lists: of entries, leases, clients, namespaces. Their
 * contract is in message.h. */
#include "proto/wire/encode.h"

int fc_encode_list_reply_head(struct fc_buf *buf, enum fc_type type, uint32_t id,
                              const uint8_t *cursor, uint32_t cursor_size, uint32_t n) {
  size_t start; /* the caller knows it too, and finishes the frame */
  msgpack_packer packer = fc_encode_begin(buf, (uint32_t)FC_REPLY | (uint32_t)type, id, 2, &start);

  fc_pack_bin(&packer, cursor, cursor_size);
  msgpack_pack_array(&packer, n);
  return fc_encode_so_far(buf);
}

static void pack_key(msgpack_packer *packer, const struct fc_key *key) {
  fc_pack_str(packer, key->op);
  fc_pack_str(packer, key->view);
  fc_pack_bin(packer, key->prompt.bytes, FC_HASH_SIZE);
  msgpack_pack_uint32(packer, key->top_k);
}

int fc_encode_list_entry(struct fc_buf *buf, const struct fc_list_entry *entry) {
  msgpack_packer packer = fc_packer(buf);

  msgpack_pack_array(&packer, 10);
  fc_pack_str(&packer, entry->name_space);
  pack_key(&packer, &entry->key);
  msgpack_pack_uint32(&packer, entry->value_size);
  msgpack_pack_uint64(&packer, entry->charge);
  msgpack_pack_uint64(&packer, entry->compute_ns);
  msgpack_pack_uint64(&packer, entry->idle_ns);
  msgpack_pack_uint64(&packer, entry->hits);
  return fc_encode_so_far(buf);
}

int fc_encode_lease_entry(struct fc_buf *buf, const struct fc_lease_entry *entry) {
  msgpack_packer packer = fc_packer(buf);

  msgpack_pack_array(&packer, 11);
  fc_pack_str(&packer, entry->name_space);
  pack_key(&packer, &entry->key);
  msgpack_pack_uint64(&packer, entry->client_id);
  fc_pack_str(&packer, entry->client);
  msgpack_pack_int64(&packer, entry->pid);
  msgpack_pack_uint64(&packer, entry->held_ns);
  msgpack_pack_uint64(&packer, entry->left_ns);
  msgpack_pack_uint32(&packer, entry->waits);
  return fc_encode_so_far(buf);
}

static void pack_held(msgpack_packer *packer, const struct fc_client_entry *entry) {
  if (entry->held.op.data == NULL) {
    msgpack_pack_nil(packer);
    return;
  }
  msgpack_pack_array(packer, 4);
  pack_key(packer, &entry->held);
}

static void pack_wait(msgpack_packer *packer, const struct fc_client_entry *entry) {
  if (entry->wait.key.op.data == NULL) {
    msgpack_pack_nil(packer);
    return;
  }
  msgpack_pack_array(packer, 8);
  pack_key(packer, &entry->wait.key);
  msgpack_pack_uint64(packer, entry->wait.waited_ns);
  msgpack_pack_uint64(packer, entry->wait.owner_id);
  fc_pack_str(packer, entry->wait.owner);
  msgpack_pack_int64(packer, entry->wait.owner_pid);
}

static void pack_user(msgpack_packer *packer, const struct fc_user_entry *user) {
  msgpack_pack_array(packer, 7);
  msgpack_pack_uint64(packer, user->connections);
  msgpack_pack_uint64(packer, user->namespaces);
  msgpack_pack_uint64(packer, user->leases);
  msgpack_pack_uint64(packer, user->waits);
  msgpack_pack_uint64(packer, user->ring_bytes);
  msgpack_pack_uint64(packer, user->message_bytes);
  msgpack_pack_uint64(packer, user->manifest_bytes);
}

int fc_encode_client_entry(struct fc_buf *buf, const struct fc_client_entry *entry) {
  msgpack_packer packer = fc_packer(buf);

  msgpack_pack_array(&packer, 14);
  msgpack_pack_uint64(&packer, entry->client_id);
  fc_pack_str(&packer, entry->client);
  msgpack_pack_int64(&packer, entry->pid);
  msgpack_pack_uint32(&packer, entry->uid);
  fc_pack_str_or_nil(&packer, entry->name_space);
  if (entry->region)
    msgpack_pack_true(&packer);
  else
    msgpack_pack_false(&packer);
  msgpack_pack_uint64(&packer, entry->connected_ns);
  msgpack_pack_uint64(&packer, entry->hits);
  msgpack_pack_uint64(&packer, entry->shared_hits);
  msgpack_pack_uint32(&packer, entry->leases);
  pack_held(&packer, entry);
  msgpack_pack_uint32(&packer, entry->waits);
  pack_wait(&packer, entry);
  if (entry->has_user)
    pack_user(&packer, &entry->user);
  else
    msgpack_pack_nil(&packer);
  return fc_encode_so_far(buf);
}

int fc_encode_namespace_entry(struct fc_buf *buf, const struct fc_namespace_entry *entry) {
  msgpack_packer packer = fc_packer(buf);

  msgpack_pack_array(&packer, 9);
  fc_pack_str(&packer, entry->name_space);
  fc_pack_str_or_nil(&packer, entry->manifest);
  msgpack_pack_uint64(&packer, entry->entries);
  msgpack_pack_uint64(&packer, entry->bytes);
  msgpack_pack_uint64(&packer, entry->hits);
  msgpack_pack_uint64(&packer, entry->misses);
  msgpack_pack_uint32(&packer, entry->clients);
  msgpack_pack_uint64(&packer, entry->idle_ns);
  if (entry->max_bytes > 0)
    msgpack_pack_uint64(&packer, entry->max_bytes);
  else
    msgpack_pack_nil(&packer);
  return fc_encode_so_far(buf);
}
