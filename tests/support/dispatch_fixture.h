/* dispatch_fixture.h - a dispatcher with a store and clients in memory, for the tests of requests/:
 * no socket and no loop. Call dispatch_set_up and dispatch_tear_down around each test. */
#ifndef FC_TESTS_DISPATCH_FIXTURE_H
#define FC_TESTS_DISPATCH_FIXTURE_H

#include "daemon/requests/dispatch.h"
#include "proto/wire/frame.h"
#include "tests/support/ring_builder.h"
#include "tests/support/traced.h"

#define DISPATCH_CLIENTS 4u
#define DISPATCH_VALUE_MAX 4096u
#define DISPATCH_REPLIES_MAX 2000u

/* A client with its replies. Client i has the id 11 + i and the pid 100 + i. */
struct test_client {
  struct reply_sink sink; /* first */
  struct session session;
  struct ring_builder writer; /* of its ring, if it has one */
  size_t room;                /* replies above this find no room */
  size_t room_wanted;         /* the most that the last request asked for */
  unsigned resumes;
  uint8_t *replies[DISPATCH_REPLIES_MAX]; /* frames */
  size_t sizes[DISPATCH_REPLIES_MAX];
  unsigned n, n_read;
  int fds[2];  /* duplicates of the index and the ring that came last; -1: none */
  bool no_fds; /* descriptors cannot be sent */
};

extern struct dispatch dispatch;
extern struct store store;
extern struct namespace_table namespaces;
extern struct users users;
extern struct traced traced; /* if set up with a trace */
extern struct test_client test_clients[DISPATCH_CLIENTS];

struct dispatch_options {
  size_t store_bytes; /* 0: 1 MiB */
  bool traced;
  bool rings;            /* clients can have rings */
  struct totals *totals; /* NULL: those of the dispatcher */
};
void dispatch_set_up(const struct dispatch_options *options);
void dispatch_tear_down(void); /* closes all clients */

/* Makes client number `i`, in addition to test_clients; frees it. */
void client_init(struct test_client *client, unsigned i);
void client_free(struct test_client *client);

/* Dispatches the request; the frame is kept. */
enum dispatch_result client_dispatch(struct test_client *client, const struct fc_buf *request);
/* Dispatches the request and frees the frame. The second asserts DISPATCH_DONE. */
enum dispatch_result client_send(struct test_client *client, struct fc_buf *request);
void client_request(struct test_client *client, struct fc_buf *request);

/* Returns the next reply; asserts that there is one. Borrows from the client. */
struct fc_reply client_reply(struct test_client *client);
/* Returns the last reply, and skips those before it. */
struct fc_reply client_last_reply(struct test_client *client);
bool client_has_reply(const struct test_client *client);
/* Returns the size of the last reply, with its header. */
size_t client_last_size(const struct test_client *client);

/* Returns a hello for namespace "ns" that can have a ring. */
struct fc_hello client_hello_of(uint32_t version_max);
/* Sends a hello; returns the welcome. */
struct fc_welcome client_hello(struct test_client *client, struct fc_hello hello);
/* Disconnects it, and makes it a new client. */
void client_disconnect(struct test_client *client);

/* Opens the writer of the ring whose descriptor came last. */
void client_open_ring(struct test_client *client);
void client_close_fds(struct test_client *client);
/* Records a hit on `key` in its ring, later than all before. */
void client_record_hit(struct test_client *client, const struct fc_key *key);

/* Returns a key with op "op" and view "base". The first two bytes of its prompt hash are the
 * number, the lower one first, so that a test can read it back. */
struct fc_key request_key(uint32_t n);

/* Puts `size` bytes of value `fill`, with id 200. With an epoch, the first value stays. */
enum dispatch_result client_put(struct test_client *client, const struct fc_key *key, uint8_t fill,
                                uint32_t size, struct fc_epoch epoch);

#endif
