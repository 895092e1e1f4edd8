/* Clients that break the protocol or the bounds: faults 15, 16, 17 and 18. Each
 * costs that client its connection, and other clients nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

static struct daemon served;

static void start(void) {
  harness_start(&served, "--max-clients", "50", "--max-value", "1M", "--client-budget", "8M",
                "--verbose", NULL);
}

/* For tests of the timeouts only: a busy machine may exceed them in any other. */
static void start_hasty(void) {
  harness_start(&served, "--hello-timeout", "1", "--stall-timeout", "1", "--max-clients", "50",
                "--max-value", "1M", "--client-budget", "8M", NULL);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* The daemon still serves others. */
static void assert_serves(void) {
  struct raw raw;
  struct fc_reply reply;
  raw_open(&raw, served.socket, "others");
  struct fc_put put = {.key = raw_key("op", "view", 0, "prompt"),
                       .value = (const uint8_t *)"value",
                       .value_size = 5};
  ck_assert_int_eq(raw_put(&raw, &put, &reply), RAW_REPLY);
  struct fc_get get = {.key = put.key};
  ck_assert_int_eq(raw_get(&raw, &get, &reply), RAW_REPLY);
  ck_assert_uint_eq(reply.get.value_size, 5);
  ck_assert_mem_eq(reply.get.value, "value", 5);
  raw_close(&raw);
}

/* Sends bytes. The daemon must reply with the error and close the connection. */
static void expect_error_then_end(struct raw *raw, const void *bytes, size_t size, int code,
                                  const char *text) {
  struct fc_reply reply;
  ck_assert_int_eq(raw_send(raw, bytes, size), 0);
  ck_assert_int_eq(raw_recv(raw, &reply, 5000), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_ERROR);
  ck_assert_int_eq(reply.error.code, code);
  ck_assert_msg(memmem(reply.error.text.data, reply.error.text.size, text, strlen(text)) != NULL,
                "\"%.*s\" does not say \"%s\"", (int)reply.error.text.size, reply.error.text.data,
                text);
  ck_assert_int_eq(raw_recv(raw, &reply, 5000), RAW_CLOSED);
  raw_close(raw);
}

static void expect_refusal(const void *bytes, size_t size, int code, const char *text) {
  struct raw raw;
  ck_assert_int_eq(raw_connect(&raw, served.socket), 0);
  expect_error_then_end(&raw, bytes, size, code, text);
  raw_open(&raw, served.socket, "hostile"); /* the same after a good hello */
  expect_error_then_end(&raw, bytes, size, code, text);
}

START_TEST(malformed_frame_refused_with_reason) {
  uint8_t deep[FC_FRAME_HEADER + 1000];
  fc_frame_put_header(deep, 1000);
  memset(deep + FC_FRAME_HEADER, 0x91, 1000); /* arrays of one, a thousand deep */
  expect_refusal("GET / HTTP/1.1\r\n", 16, FC_EPROTOCOL, "this is no frame");
  expect_refusal("FCA1\0\0\0\0", 8, FC_EPROTOCOL, "this is no frame"); /* length 0 */
  expect_refusal("FCA1\xff\xff\xff\xff", 8, FC_EFRAME, "a body of 4294967295 bytes is larger than");
  expect_refusal(deep, sizeof deep, FC_EPROTOCOL, "one msgpack array that begins with a type");
  expect_refusal("FCA1\0\0\0\3\xc0\xc0\xc0", 11, FC_EPROTOCOL, "must be one msgpack array");
  expect_refusal("FCA1\0\0\0\3\x92\xa1x", 11, FC_EPROTOCOL, "a type and an id, integers");
  expect_refusal("FCA1\0\0\0\3\x92\x02\x01", 11, FC_EPROTOCOL, "get has 0 fields: flags and");
  expect_refusal("FCA1\0\0\0\3\x92\x33\x01", 11, FC_EPROTOCOL, "no request of type 0x33");
  expect_refusal("FCA1\0\0\0\6\xdd\xff\xff\xff\xff\x02", 14, FC_EPROTOCOL, "must be one msgpack");
  assert_serves();
}
END_TEST

START_TEST(request_before_hello_refused) {
  struct raw raw;
  struct fc_buf buf = {0};
  ck_assert_int_eq(fc_encode_simple(&buf, FC_PING, 7), 0);
  ck_assert_int_eq(raw_connect(&raw, served.socket), 0);
  expect_error_then_end(&raw, buf.data, buf.size, FC_ENOHELLO, "hello");
  fc_buf_free(&buf);
  assert_serves();
}
END_TEST

/* The error names the reason, and the connection stays open. */
static void expect_error(struct raw *raw, struct fc_buf *buf, int code, const char *text) {
  struct fc_reply reply;
  ck_assert_int_eq(raw_send_buf(raw, buf), 0);
  ck_assert_int_eq(raw_recv(raw, &reply, 5000), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_ERROR);
  ck_assert_int_eq(reply.error.code, code);
  ck_assert_msg(memmem(reply.error.text.data, reply.error.text.size, text, strlen(text)) != NULL,
                "%.*s", (int)reply.error.text.size, reply.error.text.data);
  fc_buf_free(buf);
}

START_TEST(value_over_limit_refused_with_reason) {
  static const struct {
    int64_t max_entries;
    const char *text;
  } cases[] = {{0, "max_entries must be positive; got 0"},
               {-7, "max_entries must be positive; got -7"},
               {INT64_MIN, "max_entries must be positive; got -9223372036854775808"}};
  struct raw raw;
  struct fc_buf buf = {0};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fc_hello hello = {.version_min = FC_PROTOCOL_VERSION_MIN,
                             .version_max = FC_PROTOCOL_VERSION,
                             .client = fc_str_of("limits"),
                             .name_space = fc_str_of("limits"),
                             .has_max_entries = true,
                             .max_entries = cases[i].max_entries};
    ck_assert_int_eq(raw_connect(&raw, served.socket), 0);
    ck_assert_int_eq(fc_encode_hello(&buf, 1, &hello), 0);
    expect_error(&raw, &buf, FC_EMAXENTRIES, cases[i].text);
    raw_close(&raw);
  }
  static uint8_t value[(1 << 20) + 1]; /* one more than --max-value */
  struct fc_put put = {
      .key = raw_key("op", "view", 0, "large"), .value = value, .value_size = sizeof value};
  raw_open(&raw, served.socket, "limits");
  ck_assert_int_eq(fc_encode_put_head(&buf, 2, &put), 0);
  ck_assert_int_eq(fc_buf_append(&buf, value, sizeof value), 0);
  expect_error(&raw, &buf, FC_ETOOBIG, "1048576");
  raw_close(&raw);
  assert_serves();
}
END_TEST

static void expect_losses(struct fcache *cache, uint64_t refused, uint64_t dropped) {
  ck_assert_uint_eq(library_stat(cache, "refused"), refused);
  ck_assert_uint_eq(library_stat(cache, "dropped"), dropped);
}

START_TEST(refused_and_dropped_clients_counted_and_logged) {
  struct fcache *cache = library_open(served.socket, "stats", NULL, 0);
  struct fc_hello hello = {.version_min = FC_PROTOCOL_VERSION_MIN,
                           .version_max = FC_PROTOCOL_VERSION,
                           .client = fc_str_of("bad\nname")};
  struct fc_buf buf = {0};
  struct raw raw;
  char who[64];
  expect_losses(cache, 0, 0);
  ck_assert_int_eq(fc_encode_hello(&buf, 1, &hello), 0);
  ck_assert_int_eq(raw_connect(&raw, served.socket), 0);
  expect_error_then_end(&raw, buf.data, buf.size, FC_ENAME,
                        "hello: its field client must be a str");
  expect_losses(cache, 1, 0);
  (void)snprintf(who, sizeof who, "a client before its hello (pid %ld, user %ld)", (long)getpid(),
                 (long)geteuid());
  ck_assert(harness_log_has(&served, "refused: "));
  ck_assert(harness_log_has(&served, who));
  fc_buf_reset(&buf);
  hello.client = fc_str_of("again");
  ck_assert_int_eq(fc_encode_hello(&buf, 1, &hello), 0);
  raw_open(&raw, served.socket, "hostile");
  expect_error_then_end(&raw, buf.data, buf.size, FC_EPROTOCOL, "a second hello");
  expect_losses(cache, 1, 1);
  ck_assert(harness_log_has(&served, "dropped: test (pid "));
  ck_assert(harness_log_has(&served, "a second hello"));
  ck_assert_int_eq(raw_connect(&raw, served.socket), 0);
  expect_error_then_end(&raw, "GET / HTTP/1.1\r\n", 16, FC_EPROTOCOL, "this is no frame");
  expect_losses(cache, 1, 2);
  fcache_close(cache);
  fc_buf_free(&buf);
}
END_TEST

/* A get after hello, cut after each byte by the client's end. */
START_TEST(frame_cut_at_any_byte_harms_no_other_client) {
  struct fc_buf buf = {0};
  struct fc_get get = {.key = raw_key("op", "view", 5, "prompt")};
  ck_assert_int_eq(fc_encode_get(&buf, 9, &get), 0);
  for (size_t cut = 0; cut < buf.size; cut++) {
    struct raw raw;
    raw_open(&raw, served.socket, "cut");
    ck_assert_int_eq(raw_send(&raw, buf.data, cut), 0);
    raw_close(&raw);
  }
  fc_buf_free(&buf);
  assert_serves();
}
END_TEST

/* The same fed in two pieces at every place is one good request. */
START_TEST(frame_in_two_pieces_is_one_request) {
  struct fc_buf buf = {0};
  struct fc_get get = {.key = raw_key("op", "view", 5, "prompt")};
  struct raw raw;
  struct fc_reply reply;
  ck_assert_int_eq(fc_encode_get(&buf, 9, &get), 0);
  raw_open(&raw, served.socket, "cut");
  for (size_t cut = 1; cut < buf.size; cut++) {
    ck_assert_int_eq(raw_send(&raw, buf.data, cut), 0);
    ck_assert_int_eq(raw_send(&raw, buf.data + cut, buf.size - cut), 0);
    ck_assert_int_eq(raw_recv(&raw, &reply, 5000), RAW_REPLY);
    ck_assert_uint_eq(reply.id, 9);
    ck_assert_ptr_null(reply.get.value);
  }
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

START_TEST(pipelined_requests_answered_in_order) {
  enum { REQUESTS = 1000 };
  struct fc_buf buf = {0};
  struct raw raw;
  struct fc_reply reply;
  for (uint32_t i = 0; i < REQUESTS; i++)
    ck_assert_int_eq(fc_encode_simple(&buf, FC_PING, i), 0);
  raw_open(&raw, served.socket, "many");
  ck_assert_int_eq(raw_send_buf(&raw, &buf), 0);
  for (uint32_t i = 0; i < REQUESTS; i++) {
    ck_assert_int_eq(raw_recv(&raw, &reply, 5000), RAW_REPLY);
    ck_assert_uint_eq(reply.id, i);
  }
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

START_TEST(silent_connection_dropped_only_before_hello) {
  struct raw silent, client;
  struct fc_reply reply;
  raw_open(&client, served.socket, "quiet");
  ck_assert_int_eq(raw_connect(&silent, served.socket), 0);
  ck_assert_int_eq(raw_recv(&silent, &reply, 5000), RAW_REPLY);
  ck_assert_int_eq(reply.error.code, FC_ETIMEDOUT);
  ck_assert_int_eq(raw_recv(&silent, &reply, 5000), RAW_CLOSED);
  raw_close(&silent);
  struct fc_get get = {.key = raw_key("op", "view", 0, "p")}; /* several timeouts later */
  ck_assert_int_eq(raw_get(&client, &get, &reply), RAW_REPLY);
  raw_close(&client);
}
END_TEST

/* Half a frame, and then a byte just before each timeout. */
START_TEST(frame_sent_bytewise_meets_stall_timeout) {
  struct raw raw;
  struct fc_reply reply;
  struct fc_buf buf = {0};
  struct fc_get get = {.key = raw_key("op", "view", 0, "p")};
  ck_assert_int_eq(fc_encode_get(&buf, 1, &get), 0);
  raw_open(&raw, served.socket, "slow");
  size_t sent = 0;
  int got = RAW_TIMEOUT;
  while (got == RAW_TIMEOUT && sent < buf.size - 1) {
    /* If the send fails, the daemon has just dropped the client: its error has arrived. */
    if (raw_send(&raw, buf.data + sent, 1) == 0)
      sent++;
    got = raw_recv(&raw, &reply, 100);
  }
  ck_assert_int_eq(got, RAW_REPLY);
  ck_assert_int_eq(reply.error.code, FC_ETIMEDOUT);
  ck_assert_uint_lt(sent, buf.size - 1);
  raw_close(&raw);
  fc_buf_free(&buf);
  assert_serves();
}
END_TEST

/* Returns the peak of the daemon's resident memory, since before it dropped the client. */
static size_t peak_kb(pid_t pid) {
  char path[64], *status;
  (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  status = harness_read_file(path, NULL);
  ck_assert_ptr_nonnull(status);
  const char *line = strstr(status, "VmHWM:");
  ck_assert_ptr_nonnull(line);
  size_t kb = strtoul(line + 6, NULL, 10);
  free(status);
  return kb;
}

/* The client's end within a frame, while replies to whole ones are unsent. */
START_TEST(stream_end_within_frame_keeps_earlier_replies) {
  enum { GETS = 10 };
  struct raw raw;
  struct fc_reply reply;
  static uint8_t value[1 << 20];
  struct fc_buf buf = {0};
  struct fc_put put = {
      .key = raw_key("op", "view", 0, "large"), .value = value, .value_size = sizeof value};
  struct fc_get get = {.key = put.key};
  raw_open(&raw, served.socket, "cut");
  ck_assert_int_eq(raw_put(&raw, &put, &reply), RAW_REPLY);
  for (uint32_t i = 0; i < GETS; i++)
    ck_assert_int_eq(fc_encode_get(&buf, i, &get), 0);
  ck_assert_int_eq(fc_buf_append(&buf, "FCA1\0\0\0\5half", 12), 0);
  ck_assert_int_eq(raw_send_buf(&raw, &buf), 0);
  ck_assert_int_eq(shutdown(raw.fd, SHUT_WR), 0);
  for (uint32_t i = 0; i < GETS; i++) {
    ck_assert_int_eq(raw_recv(&raw, &reply, 5000), RAW_REPLY);
    ck_assert_uint_eq(reply.id, i);
    ck_assert_uint_eq(reply.get.value_size, sizeof value);
  }
  ck_assert_int_eq(raw_recv(&raw, &reply, 5000), RAW_CLOSED);
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

/* Many requests for a large value, never read: one reply is made, then nothing. */
START_TEST(client_that_never_reads_bounded_and_dropped) {
  struct raw raw;
  struct fc_reply reply;
  static uint8_t value[1 << 20];
  struct fc_put put = {
      .key = raw_key("op", "view", 0, "large"), .value = value, .value_size = sizeof value};
  raw_open(&raw, served.socket, "greedy");
  ck_assert_int_eq(raw_put(&raw, &put, &reply), RAW_REPLY);
  size_t before_kb = peak_kb(served.pid);
  struct fc_buf buf = {0};
  struct fc_get get = {.key = put.key};
  for (uint32_t i = 0; i < 500; i++)
    ck_assert_int_eq(fc_encode_get(&buf, i, &get), 0);
  ck_assert_int_eq(raw_send_buf(&raw, &buf), 0);
  /* The daemon drops a client that reads nothing. poll reports the hang-up without reading. */
  struct pollfd end = {.fd = raw.fd, .events = 0};
  ck_assert_int_eq(poll(&end, 1, 10000), 1);
  ck_assert(end.revents & (POLLHUP | POLLERR));
  size_t after_kb = peak_kb(served.pid);
#ifndef __SANITIZE_ADDRESS__ /* a sanitizer keeps freed memory for a while */
  ck_assert_uint_lt(after_kb, before_kb + 8 * 1024);
#else
  (void)before_kb, (void)after_kb;
#endif
  raw_close(&raw);
  fc_buf_free(&buf);
  assert_serves();
}
END_TEST

static bool is_welcomed(void *daemon) {
  struct raw raw;
  int rc = raw_connect(&raw, ((struct daemon *)daemon)->socket);
  if (rc == 0)
    rc = raw_hello(&raw, "after", "after");
  raw_close(&raw);
  return rc == 0;
}

START_TEST(two_thousand_connections_bounded) {
  enum { STORM = 2000 };
  static struct raw raws[STORM];
  unsigned welcomed = 0, refused = 0;
  struct rlimit limit;
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
  unsigned many = limit.rlim_max > STORM + 100 ? STORM : (unsigned)limit.rlim_max - 100;
  limit.rlim_cur = limit.rlim_max;
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
  for (unsigned i = 0; i < many; i++) {
    ck_assert_int_eq(raw_connect(&raws[i], served.socket), 0);
    int rc = raw_hello(&raws[i], "storm", "storm");
    welcomed += rc == 0;
    refused += rc == FC_EBUSY || rc == RAW_CLOSED;
  }
  ck_assert_uint_eq(welcomed, 50); /* --max-clients */
  ck_assert_uint_eq(welcomed + refused, many);
  for (unsigned i = 0; i < many; i++)
    raw_close(&raws[i]);
  ck_assert(harness_wait_until(is_welcomed, &served, 10000)); /* there is room again */
}
END_TEST

/* Returns a number above all descriptors of the daemon. */
static rlim_t end_of_descriptors(void) {
  char path[64];
  rlim_t end = 0;
  (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)served.pid);
  DIR *dir = opendir(path);
  ck_assert_ptr_nonnull(dir);
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    rlim_t fd = strtoul(entry->d_name, NULL, 10);
    end = fd >= end ? fd + 1 : end;
  }
  (void)closedir(dir); /* only read */
  return end;
}

/* The descriptor limit of the running daemon is lowered. */
START_TEST(no_descriptors_left_refuses_then_recovers) {
  struct rlimit old, few = {.rlim_cur = end_of_descriptors() + 20, .rlim_max = 0};
  ck_assert_int_eq(prlimit(served.pid, RLIMIT_NOFILE, NULL, &old), 0);
  few.rlim_max = old.rlim_max;
  ck_assert_int_eq(prlimit(served.pid, RLIMIT_NOFILE, &few, NULL), 0);
  struct raw raws[45];
  unsigned welcomed = 0, refused = 0;
  for (size_t i = 0; i < 45; i++) {
    ck_assert_int_eq(raw_connect(&raws[i], served.socket), 0);
    int rc = raw_hello(&raws[i], "many", "many");
    welcomed += rc == 0;
    refused += rc < 0 || rc == RAW_CLOSED;
  }
  ck_assert_uint_gt(welcomed, 5);
  ck_assert_uint_gt(refused, 0);
  ck_assert_uint_eq(welcomed + refused, 45); /* each got a reply or the end */
  ck_assert(harness_log_has(&served, "no descriptors are left at "));
  for (size_t i = 0; i < 45; i++)
    raw_close(&raws[i]);
  ck_assert_int_eq(prlimit(served.pid, RLIMIT_NOFILE, &old, NULL), 0);
  ck_assert(harness_wait_until(is_welcomed, &served, 10000)); /* pending clients may be refused */
  assert_serves();
}
END_TEST

/* A get_many of large values, whose reply is far larger than a frame. */
START_TEST(large_get_many_reply_split) {
  enum { N = 24 };
  struct raw raw;
  struct fc_reply reply;
  static uint8_t value[700000];
  uint8_t prompts[N * FC_HASH_SIZE];
  raw_open(&raw, served.socket, "split");
  for (uint32_t i = 0; i < N; i++) {
    char prompt[16];
    (void)snprintf(prompt, sizeof prompt, "p%" PRIu32, i);
    value[0] = (uint8_t)i;
    struct fc_put put = {
        .key = raw_key("op", "view", 0, prompt), .value = value, .value_size = sizeof value};
    memcpy(prompts + i * FC_HASH_SIZE, put.key.prompt.bytes, FC_HASH_SIZE);
    ck_assert_int_eq(raw_put(&raw, &put, &reply), RAW_REPLY);
  }
  struct fc_buf buf = {0};
  struct fc_get_many get = {.key = raw_key("op", "view", 0, ""), .prompts = prompts, .n = N};
  ck_assert_int_eq(fc_encode_get_many(&buf, 3, &get), 0);
  ck_assert_int_eq(raw_send_buf(&raw, &buf), 0);
  uint32_t seen = 0, parts = 0;
  bool last = false;
  while (!last) {
    ck_assert_int_eq(raw_recv(&raw, &reply, 5000), RAW_REPLY);
    ck_assert_int_eq(reply.type, FC_REPLY | FC_GET_MANY);
    ck_assert_uint_eq(reply.get_many.first, seen);
    last = reply.get_many.last;
    parts++;
    while (reply.get_many.values.n > 0) {
      const uint8_t *data;
      uint32_t size;
      fc_bins_next(&reply.get_many.values, &data, &size);
      ck_assert_uint_eq(size, sizeof value);
      ck_assert_uint_eq(data[0], seen++);
    }
  }
  ck_assert_uint_eq(seen, N);
  ck_assert_uint_gt(parts, 1);
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

/* The kernel takes only part of a large reply. The rest is sent from the region. */
static void slow_reader_sees_the_old_value(bool clear) {
  struct raw reader, writer;
  struct fc_reply reply;
  static uint8_t value[1 << 20];
  struct fc_buf buf = {0};
  struct fc_put put = {
      .key = raw_key("op", "view", 0, "held"), .value = value, .value_size = sizeof value};
  struct fc_get get = {.key = put.key};
  struct fc_clear all = {.select.name_space = fc_str_of("held")};
  memset(value, 'a', sizeof value);
  raw_open(&reader, served.socket, "held");
  raw_open(&writer, served.socket, "held");
  ck_assert_int_eq(raw_put(&writer, &put, &reply), RAW_REPLY);
  ck_assert_int_eq(fc_encode_get(&buf, 1, &get), 0);
  ck_assert_int_eq(raw_send_buf(&reader, &buf), 0);
  struct pollfd arrived = {.fd = reader.fd, .events = POLLIN};
  ck_assert_int_eq(poll(&arrived, 1, 5000), 1); /* the reply has begun */
  memset(value, 'b', sizeof value);
  if (clear) {
    ck_assert_int_eq(fc_encode_clear(&buf, 2, &all), 0);
    ck_assert_int_eq(raw_send_buf(&writer, &buf), 0);
    ck_assert_int_eq(raw_recv(&writer, &reply, 5000), RAW_REPLY);
    ck_assert_uint_eq(reply.removed, 1);
    put.key =
        raw_key("op", "view", 0, "another"); /* the new entry may get the memory of the old one */
  }
  ck_assert_int_eq(raw_put(&writer, &put, &reply), RAW_REPLY);
  ck_assert_int_eq(raw_recv(&reader, &reply, 5000), RAW_REPLY);
  ck_assert_uint_eq(reply.get.value_size, sizeof value);
  memset(value, 'a', sizeof value);
  ck_assert(memcmp(reply.get.value, value, sizeof value) == 0);
  raw_close(&reader);
  raw_close(&writer);
  fc_buf_free(&buf);
}

START_TEST(value_being_sent_survives_replacement) {
  slow_reader_sees_the_old_value(false);
}
END_TEST

START_TEST(value_being_sent_survives_clear) {
  slow_reader_sees_the_old_value(true);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("hostile");
  TCase *tcase = tcase_create("daemon"), *hasty = tcase_create("deadlines");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, malformed_frame_refused_with_reason);
  tcase_add_test(tcase, request_before_hello_refused);
  tcase_add_test(tcase, value_over_limit_refused_with_reason);
  tcase_add_test(tcase, refused_and_dropped_clients_counted_and_logged);
  tcase_add_test(tcase, frame_cut_at_any_byte_harms_no_other_client);
  tcase_add_test(tcase, frame_in_two_pieces_is_one_request);
  tcase_add_test(tcase, pipelined_requests_answered_in_order);
  tcase_add_test(tcase, stream_end_within_frame_keeps_earlier_replies);
  tcase_add_test(tcase, two_thousand_connections_bounded);
  tcase_add_test(tcase, no_descriptors_left_refuses_then_recovers);
  tcase_add_test(tcase, large_get_many_reply_split);
  tcase_add_test(tcase, value_being_sent_survives_replacement);
  tcase_add_test(tcase, value_being_sent_survives_clear);
  suite_add_tcase(suite, tcase);
  tcase_set_timeout(hasty, 60);
  tcase_add_checked_fixture(hasty, start_hasty, stop);
  tcase_add_test(hasty, silent_connection_dropped_only_before_hello);
  tcase_add_test(hasty, frame_sent_bytewise_meets_stall_timeout);
  tcase_add_test(hasty, client_that_never_reads_bounded_and_dropped);
  suite_add_tcase(suite, hasty);
  return harness_main(suite);
}
