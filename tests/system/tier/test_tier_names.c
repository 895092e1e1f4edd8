/* Names of tier servers with several addresses, and resolvers that take long. The test has a
 * resolver of its own in place of the system's. */
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/scripted_resp.h"
#include "tests/support/tier_fixture.h"

#define DEADLINE_NS UINT64_C(100000000)

/* ---- the resolver ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static bool hangs; /* lookups of "two.test" do not return */

static struct addrinfo *new_address(const char *host, const char *port, struct addrinfo *next) {
  struct addrinfo *info = calloc(1, sizeof *info);
  struct sockaddr_in *address = calloc(1, sizeof *address);
  ck_assert(info != NULL && address != NULL);
  *address = (struct sockaddr_in){.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
  ck_assert_int_eq(inet_pton(AF_INET, host, &address->sin_addr), 1);
  info->ai_addr = (struct sockaddr *)address;
  info->ai_addrlen = sizeof *address;
  info->ai_next = next;
  return info;
}

int fake_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                     struct addrinfo **list) __asm__("getaddrinfo");
int fake_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                     struct addrinfo **list) {
  (void)hints;
  (void)pthread_mutex_lock(&mutex);
  while (hangs && strcmp(name, "two.test") == 0)
    (void)pthread_cond_wait(&released, &mutex);
  (void)pthread_mutex_unlock(&mutex);
  *list = new_address("127.0.0.1", service, NULL);
  if (strcmp(name, "two.test") == 0)
    *list = new_address("127.0.0.2", service, *list);
  return 0;
}

void fake_freeaddrinfo(struct addrinfo *list) __asm__("freeaddrinfo");
void fake_freeaddrinfo(struct addrinfo *list) {
  while (list != NULL) {
    struct addrinfo *next = list->ai_next;
    free(list->ai_addr);
    free(list);
    list = next;
  }
}

static void set_hangs(bool value) {
  (void)pthread_mutex_lock(&mutex);
  hangs = value;
  (void)pthread_cond_broadcast(&released);
  (void)pthread_mutex_unlock(&mutex);
}

/* ---- the servers ---- */

struct world {
  struct tier_fixture fixture;
  struct scripted_resp server; /* on 127.0.0.1 */
  int silent;                  /* listens on 127.0.0.2, and never accepts */
};

static void on_command(struct scripted_conn *conn, const struct resp_reply *command, void *arg) {
  (void)arg;
  if (scripted_resp_greet(conn, command))
    return;
  bool role = scripted_resp_is(command, "ROLE");
  scripted_resp_send_text(conn, role ? "*1\r\n$6\r\nmaster\r\n" : "$1\r\nx\r\n");
}

/* Returns the port. */
static uint16_t listen_silently(struct world *world) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  ck_assert_int_eq(inet_pton(AF_INET, "127.0.0.2", &address.sin_addr), 1);
  world->silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_eq(bind(world->silent, (struct sockaddr *)&address, size), 0);
  ck_assert_int_eq(listen(world->silent, 128), 0);
  ck_assert_int_eq(getsockname(world->silent, (struct sockaddr *)&address, &size), 0);
  return ntohs(address.sin_port);
}

/* The first URL has two addresses: one is silent, and nothing listens at the other. */
static void start(struct world *world) {
  memset(world, 0, sizeof *world);
  tier_fixture_init(&world->fixture, "redis://two.test:1,redis://one.test:1");
  world->fixture.urls.addresses[0].port = listen_silently(world);
  scripted_resp_start(&world->server, &world->fixture.loop, on_command, world);
  world->fixture.urls.addresses[1].port = world->server.port;
  world->fixture.config.deadline_ns = DEADLINE_NS;
  tier_fixture_connect(&world->fixture);
}

static void stop(struct world *world) {
  set_hangs(false);
  scripted_resp_stop(&world->server);
  tier_fixture_deinit(&world->fixture);
  ck_assert_int_eq(close(world->silent), 0);
}

/* ---- tests ---- */

START_TEST(addresses_of_one_name_are_not_used_for_another) {
  struct world w;
  struct tier_test_op op;
  start(&w);
  tier_fixture_wait_ready(&w.fixture);
  ck_assert_int_eq(tier_fixture_read(&w.fixture, "k", &op), FLEET_OK);
  tier_test_op_reset(&op);
  stop(&w);
}
END_TEST

static bool is_failed(void *arg) {
  return tier_fixture_logged(arg, "no reads and writes until it recovers") > 0;
}

/* The result of the first lookup comes when the second name is wanted. */
START_TEST(late_result_of_lookup_is_not_used_for_another_name) {
  struct world w;
  set_hangs(true);
  start(&w);
  tier_fixture_run_until(&w.fixture, is_failed, &w.fixture);
  set_hangs(false);
  tier_fixture_wait_ready(&w.fixture);
  ck_assert_uint_eq(w.server.connections, 1);
  stop(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tier_names");
  TCase *tc = tcase_create("tier_names");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, addresses_of_one_name_are_not_used_for_another);
  tcase_add_test(tc, late_result_of_lookup_is_not_used_for_another_name);
  suite_add_tcase(suite, tc);
  return harness_main(suite);
}
