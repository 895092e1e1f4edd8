/* The transport with TLS against a real server: certificates that are good and bad, and those of
 * clients. */
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/breaker.h"
#include "tests/support/harness.h"
#include "tests/support/tier_certificates.h"
#include "tests/support/tier_fixture.h"
#include "tests/support/tier_server.h"

struct world {
  struct tier_server server;
  struct tier_fixture fixture;
  char other_ca[HARNESS_PATH_SIZE + 16];
};

/* Returns false if the engine is missing or has no TLS. */
static bool start(struct world *world, int engine, bool tls_clients) {
  const struct tier_server_config config = {.program = tier_engine_program(engine),
                                            .tls = true,
                                            .tls_clients = tls_clients,
                                            .password = "secret"};
  memset(world, 0, sizeof *world);
  if (config.program == NULL || !tier_program_has_tls(config.program))
    return false;
  tier_server_start(&world->server, &config);
  tier_fixture_init(&world->fixture, world->server.url);
  world->fixture.config.tls.ca = world->server.ca;
  world->fixture.config.password_file = world->server.password_file;
  (void)snprintf(world->other_ca, sizeof world->other_ca, "%s/%s", world->server.dir,
                 TIER_CERTIFICATES_OTHER_CA);
  return true;
}

static void stop(struct world *world) {
  tier_fixture_deinit(&world->fixture);
  tier_server_stop(&world->server);
}

struct wanted_line {
  struct tier_fixture *fixture;
  const char *text;
};

static bool is_logged(void *arg) {
  const struct wanted_line *line = arg;
  return tier_fixture_logged(line->fixture, line->text) > 0;
}

static void expect_line(struct world *world, const char *text) {
  struct wanted_line line = {&world->fixture, text};
  tier_fixture_run_until(&world->fixture, is_logged, &line);
}

/* More than one record of TLS, and than the buffers. */
START_TEST(values_travel_by_tls) {
  struct world w;
  struct tier_test_op op;
  size_t size = TIER_FIXTURE_LIMIT;
  if (!start(&w, _i, false))
    return;
  char *value = malloc(size);
  for (size_t i = 0; i < size; i++)
    value[i] = (char)(i * 2654435761u >> 13);
  tier_fixture_connect(&w.fixture);
  ck_assert_int_eq(tier_fixture_publish(&w.fixture, "large", value, size), FLEET_OK);
  ck_assert_int_eq(tier_fixture_publish(&w.fixture, "small", "x", 1), FLEET_OK);
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(tier_fixture_read(&w.fixture, "large", &op), FLEET_OK);
    ck_assert_uint_eq(op.size, size);
    ck_assert_int_eq(memcmp(op.value, value, size), 0);
    tier_test_op_reset(&op);
    ck_assert_int_eq(tier_fixture_read(&w.fixture, "small", &op), FLEET_OK);
    tier_test_op_reset(&op);
  }
  free(value);
  stop(&w);
}
END_TEST

START_TEST(certificate_of_unknown_authority_is_refused) {
  struct world w;
  struct tier_test_op op;
  if (!start(&w, _i, false))
    return;
  w.fixture.config.tls.ca = w.other_ca;
  tier_fixture_connect(&w.fixture);
  ck_assert_int_eq(tier_fixture_read(&w.fixture, "k", &op), FLEET_DOWN);
  expect_line(&w, "the server's certificate is refused");
  stop(&w);
}
END_TEST

/* The certificate is for 127.0.0.1 and localhost. The resolver takes 127.1 for the same address. */
START_TEST(certificate_for_another_host_is_refused) {
  struct world w;
  struct tier_test_op op;
  static const char *const hosts[] = {"127.1", "localhost"};
  if (!start(&w, 0, false))
    return;
  (void)snprintf(w.fixture.urls.addresses[0].host, sizeof w.fixture.urls.addresses[0].host, "%s",
                 hosts[_i]);
  tier_fixture_connect(&w.fixture);
  enum fleet_status status = tier_fixture_read(&w.fixture, "k", &op);
  if (_i == 0)
    expect_line(&w, "hostname mismatch");
  ck_assert_int_eq(status, _i == 0 ? FLEET_DOWN : FLEET_NONE);
  stop(&w);
}
END_TEST

START_TEST(server_that_wants_certificates_gets_one) {
  struct world w;
  struct tier_test_op op;
  if (!start(&w, _i, true))
    return;
  tier_fixture_connect(&w.fixture);
  ck_assert_int_eq(tier_fixture_read(&w.fixture, "k", &op), FLEET_DOWN);
  tier_fixture_deinit(&w.fixture);
  tier_fixture_init(&w.fixture, w.server.url);
  w.fixture.config.tls =
      (struct tls_files){.ca = w.server.ca, .cert = w.server.cert, .key = w.server.key};
  w.fixture.config.password_file = w.server.password_file;
  tier_fixture_connect(&w.fixture);
  ck_assert_int_eq(tier_fixture_read(&w.fixture, "k", &op), FLEET_NONE);
  stop(&w);
}
END_TEST

START_TEST(plain_server_is_refused_by_tls) {
  struct world w;
  struct tier_test_op op;
  const struct tier_server_config config = {.program = tier_any_program(), .tcp = true};
  char url[300];
  if (config.program == NULL)
    return;
  tier_server_start(&w.server, &config);
  (void)snprintf(url, sizeof url, "rediss://127.0.0.1:%u", w.server.port);
  tier_fixture_init(&w.fixture, url);
  tier_fixture_set_deadline(&w.fixture, UINT64_C(500000000));
  tier_fixture_connect(&w.fixture);
  enum fleet_status status = tier_fixture_read(&w.fixture, "k", &op);
  ck_assert(status == FLEET_DOWN || status == FLEET_TIMEOUT);
  expect_line(&w, "no reads and writes until it recovers");
  stop(&w);
}
END_TEST

START_TEST(file_that_cannot_be_used_is_named) {
  struct tier_fixture fixture;
  struct error_text error;
  struct tier_io *tier;
  static const struct {
    struct tls_files files;
    const char *text;
  } cases[] = {
      {{.ca = "/nonexistent/ca.crt"}, "tier-ca: cannot use /nonexistent/ca.crt"},
      {{.cert = "/nonexistent/a.crt", .key = "/nonexistent/a.key"}, "tier-cert: cannot use"},
      {{.ca = "/dev/null"}, "tier-ca: cannot use /dev/null"},
  };
  for (size_t i = 0; i < 3; i++) {
    tier_fixture_init(&fixture, "rediss://127.0.0.1:1");
    fixture.config.tls = cases[i].files;
    ck_assert_int_lt(tier_io_init(&tier, &fixture.config, &error), 0);
    ck_assert_msg(strstr(error.text, cases[i].text) != NULL, "%s", error.text);
    ck_assert_ptr_null(tier);
    tier_fixture_deinit(&fixture);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tier_tls");
  TCase *tc = tcase_create("tier_tls");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, values_travel_by_tls, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, certificate_of_unknown_authority_is_refused, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, certificate_for_another_host_is_refused, 0, 2);
  tcase_add_loop_test(tc, server_that_wants_certificates_gets_one, 0, TIER_ENGINES);
  tcase_add_test(tc, plain_server_is_refused_by_tls);
  tcase_add_test(tc, file_that_cannot_be_used_is_named);
  suite_add_tcase(suite, tc);
  return harness_main(suite);
}
