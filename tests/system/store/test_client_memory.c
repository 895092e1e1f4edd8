/* Memory that many clients make the daemon hold, each a little: unfinished frames, waiting
 * requests, unread replies. It stays within each client's floor and the budget, and other clients
 * are served. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/sanitizer.h"

#define CLIENTS_MAX 990
#define IN_TIME_MS 5000u /* below the stall timeout */
#define FRAME_BYTES 65520u
#define FLOORS_BYTES 14336u    /* of each client: more than either floor */
#define BESIDE_BYTES (4 << 20) /* for all clients: the smallest budget */

static struct daemon served;
static struct raw clients[CLIENTS_MAX];
static int n_clients;
static uint8_t bytes[256 << 10];

static void start(void) {
  harness_start(&served, "--no-region", "--max-bytes", "16M", "--max-value", "1M",
                "--client-budget", "4M", NULL);
}

static void start_roomy(void) {
  harness_start(&served, "--no-region", "--max-bytes", "64M", NULL);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* Returns the daemon's resident private memory. */
static long resident_bytes(void) {
  char path[64], *text, *at;
  long kib;
  (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)served.pid);
  text = harness_read_file(path, NULL);
  ck_assert_ptr_nonnull(text);
  at = strstr(text, "RssAnon:");
  ck_assert_ptr_nonnull(at);
  kib = strtol(at + strlen("RssAnon:"), NULL, 10);
  free(text);
  return kib * 1024;
}

/* A sanitizer keeps freed memory and its own metadata, so sizes mean nothing. */
static void expect_bounded(long before) {
  if (SANITIZER_SLOW)
    return;
  ck_assert_int_le(resident_bytes() - before, (long)n_clients * FLOORS_BYTES + BESIDE_BYTES);
}

/* As many as there are descriptors for. */
static void open_clients(void) {
  struct rlimit limit;
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
  n_clients = limit.rlim_max < CLIENTS_MAX + 50 ? (int)limit.rlim_max - 50 : CLIENTS_MAX;
  ck_assert_int_gt(n_clients, 200); /* with fewer, the test would show nothing */
  for (int i = 0; i < n_clients; i++)
    raw_open(&clients[i], served.socket, "many");
}

static void close_clients(void) {
  for (int i = 0; i < n_clients; i++)
    raw_close(&clients[i]);
}

static void send_what_fits(struct raw *raw, const void *data, size_t size) {
  ssize_t n = send(raw->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  ck_assert(n >= 0 || errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
}

static void put_value(struct raw *raw, const char *view, uint32_t size) {
  struct fc_put put = {.key = raw_key("op", view, 0, "p"), .value = bytes, .value_size = size};
  struct fc_reply reply;
  ck_assert_int_eq(raw_put(raw, &put, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_PUT);
}

static void get_value(struct raw *raw, const char *view, uint32_t size) {
  struct fc_get get = {.key = raw_key("op", view, 0, "p")};
  struct fc_reply reply;
  ck_assert_int_eq(raw_get(raw, &get, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_uint_eq(reply.get.value_size, size);
}

/* Of all sizes, with and without a reservation. */
static void expect_service(struct raw *raw) {
  static const uint32_t sizes[] = {0, 3000, 5000, 60000, 200000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    put_value(raw, "served", sizes[i]);
    get_value(raw, "served", sizes[i]);
  }
}

START_TEST(frames_unfinished_take_bounded_memory) {
  static uint8_t frame[FRAME_BYTES];
  struct raw other;
  raw_open(&other, served.socket, "good");
  open_clients();
  long before = resident_bytes();
  memcpy(frame, "FCA1", 4);
  frame[6] = (FRAME_BYTES - FC_FRAME_HEADER) >> 8;
  frame[7] = (FRAME_BYTES - FC_FRAME_HEADER) & 0xff;
  frame[8] = 0x9c;
  for (int i = 0; i < n_clients; i++)
    send_what_fits(&clients[i], frame, FRAME_BYTES - 10);
  expect_service(&other); /* the earlier ones are processed by then */
  expect_bounded(before);
  close_clients();
  raw_close(&other);
}
END_TEST

enum { LISTED = 110, PAGES = 60 };

/* A page of them has about 60 KB. */
static void put_long_names(struct raw *raw) {
  char name[FC_NAME_MAX + 1], prompt[16];
  struct fc_reply reply;
  memset(name, 'n', FC_NAME_MAX);
  name[FC_NAME_MAX] = '\0';
  for (int i = 0; i < LISTED; i++) {
    (void)snprintf(prompt, sizeof prompt, "%d", i);
    struct fc_put put = {.key = raw_key(name, name, 0, prompt), .value = bytes};
    ck_assert_int_eq(raw_put(raw, &put, &reply), RAW_REPLY);
  }
}

START_TEST(replies_unread_take_bounded_memory) {
  struct fc_buf buf = {0};
  struct raw other;
  raw_open(&other, served.socket, "good");
  put_long_names(&other);
  open_clients();
  long before = resident_bytes();
  for (int i = 0; i < n_clients;
       i++) { /* of other sizes, because the rest in the kernel depends on it */
    struct fc_list list = {.limit = LISTED - (uint32_t)i % 30};
    fc_buf_reset(&buf);
    for (uint32_t k = 0; k < PAGES; k++)
      (void)fc_encode_list(&buf, k, &list); /* `failed` is checked below */
    ck_assert(!buf.failed);
    send_what_fits(&clients[i], buf.data, buf.size);
  }
  uint64_t start_ns = harness_now_ns();
  while (harness_now_ns() - start_ns < UINT64_C(2000000000)) { /* as they are processed */
    expect_service(&other);
    expect_bounded(before);
  }
  fc_buf_free(&buf);
  close_clients();
  raw_close(&other);
}
END_TEST

/* Clients with small unfinished frames wait, continue, and are served. */
START_TEST(frames_waiting_are_served) {
  struct fc_put put = {.key = raw_key("op", "waited", 0, "p"), .value = bytes, .value_size = 50000};
  struct fc_buf buf = {0};
  struct fc_reply reply;
  open_clients();
  ck_assert_int_eq(fc_encode_put_head(&buf, 1, &put), 0);
  ck_assert_int_eq(fc_buf_append(&buf, bytes, put.value_size), 0);
  for (int round = 0; round < 2; round++) /* the second half: each sends the rest */
    for (int i = 0; i < 100; i++)
      ck_assert_int_eq(raw_send(&clients[i], buf.data + (round == 0 ? 0 : 20000),
                                round == 0 ? 20000 : buf.size - 20000),
                       0);
  for (int i = 0; i < 100; i++) {
    ck_assert_int_eq(raw_recv(&clients[i], &reply, IN_TIME_MS), RAW_REPLY);
    ck_assert_int_eq(reply.type, FC_REPLY | FC_PUT);
  }
  fc_buf_free(&buf);
  close_clients();
}
END_TEST

/* ---- however the bytes come ---- */

#define PUTS 300

static uint32_t random_below(uint32_t *state, uint32_t n) {
  *state = *state * 1664525u + 1013904223u;
  return (uint32_t)(((uint64_t)*state * n) >> 32);
}

/* Small, about the floor, about 64 KiB, and large. */
static uint32_t random_size(uint32_t *state) {
  static const uint32_t centres[] = {40, 4000, 16300, 65400, 130000};
  uint32_t centre = centres[random_below(state, 5)];
  return centre + random_below(state, centre < 100 ? 50 : 200);
}

static void append_put(struct fc_buf *buf, uint32_t id, uint32_t size) {
  char prompt[16];
  (void)snprintf(prompt, sizeof prompt, "%u", id);
  struct fc_put put = {
      .key = raw_key("op", "pieces", 0, prompt), .value = bytes + id, .value_size = size};
  ck_assert_int_eq(fc_encode_put_head(buf, id, &put), 0);
  ck_assert_int_eq(fc_buf_append(buf, bytes + id, size), 0);
}

/* Sends in pieces of random sizes, and reads the replies as they come. */
static void send_in_pieces(struct raw *raw, const struct fc_buf *buf, uint32_t most,
                           uint32_t *state) {
  struct fc_reply reply;
  size_t sent = 0;
  uint32_t answered = 0;
  while (sent < buf->size) {
    size_t size = 1 + random_below(state, most);
    size = size < buf->size - sent ? size : buf->size - sent;
    ck_assert_int_eq(raw_send(raw, buf->data + sent, size), 0);
    sent += size;
    while (raw_recv(raw, &reply, 0) == RAW_REPLY) {
      ck_assert_int_eq(reply.type, FC_REPLY | FC_PUT);
      ck_assert_uint_eq(reply.id, answered++);
    }
  }
  for (; answered < PUTS; answered++) {
    ck_assert_int_eq(raw_recv(raw, &reply, IN_TIME_MS), RAW_REPLY);
    ck_assert_uint_eq(reply.id, answered);
  }
}

static void expect_values(struct raw *raw, const uint32_t sizes[PUTS]) {
  struct fc_reply reply;
  char prompt[16];
  for (uint32_t id = 0; id < PUTS; id++) {
    (void)snprintf(prompt, sizeof prompt, "%u", id);
    struct fc_get get = {.key = raw_key("op", "pieces", 0, prompt)};
    ck_assert_int_eq(raw_get(raw, &get, &reply), RAW_REPLY);
    ck_assert_uint_eq(reply.get.value_size, sizes[id]);
    ck_assert_int_eq(memcmp(reply.get.value, bytes + id, sizes[id]), 0);
  }
}

/* With a wide budget, and with the smallest while `holder` holds the shared part. */
START_TEST(frames_in_pieces_are_reassembled) {
  static const uint32_t pieces[] = {3000, 9000, 70000, 300000};
  uint32_t sizes[PUTS], state = (uint32_t)_i + 1;
  struct fc_buf buf = {0};
  struct raw raw;
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(i * 2654435761u >> 13);
  for (uint32_t id = 0; id < PUTS; id++) {
    sizes[id] = random_size(&state);
    append_put(&buf, id, sizes[id]);
  }
  raw_open(&raw, served.socket, "good");
  send_in_pieces(&raw, &buf, pieces[_i], &state);
  expect_values(&raw, sizes);
  fc_buf_free(&buf);
  raw_close(&raw);
}
END_TEST

/* ---- behind a closed connection ---- */

static bool gets_in(void *arg) {
  struct raw *raw = arg;
  ck_assert_int_eq(raw_connect(raw, served.socket), 0);
  if (raw_hello(raw, "next", "good") == 0)
    return true;
  raw_close(raw);
  return false;
}

/* Unread replies are in the kernel's memory, which is charged to the daemon. */
START_TEST(client_with_unread_replies_counted_until_read) {
  struct raw one, next;
  harness_start(&served, "--no-region", "--max-clients", "1", NULL);
  raw_open(&one, served.socket, "good");
  put_value(&one, "view", 8000);
  struct fc_get get = {.key = raw_key("op", "view", 0, "p")};
  struct fc_reply reply;
  uint32_t id;
  ck_assert_int_eq(raw_send_get(&one, &get, &id), 0);
  ck_assert_int_eq(shutdown(one.fd, SHUT_WR), 0);
  struct pollfd end = {.fd = one.fd};
  ck_assert_int_eq(poll(&end, 1, (int)IN_TIME_MS), 1); /* POLLHUP: the daemon closed it */
  ck_assert(!gets_in(&next));
  ck_assert_int_eq(raw_recv(&one, &reply, IN_TIME_MS), RAW_REPLY);
  ck_assert_uint_eq(reply.get.value_size, 8000);
  ck_assert_int_eq(raw_recv(&one, &reply, IN_TIME_MS), RAW_CLOSED); /* the client saw the end */
  ck_assert(harness_wait_until(gets_in, &next, IN_TIME_MS));
  raw_close(&next);
  raw_close(&one);
  ck_assert_int_eq(harness_stop(&served), 0);
}
END_TEST

/* ---- the statistics ---- */

START_TEST(memory_counters_add_up) {
  static const char *const parts[] = {"region",     "messages", "sockets", "rings", "clients",
                                      "namespaces", "leases",   "trace",   "daemon"};
  uint64_t used = 0, bound = 0;
  char name[64];
  struct fcache *cache = library_open(served.socket, "stats", NULL, 0);
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    (void)snprintf(name, sizeof name, "memory_%s", parts[i]);
    uint64_t part = library_stat(cache, name);
    (void)snprintf(name, sizeof name, "memory_%s_bound", parts[i]);
    ck_assert_uint_le(part, library_stat(cache, name));
    used += part;
    bound += library_stat(cache, name);
  }
  ck_assert_uint_eq(library_stat(cache, "memory_used"), used);
  ck_assert_uint_eq(library_stat(cache, "memory_bound"), bound);
  ck_assert_uint_gt(used, 0);
  fcache_close(cache);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_memory");
  TCase *small = tcase_create("the smallest budget");
  TCase *roomy = tcase_create("the default budget");
  TCase *closed = tcase_create("closed");
  tcase_set_timeout(small, 100);
  tcase_add_checked_fixture(small, start, stop);
  tcase_add_test(small, frames_unfinished_take_bounded_memory);
  tcase_add_test(small, replies_unread_take_bounded_memory);
  tcase_add_test(small, frames_waiting_are_served);
  suite_add_tcase(suite, small);
  tcase_set_timeout(roomy, 60);
  tcase_add_checked_fixture(roomy, start_roomy, stop);
  tcase_add_loop_test(roomy, frames_in_pieces_are_reassembled, 0, 4);
  tcase_add_test(roomy, memory_counters_add_up);
  suite_add_tcase(suite, roomy);
  tcase_add_test(closed, client_with_unread_replies_counted_until_read);
  suite_add_tcase(suite, closed);
  return harness_main(suite);
}
