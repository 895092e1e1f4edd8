#include "tests/support/tier_fixture.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/fleet/breaker.h"

#define WAIT_MS 20000u
#define DEADLINE_NS UINT64_C(5000000000)

/* ---- the loop ---- */

static void on_bound(uv_timer_t *timer) {
  struct tier_fixture *fixture = timer->data;
  fixture->too_late = true;
}

void tier_fixture_init(struct tier_fixture *fixture, const char *urls) {
  struct error_text error;
  memset(fixture, 0, sizeof *fixture);
  (void)signal(SIGPIPE, SIG_IGN);
  ck_assert_int_eq(uv_loop_init(&fixture->loop), 0);
  ck_assert_int_eq(uv_timer_init(&fixture->loop, &fixture->bound), 0);
  fixture->bound.data = fixture;
  log_init(&fixture->log, memfd_create("log", MFD_CLOEXEC), true);
  ck_assert_int_ge(fixture->log.fd, 0);
  ck_assert_msg(tier_urls_parse(urls, &fixture->urls, &error) == 0, "%s", error.text);
  fixture->config = (struct tier_io_config){
      .loop = &fixture->loop,
      .log = &fixture->log,
      .urls = &fixture->urls,
      .prefix = "fcached:",
      .seed = 1,
  };
  tier_fixture_set_deadline(fixture, DEADLINE_NS);
}

void tier_fixture_set_deadline(struct tier_fixture *fixture, uint64_t deadline_ns) {
  fixture->config.deadline_ns = fixture->op_deadline_ns = deadline_ns;
}

void tier_fixture_connect(struct tier_fixture *fixture) {
  struct error_text error;
  int code = tier_io_init(&fixture->tier, &fixture->config, &error);
  ck_assert_msg(code == 0, "%s", error.text);
}

void tier_fixture_deinit(struct tier_fixture *fixture) {
  if (fixture->tier != NULL)
    tier_io_close(fixture->tier);
  uv_close((uv_handle_t *)&fixture->bound, NULL);
  ck_assert_int_eq(uv_run(&fixture->loop, UV_RUN_DEFAULT), 0);
  tier_io_free(fixture->tier);
  ck_assert_int_eq(uv_loop_close(&fixture->loop), 0);
  ck_assert_int_eq(close(fixture->log.fd), 0);
}

static void start_bound(struct tier_fixture *fixture, unsigned ms) {
  fixture->too_late = false;
  uv_update_time(&fixture->loop);
  ck_assert_int_eq(uv_timer_start(&fixture->bound, on_bound, ms, 0), 0);
}

void tier_fixture_run_until(struct tier_fixture *fixture, bool (*condition)(void *arg), void *arg) {
  start_bound(fixture, WAIT_MS);
  while (!condition(arg) && !fixture->too_late)
    (void)uv_run(&fixture->loop, UV_RUN_ONCE);
  ck_assert_int_eq(uv_timer_stop(&fixture->bound), 0);
  char *log = fixture->too_late ? tier_fixture_log(fixture) : NULL;
  ck_assert_msg(!fixture->too_late, "a condition is not true after %u ms. The log:\n%s", WAIT_MS,
                log);
}

void tier_fixture_run_ms(struct tier_fixture *fixture, unsigned ms) {
  start_bound(fixture, ms);
  while (!fixture->too_late)
    (void)uv_run(&fixture->loop, UV_RUN_ONCE);
}

/* ---- ops ---- */

static void copy_items(struct tier_test_op *test, const struct fleet_reply *reply) {
  size_t size = 0;
  for (size_t i = 0; i < reply->n_items; i++)
    size += reply->items[i].size + 1;
  test->items = calloc(1, size + 1);
  char *to = test->items;
  for (size_t i = 0; i < reply->n_items; i++) {
    memcpy(to, reply->items[i].data, reply->items[i].size);
    to += reply->items[i].size;
    *to++ = '\n';
  }
  test->n_items = reply->n_items;
}

static void on_done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns) {
  struct tier_test_op *test = (struct tier_test_op *)op;
  ck_assert_uint_gt(now_ns, 0);
  test->ended = true;
  test->times++;
  test->status = reply->status;
  test->granted = reply->granted;
  test->number = reply->number;
  test->size = reply->size;
  if (reply->size > 0) {
    test->value = malloc(reply->size + 1);
    memcpy(test->value, reply->value, reply->size);
    test->value[reply->size] = '\0';
  }
  if (reply->items != NULL)
    copy_items(test, reply);
  (void)snprintf(test->text, sizeof test->text, "%s", reply->text != NULL ? reply->text : "");
}

void tier_test_op_init(struct tier_test_op *op, enum fleet_op_kind kind, enum fleet_op_class class,
                       const char *key) {
  memset(op, 0, sizeof *op);
  op->op = (struct fleet_op){.kind = kind,
                             .class = class,
                             .key = fc_str_of(key),
                             .limit = TIER_FIXTURE_LIMIT,
                             .done = on_done};
}

void tier_test_op_reset(struct tier_test_op *op) {
  free(op->value);
  free(op->items);
  op->value = op->items = NULL;
  op->ended = op->granted = false;
  op->n_items = op->size = 0;
  op->number = 0;
}

bool tier_fixture_submit(struct tier_fixture *fixture, struct tier_test_op *op) {
  uint64_t now_ns = uv_hrtime();
  tier_test_op_reset(op);
  op->op.deadline_ns = now_ns + fixture->op_deadline_ns;
  return fleet_io_submit(tier_io_interface(fixture->tier), &op->op, now_ns);
}

static bool has_ended(void *arg) {
  return ((struct tier_test_op *)arg)->ended;
}

enum fleet_status tier_fixture_do(struct tier_fixture *fixture, struct tier_test_op *op) {
  if (!tier_fixture_submit(fixture, op))
    return FLEET_DOWN;
  tier_fixture_run_until(fixture, has_ended, op);
  return op->status;
}

enum fleet_status tier_fixture_publish(struct tier_fixture *fixture, const char *key,
                                       const void *value, size_t size) {
  struct tier_test_op op;
  tier_test_op_init(&op, FLEET_OP_PUBLISH, FLEET_WRITES, key);
  op.op.payload = (struct fc_str){value, (uint32_t)size};
  enum fleet_status status = tier_fixture_do(fixture, &op);
  tier_test_op_reset(&op);
  return status;
}

enum fleet_status tier_fixture_read(struct tier_fixture *fixture, const char *key,
                                    struct tier_test_op *op) {
  tier_test_op_init(op, FLEET_OP_READ, FLEET_READS, key);
  return tier_fixture_do(fixture, op);
}

/* ---- reports ---- */

struct tier_server_report tier_fixture_server(struct tier_fixture *fixture, unsigned n) {
  struct tier_server_report report = {0};
  for (unsigned i = 0; i <= n; i++) {
    uint64_t after = report.serial;
    report = (struct tier_server_report){0};
    ck_assert_msg(tier_io_next_server(fixture->tier, after, &report), "no server %u", n);
  }
  return report;
}

static bool is_ready(void *arg) {
  struct tier_server_report report = tier_fixture_server(arg, 0);
  return report.connected && report.breakers[TIER_READS].state == BREAKER_CLOSED &&
         report.breakers[TIER_WRITES].state == BREAKER_CLOSED;
}

void tier_fixture_wait_ready(struct tier_fixture *fixture) {
  tier_fixture_run_until(fixture, is_ready, fixture);
}

char *tier_fixture_log(struct tier_fixture *fixture) {
  struct stat file;
  ck_assert_int_eq(fstat(fixture->log.fd, &file), 0);
  char *text = calloc(1, (size_t)file.st_size + 1);
  ck_assert_int_eq(pread(fixture->log.fd, text, (size_t)file.st_size, 0), file.st_size);
  return text;
}

unsigned tier_fixture_logged(struct tier_fixture *fixture, const char *text) {
  char *log = tier_fixture_log(fixture);
  unsigned n = 0;
  for (const char *at = strstr(log, text); at != NULL; at = strstr(at + 1, text))
    n++;
  free(log);
  return n;
}
