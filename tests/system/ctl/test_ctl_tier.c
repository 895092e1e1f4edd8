/* fcachectl tier, with scripted daemons: what it shows of a cluster with a failed primary, screens
 * of two widths, JSON, and daemons without a tier or without the request. */
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "tests/support/ctl.h"
#include "tests/support/screen.h"
#include "tests/support/scripted_daemon.h"

#define SECOND UINT64_C(1000000000)

/* A daemon that reports a tier of `n_servers`, at each request a second later than before. */
static struct tier_script {
  bool has_tier;
  unsigned n_servers;
  unsigned asked; /* requests so far; of the daemon's thread */
} script;
static struct scripted_daemon scripted;

static struct fc_tier_entry tier_of(const struct tier_script *is) {
  if (!is->has_tier)
    return (struct fc_tier_entry){.url = {"", 0}};
  return (struct fc_tier_entry){
      .url = fc_str_of("rediss://fcached@cache-0.internal:6379,rediss://cache-1.internal:6379/3"),
      .mode = fc_str_of("read-write"),
      .prefix = fc_str_of("fcached:"),
      .namespaces = fc_str_of("*,!scratch-*"),
      .id = fc_str_of("4f0c55aa10e2b39d"),
      .clear_version = 12,
      .clears_learned = 3,
      .asking = 1,
      .held = 2,
      .remote = 5,
      .waits = 7,
      .queue_entries = 3,
      .queue_bytes = 12345,
      .queue_bytes_max = 16u << 20,
      .queue_age_ns = 3200000,
      .fills = 2000,
      .fills_failed = 3,
      .fills_late = 4,
      .skipped_down = 60,
      .hits = 1234 + 100 * is->asked,
      .misses = 766,
      .bad_values = 2,
      .remote_fills = 44,
      .remote_hits = 43,
      .leases = 700,
      .leases_lost = 1,
      .writes = 690,
      .kept = 5,
      .dropped_full = 9,
      .dropped_old = 1,
      .dropped_refused = 2,
  };
}

/* Fills in `n` durations from 100 us on. */
static void add_times(struct fc_histogram *times, unsigned n) {
  for (unsigned i = 0; i < n; i++)
    fc_histogram_add(times, 100000 + 1000 * i);
}

/* The last server is down. */
static void encode_server(struct fc_buf *buf, const struct tier_script *is, unsigned i) {
  static struct fc_tier_server_entry server;
  char address[64];
  bool down = i + 1 == is->n_servers;

  memset(&server, 0, sizeof server);
  (void)snprintf(address, sizeof address, "10.20.30.%u:6379", 17 + i); /* fits */
  server.address = fc_str_of(address);
  server.role = fc_str_of("primary");
  server.slots = 5461;
  server.connected = !down;
  server.in_flight = down ? 0 : i;
  server.read.state = fc_str_of(down ? "open" : "closed");
  server.write.state = server.read.state;
  server.read.since_ns = (down ? 4 : 90000) * SECOND;
  server.write.since_ns = server.read.since_ns;
  server.read.error = fc_str_of(down     ? "no reply within the deadline"
                                : i == 0 ? "LOADING Redis is loading the dataset in memory"
                                         : "");
  server.write.error =
      fc_str_of(down ? "OOM command not allowed when used memory > 'maxmemory'. script: "
                       "9fa0ce77b0b1f4d6, on @user_script:1."
                     : "");
  add_times(&server.read.times, 1000 + 500 * is->asked);
  if (!down)
    add_times(&server.write.times, 300);
  server.reads = 1000;
  server.hits = 600;
  server.misses = 400;
  server.writes = down ? 0 : 300;
  server.timeouts = down ? 3 : 0;
  server.errors = down ? 12 : 0;
  server.reconnects = down ? 41 : 0;
  (void)fc_encode_tier_server_entry(buf, &server); /* the send checks `failed` */
}

static void send_tier(int fd, uint32_t id, struct tier_script *is) {
  struct fc_tier_reply reply = {.tier = tier_of(is),
                                .servers = {.n = is->has_tier ? is->n_servers : 0}};
  struct fc_buf buf = {0};

  (void)fc_encode_tier_reply_head(&buf, id, &reply);
  for (unsigned i = 0; i < reply.servers.n; i++)
    encode_server(&buf, is, i);
  fc_frame_finish(&buf, 0, 0);
  is->asked++;
  scripted_send(fd, &buf);
}

static void serve(struct scripted_daemon *daemon, int fd, unsigned nth) {
  uint8_t *body;
  struct fc_request request;
  bool goes_on = scripted_handshake(daemon, fd);

  (void)nth;
  while (goes_on && scripted_read(daemon, fd, &body, &request)) {
    goes_on = request.type == FC_TIER;
    if (goes_on)
      send_tier(fd, request.id, daemon->arg);
    free(body);
  }
}

static void start(void) {
  script = (struct tier_script){.has_tier = true, .n_servers = 3};
  scripted_start(&scripted, serve, &script);
  (void)setenv("FCACHE_SOCKET", scripted.path, 1);
}

static void stop(void) {
  scripted_stop(&scripted);
}

static void expect_screen(unsigned columns, const char *name) {
  struct screen screen;

  /* The shell stays: tmux may lose what was written just before the end of its process. */
  if (!screen_start(
          &screen, columns, 45,
          (const char *const[]){"sh", "-c", "\"$0\" tier; read x", harness_fcachectl(), NULL}))
    return;
  screen_expect(&screen, name);
  screen_stop(&screen);
}

START_TEST(screen_of_80_columns_is_kept) {
  expect_screen(80, "tier");
}
END_TEST

START_TEST(screen_of_120_columns_is_kept) {
  expect_screen(120, "tier_120");
}
END_TEST

/* ---- JSON ---- */

static const json_t *at(const json_t *object, const char *path) {
  char names[128], *name;

  (void)snprintf(names, sizeof names, "%s", path);
  for (name = strtok(names, "."); name; name = strtok(NULL, ".")) {
    object = json_is_array(object) ? json_array_get(object, strtoul(name, NULL, 10))
                                   : json_object_get(object, name);
    ck_assert_msg(object, "no %s", path);
  }
  return object;
}

static json_int_t integer_at(const json_t *object, const char *path) {
  ck_assert_msg(json_is_integer(at(object, path)), "%s is no integer", path);
  return json_integer_value(at(object, path));
}

static const char *text_at(const json_t *object, const char *path) {
  ck_assert_msg(json_is_string(at(object, path)), "%s is no string", path);
  return json_string_value(at(object, path));
}

START_TEST(json_has_the_fleet_and_its_servers) {
  json_t *all = ctl_json(CTL("tier", "--json"));

  ck_assert_str_eq(text_at(all, "namespaces"), "*,!scratch-*");
  ck_assert_str_eq(text_at(all, "id"), "4f0c55aa10e2b39d");
  ck_assert_int_eq(integer_at(all, "clear_version"), 12);
  ck_assert_int_eq(integer_at(all, "hits"), 1234);
  ck_assert_int_eq(integer_at(all, "fills.remote"), 5);
  ck_assert_int_eq(integer_at(all, "fills.skipped_down"), 60);
  ck_assert_int_eq(integer_at(all, "leases"), 2);
  ck_assert_int_eq(integer_at(all, "queue.bytes"), 12345);
  ck_assert_int_eq(integer_at(all, "dropped.full"), 9);
  ck_assert_uint_eq(json_array_size(at(all, "servers")), 3);
  ck_assert_str_eq(text_at(all, "servers.2.address"), "10.20.30.19:6379");
  ck_assert_str_eq(text_at(all, "servers.2.read.state"), "open");
  ck_assert_str_eq(text_at(all, "servers.2.read.error"), "no reply within the deadline");
  ck_assert(json_is_false(at(all, "servers.2.connected")));
  ck_assert_int_eq(integer_at(all, "servers.0.read.count"), 1000);
  ck_assert(json_number_value(at(all, "servers.0.read.p99_s")) > 0.001);
  ck_assert_int_eq(integer_at(all, "servers.2.timeouts"), 3);
  json_decref(all);
}
END_TEST

/* ---- --watch ---- */

/* Between two readings the scripted tier has 100 hits more, and 500 reads more on each server. */
START_TEST(watch_shows_rates_between_two_readings) {
  char *text = ctl_printed(CTL("tier", "--watch", "--count", "2"));
  char open[16], hits[16], misses[16];

  ck_assert_ptr_eq(strstr(text, "  OPEN  HITS/S"), text);
  ck_assert_int_eq(sscanf(strchr(text, '\n'), "%15s %15s %15s", open, hits, misses), 3);
  ck_assert_str_eq(open, "1/3");
  ck_assert_int_gt(atoi(hits), 20); /* a second as a rule, more on a busy machine */
  ck_assert_int_le(atoi(hits), 101);
  ck_assert_str_eq(misses, "0");
  free(text);
}
END_TEST

/* ---- other daemons ---- */

/* Changes the daemon before a client connects. Its threads take the lock before they serve. */
static void change(bool has_tier, unsigned n_servers, uint32_t version) {
  (void)pthread_mutex_lock(&scripted.lock);
  script.has_tier = has_tier;
  script.n_servers = n_servers;
  scripted.welcome.version = version;
  (void)pthread_mutex_unlock(&scripted.lock);
}

START_TEST(daemon_without_a_tier_named_with_the_way_to_one) {
  change(false, 3, FC_PROTOCOL_VERSION);
  ctl_expect_part(CTL("tier"), "no tier: ");
  ctl_expect_part(CTL("tier"), "tier = redis://HOST:PORT\nin fcached.conf");
  ctl_expect_part(CTL("tier", "--watch"), "no tier: ");
  ctl_expect(CTL("tier", "--json"), "null\n");
}
END_TEST

START_TEST(tier_without_servers_shown) {
  change(true, 0, FC_PROTOCOL_VERSION);
  ctl_expect_part(CTL("tier"), "\n\nno servers yet\n");
}
END_TEST

START_TEST(daemon_of_an_earlier_version_named) {
  change(true, 3, FC_PROTOCOL_VERSION - 1);
  ctl_expect_status(CTL("tier"), 1, NULL, "which has no request for the tier: restart it");
}
END_TEST

START_TEST(wrong_usage_refused) {
  ctl_expect_status(CTL("tier", "--count", "3"), 2, NULL, "--count needs --watch");
  ctl_expect_status(CTL("tier", "--watch", "--json"), 2, NULL, "--watch excludes --json");
  ctl_expect_status(CTL("tier", "redis"), 2, NULL, "unexpected argument");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_tier");
  TCase *tests = tcase_create("ctl_tier");

  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, start, stop);
  tcase_add_test(tests, screen_of_80_columns_is_kept);
  tcase_add_test(tests, screen_of_120_columns_is_kept);
  tcase_add_test(tests, json_has_the_fleet_and_its_servers);
  tcase_add_test(tests, watch_shows_rates_between_two_readings);
  tcase_add_test(tests, daemon_without_a_tier_named_with_the_way_to_one);
  tcase_add_test(tests, tier_without_servers_shown);
  tcase_add_test(tests, daemon_of_an_earlier_version_named);
  tcase_add_test(tests, wrong_usage_refused);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
