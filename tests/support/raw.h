/* raw.h - a bare connection that speaks the protocol or breaks it, for tests below the client
 * library. Uses only proto/. */
#ifndef FC_TESTS_RAW_H
#define FC_TESTS_RAW_H

#include <stddef.h>
#include <stdint.h>

#include "proto/shm/region_layout.h"
#include "proto/wire/message.h"

struct raw {
  int fd; /* -1: none */
  uint8_t *in;
  size_t in_size, in_capacity;
  size_t taken;      /* bytes of `in` that the last reply used */
  uint32_t next_id;  /* the id of the next request */
  uint64_t boot_id;  /* of the welcome */
  uint32_t max_body; /* FC_HELLO_FRAME_MAX until the welcome */
  /* of the welcome: the index and its segments, and the ring, -1: none */
  int region_fds[FC_REGION_FDS_MAX], ring_fd;
  unsigned n_region_fds;
  uint64_t namespace_id;
};

enum raw_result {
  RAW_REPLY = 0,
  RAW_CLOSED = 1,  /* the daemon closed or reset the connection */
  RAW_TIMEOUT = 2, /* no whole frame in time */
};

/* Connects (blocking, close-on-exec). Returns 0 or -errno, and initialises `raw` in both cases. */
int raw_connect(struct raw *raw, const char *socket_path);

/* Closes the descriptors too. Idempotent. */
void raw_close(struct raw *raw);

/* Closes the descriptors of the region and the ring alone. Idempotent. */
void raw_close_shared(struct raw *raw);

/* Maps the region read-only. Returns its address and *size, or NULL if there is none. The caller
 * unmaps it. */
const uint8_t *raw_map_region(const struct raw *raw, size_t *size);

/* Connects and sends a hello. Fails the test unless a welcome comes. `name_space` NULL: none. */
void raw_open(struct raw *raw, const char *socket_path, const char *name_space);

/* Sends a hello and reads the reply. Returns 0 for a welcome, the negative code of an error reply,
 * or a positive raw_result. */
int raw_hello(struct raw *raw, const char *client, const char *name_space);

/* Does raw_open for a client that speaks no version above `version`. */
void raw_open_version(struct raw *raw, const char *socket_path, const char *name_space,
                      uint32_t version);

/* Connect and send a hello that asks for the region. raw_open_region fails the test unless the
 * region and the ring come. raw_try_region is for child processes, which must not use Check: it
 * returns 0 only if both came. */
void raw_open_region(struct raw *raw, const char *socket_path, const char *client,
                     const char *name_space);
int raw_try_region(struct raw *raw, const char *socket_path, const char *client,
                   const char *name_space);

/* Sends all the bytes. Returns 0 or -errno (-EPIPE without a signal if the peer is gone). */
int raw_send(struct raw *raw, const void *data, size_t size);

/* Sends the bytes of `buf` and empties it. */
int raw_send_buf(struct raw *raw, struct fc_buf *buf);

/* Reads the next reply, to any request. Returns a raw_result, or a negative code for a malformed
 * reply. *reply points into `raw` until the next call. */
int raw_recv(struct raw *raw, struct fc_reply *reply, unsigned timeout_ms);

/* Send a request and read its reply within 5 s, as raw_recv. */
int raw_put(struct raw *raw, const struct fc_put *put, struct fc_reply *reply);
int raw_get(struct raw *raw, const struct fc_get *get, struct fc_reply *reply);

/* Gives up the lease on `key`, or all leases of the connection if it is NULL. */
int raw_give_up(struct raw *raw, const struct fc_key *key, struct fc_reply *reply);

/* Sends a get without reading its reply. Returns 0 and the id of the request, or -errno. */
int raw_send_get(struct raw *raw, const struct fc_get *get, uint32_t *id);

/* Returns a get that asks for the key's lease, and waits up to `wait_ms` if another client has it.
 */
struct fc_get raw_lease_get(const struct fc_key *key, uint32_t lease_ms, uint32_t wait_ms);

/* Returns a key of NUL-terminated names and a prompt's text. */
struct fc_key raw_key(const char *op, const char *view, uint32_t top_k, const char *prompt);

#endif
