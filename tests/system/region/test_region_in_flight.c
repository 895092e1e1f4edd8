/* Clients that connect and do not read their welcome, until the kernel passes no more descriptors
 * of this user: others are served without the region, and get it later. */
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

#define CAP_SYS_ADMIN 21
#define CAP_SYS_RESOURCE 24

enum { SILENT_MAX = 40, LIMIT = 110 };

static struct daemon served;
static struct raw silent[SILENT_MAX];

/* The kernel sets no limit for a daemon with these capabilities. */
static bool drop_capabilities(void) {
  return geteuid() != 0 || (prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0) == 0 &&
                            prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0) == 0);
}

/* Sends a hello that asks for the region, and reads nothing. */
static void join_silently(struct raw *raw) {
  struct fc_buf buf = {0};
  struct fc_hello hello = {.version_min = FC_PROTOCOL_VERSION_MIN,
                           .version_max = FC_PROTOCOL_VERSION,
                           .client = fc_str_of("silent"),
                           .name_space = fc_str_of("silent"),
                           .region_layout = FC_REGION_LAYOUT};
  ck_assert_int_eq(raw_connect(raw, served.socket), 0);
  ck_assert_int_eq(fc_encode_hello(&buf, 1, &hello), 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  fc_buf_free(&buf);
}

static bool gets_region(void) {
  struct raw raw;
  int rc = raw_try_region(&raw, served.socket, "probe", "probe");
  raw_close(&raw);
  ck_assert(rc == 0 || rc == -ENODATA); /* welcomed in both cases */
  return rc == 0;
}

/* Gets the key. Returns the handle's hits from the region so far. */
static uint64_t region_hits(struct fcache *cache) {
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_get(cache, &key, 0, &value), FCACHE_OK);
  fcache_value_free(&value);
  return library_counters(cache).region_hits;
}

START_TEST(welcomes_unread_others_get_region_later) {
  struct rlimit limit;
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  unsigned n = 0;

  if (!drop_capabilities()) {
    printf("skipped: the limit of passed descriptors: its capabilities cannot be dropped\n");
    return;
  }
  harness_start(&served, "--max-bytes", "4M", NULL);
  ck_assert(gets_region());
  ck_assert_int_eq(prlimit(served.pid, RLIMIT_NOFILE, NULL, &limit), 0);
  limit.rlim_cur = LIMIT; /* enough for all sockets here */
  ck_assert_int_eq(prlimit(served.pid, RLIMIT_NOFILE, &limit, NULL), 0);
  /* Other programs of this user have descriptors in flight too, so a refusal may be a moment's. */
  struct fcache *cache = NULL;
  for (bool by_message = false; !by_message; n++) {
    ck_assert_uint_lt(n, SILENT_MAX);
    join_silently(&silent[n]);
    fcache_close(cache);
    cache = library_open(served.socket, "late", NULL, 0);
    library_put_text(cache, &key, "value");
    by_message = region_hits(cache) == 0;
  }
  for (unsigned i = 0; i < n; i++)
    raw_close(&silent[i]);
  uint64_t end_ns = harness_now_ns() + UINT64_C(20000000000);
  while (region_hits(cache) == 0)
    ck_assert_uint_lt(harness_now_ns(), end_ns);
  ck_assert(gets_region());
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&served), 0);
}
END_TEST

static size_t size_of_reply(const struct fc_ring_reply *reply) {
  struct fc_buf buf = {0};
  ck_assert_int_eq(fc_encode_ring_reply(&buf, 2, reply), 0);
  size_t size = buf.size;
  fc_buf_free(&buf);
  return size;
}

static void send_ring_requests(struct raw *raw, unsigned n) {
  struct fc_buf buf = {0};
  struct fc_ring_request request = {.region_layout = FC_REGION_LAYOUT};
  for (unsigned i = 0; i < n; i++)
    ck_assert_int_eq(fc_encode_ring(&buf, 2, &request), 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  fc_buf_free(&buf);
}

static bool has_unread(void *arg) {
  const int *wanted = arg; /* a descriptor, and bytes */
  int bytes = 0;
  return ioctl(wanted[0], FIONREAD, &bytes) == 0 && bytes == wanted[1];
}

/* A client that requests rings and reads nothing has the descriptors of one reply in flight. */
START_TEST(rings_unread_no_more_descriptors) {
  enum { REQUESTS = 50 };
  struct raw raw;
  struct fc_reply reply;
  harness_start(&served, "--max-bytes", "4M", NULL);
  raw_open_region(&raw, served.socket, "greedy", "greedy");
  struct fc_ring_reply given = {raw.namespace_id, 1}, none = {0};
  raw_close_shared(&raw);
  send_ring_requests(&raw, REQUESTS);
  int wanted[] = {raw.fd, (int)(size_of_reply(&given) + (REQUESTS - 1) * size_of_reply(&none))};
  ck_assert(harness_wait_until(has_unread, wanted, 10000));
  for (unsigned i = 0; i < REQUESTS; i++) {
    ck_assert_int_eq(raw_recv(&raw, &reply, 5000), RAW_REPLY);
    ck_assert_uint_eq(reply.ring.namespace_id, i == 0 ? raw.namespace_id : 0);
    ck_assert_int_eq(raw.ring_fd >= 0, i == 0);
    raw_close_shared(&raw);
  }
  send_ring_requests(&raw, 1); /* after it has read them, it gets another one */
  ck_assert_int_eq(raw_recv(&raw, &reply, 5000), RAW_REPLY);
  ck_assert_uint_eq(reply.ring.namespace_id, raw.namespace_id);
  raw_close(&raw);
  ck_assert_int_eq(harness_stop(&served), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("region_in_flight");
  TCase *tcase = tcase_create("region_in_flight");

  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, welcomes_unread_others_get_region_later);
  tcase_add_test(tcase, rings_unread_no_more_descriptors);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
