/* raw.h - a bare connection that speaks the protocol, or breaks it: for tests
 * that go below the client library. Built on proto/ alone. */
#ifndef FC_TESTS_RAW_H
#define FC_TESTS_RAW_H

#include <stddef.h>
#include <stdint.h>

#include "proto/wire/message.h"

struct raw {
  int fd; /* -1: none */
  uint8_t *in;
  size_t in_size, in_capacity;
  size_t taken;           /* bytes of `in` that the last reply used */
  uint32_t next_id;       /* for the caller: the ids of its requests */
  uint64_t boot_id;       /* of the welcome */
  uint32_t max_body;      /* FC_HELLO_FRAME_MAX until the welcome */
  int region_fd, ring_fd; /* that came with the welcome; -1: none */
  uint64_t namespace_id;  /* of the welcome */
};

enum raw_result {
  RAW_REPLY = 0,
  RAW_CLOSED = 1,  /* the peer closed or reset */
  RAW_TIMEOUT = 2, /* nothing whole within the bound */
};

/* Connects (blocking, close-on-exec). 0 or -errno; `raw` is initialised either way. */
int raw_connect(struct raw *raw, const char *socket_path);

/* Closes the descriptors too. Idempotent. */
void raw_close(struct raw *raw);

/* Connects and says hello; ends the test unless a welcome comes. `name_space` NULL: none. */
void raw_open(struct raw *raw, const char *socket_path, const char *name_space);

/* Sends hello and takes the answer: 0 for a welcome, the (negative) code of an
 * error reply, or a positive raw_result. */
int raw_hello(struct raw *raw, const char *client, const char *name_space);

/* The same, of a client that speaks no version after `version`. */
void raw_open_version(struct raw *raw, const char *socket_path, const char *name_space,
                      uint32_t version);

/* Connects and says hello as a client that asks for the region; it and the ring must come. The
 * first ends the test where they do not; the second, for children, which must not use Check,
 * returns 0 only where they did. */
void raw_open_region(struct raw *raw, const char *socket_path, const char *client,
                     const char *name_space);
int raw_try_region(struct raw *raw, const char *socket_path, const char *client,
                   const char *name_space);

/* Sends all the bytes. 0 or -errno (-EPIPE: the peer is gone; no signal). */
int raw_send(struct raw *raw, const void *data, size_t size);

/* Sends what an encoder left in `buf`, and empties it. */
int raw_send_buf(struct raw *raw, struct fc_buf *buf);

/* The next reply, whichever request it answers: a raw_result, or a negative code
 * where what came is no reply. *reply borrows from `raw` until the next call. */
int raw_recv(struct raw *raw, struct fc_reply *reply, unsigned timeout_ms);

/* Requests in one piece: sent, answered within 5 s, *reply as above. */
int raw_put(struct raw *raw, const struct fc_put *put, struct fc_reply *reply);
int raw_get(struct raw *raw, const struct fc_get *get, struct fc_reply *reply);

/* Of the namespace's leases that the client has: on `key`, or all, where it is NULL. */
int raw_give_up(struct raw *raw, const struct fc_key *key, struct fc_reply *reply);

/* Sends a get, whose answer may take its time: 0, with the request's id, or -errno. */
int raw_ask(struct raw *raw, const struct fc_get *get, uint32_t *id);

/* A get that wants the key's lease, and waits up to `wait_ms` where another client has that. */
struct fc_get raw_lease_get(const struct fc_key *key, uint32_t lease_ms, uint32_t wait_ms);

/* A key of NUL-terminated names and a prompt's text. */
struct fc_key raw_key(const char *op, const char *view, uint32_t top_k, const char *prompt);

#endif
