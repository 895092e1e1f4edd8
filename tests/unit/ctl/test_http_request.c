/* Replies of the exporter, and the addresses that it listens on. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/ctl/exporter/http_request.h"
#include "client/ctl/exporter/listen_address.h"
#include "tests/support/runner.h"

static char *metrics_of_test(void *arg, size_t *size) {
  *size = 2;
  return *(bool *)arg ? strdup("m\n") : NULL;
}

static const struct {
  const char *method, *path, *host;
  bool loopback;
  unsigned status;
} requests[] = {
    {"GET", "/metrics", "127.0.0.1:9121", true, 200},
    {"HEAD", "/metrics", NULL, true, 200},
    {"GET", "/", "localhost", true, 200},
    {"GET", "/metrics/", "localhost", true, 404},
    {"GET", "", "localhost", true, 404},
    {"GET", "/../etc/passwd", "localhost", true, 404},
    {"POST", "/metrics", "localhost", true, 405},
    {"DELETE", "/", "localhost", true, 405},
    {"get", "/metrics", "localhost", true, 405},
    {"GET", "/metrics", "evil.example", true, 403},
    {"POST", "/x", "evil.example", true, 403},
    {"GET", "/metrics", "cache.example.org", false, 200},
};

START_TEST(request_has_status) {
  struct http_request request = {requests[_i].method, requests[_i].path, requests[_i].host};
  struct http_reply reply;
  bool works = true;
  http_request_reply(&request, requests[_i].loopback, metrics_of_test, &works, &reply);
  ck_assert_uint_eq(reply.status, requests[_i].status);
  ck_assert_int_eq(reply.allow != NULL, reply.status == 405);
  ck_assert_uint_eq(reply.size, strlen(reply.body));
  ck_assert_uint_gt(reply.size, 0);
  free(reply.body);
}
END_TEST

START_TEST(metrics_without_memory_are_status_500) {
  const struct http_request request = {"GET", "/metrics", NULL};
  struct http_reply reply;
  bool works = false;
  http_request_reply(&request, true, metrics_of_test, &works, &reply);
  ck_assert_uint_eq(reply.status, 500);
  ck_assert_ptr_null(reply.body);
}
END_TEST

START_TEST(host_is_local_if_no_foreign_page_can_have_it) {
  static const char *const local[] = {"127.0.0.1",     "127.0.0.1:9121", "[::1]:9121",
                                      "[::1]",         "10.1.2.3:1",     "localhost",
                                      "cachebox:9121", "a.localhost",    "a.localhost:80"};
  static const char *const foreign[] = {
      "evil.example",           "evil.example:9121", "127.0.0.1.evil.example",
      "localhost.evil.example", "xlocalhost.",       "1.2.3.4.5"};
  char huge[1000];
  for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
    ck_assert_msg(http_host_is_local(local[i]), "%s", local[i]);
  for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
    ck_assert_msg(!http_host_is_local(foreign[i]), "%s", foreign[i]);
  memset(huge, 'a', sizeof huge);
  huge[sizeof huge - 1] = '\0';
  ck_assert(!http_host_is_local(huge));
}
END_TEST

/* ---- addresses ---- */

START_TEST(address_is_parsed) {
  static const struct {
    const char *text, *host, *port;
  } valid[] = {{"127.0.0.1:9121", "127.0.0.1", "9121"},
               {"[::1]:0", "::1", "0"},
               {":80", "", "80"},
               {"localhost:065", "localhost", "65"},
               {"[fe80::1%lo]:65535", "fe80::1%lo", "65535"}};
  static const char *const invalid[] = {
      "",     "9121",   "x",     "a:",      "a:65536", "a:-1",  "a:+1",  "a: 1",
      "a:1x", "::1:80", "[::1]", "[::1]80", "[::1:80", "[]:80", "a:b:1", "a:99999999999999999999"};
  char error[LISTEN_TEXT_SIZE], huge[1000];
  struct listen_address address;
  for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
    ck_assert_msg(listen_address_parse(valid[i].text, &address, error), "%s", valid[i].text);
    ck_assert_str_eq(address.host, valid[i].host);
    ck_assert_str_eq(address.port, valid[i].port);
  }
  for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
    ck_assert_msg(!listen_address_parse(invalid[i], &address, error), "%s", invalid[i]);
    ck_assert_msg(strstr(error, "127.0.0.1:9121") != NULL, "%s", error);
  }
  memset(huge, 'a', sizeof huge);
  memcpy(huge + sizeof huge - 4, ":80", 4);
  ck_assert(!listen_address_parse(huge, &address, error));
}
END_TEST

/* Opens the address and closes it. Returns whether it is a loopback address. */
static bool open_loopback(const char *text, struct listener *listener) {
  char error[LISTEN_TEXT_SIZE];
  struct listen_address address;
  ck_assert(listen_address_parse(text, &address, error));
  ck_assert_msg(listen_address_open(&address, listener, error), "%s", error);
  ck_assert_int_eq(close(listener->fd), 0);
  return listener->loopback;
}

START_TEST(listener_knows_whether_it_is_loopback) {
  struct listener listener;
  ck_assert(open_loopback("127.0.0.1:0", &listener));
  ck_assert_int_eq(strncmp(listener.name, "127.0.0.1:", 10), 0);
  ck_assert(open_loopback("127.8.9.10:0", &listener));
  ck_assert(!open_loopback("0.0.0.0:0", &listener));
  ck_assert(!open_loopback(":0", &listener));
}
END_TEST

static bool has_ipv6(void) {
  struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
  if (fd >= 0)
    (void)close(fd);
  return has;
}

START_TEST(listener_of_ipv6_has_brackets) {
  struct listener listener;
  if (!has_ipv6())
    return;
  ck_assert(open_loopback("[::1]:0", &listener));
  ck_assert_int_eq(strncmp(listener.name, "[::1]:", 6), 0);
}
END_TEST

START_TEST(address_that_cannot_be_used_has_an_advice) {
  char error[LISTEN_TEXT_SIZE];
  struct listen_address address;
  struct listener first, second;
  ck_assert(listen_address_parse("127.0.0.1:0", &address, error));
  ck_assert(listen_address_open(&address, &first, error));
  ck_assert(listen_address_parse(first.name, &address, error));
  ck_assert(!listen_address_open(&address, &second, error));
  ck_assert_msg(strstr(error, "another program listens there") != NULL, "%s", error);
  ck_assert_int_eq(close(first.fd), 0);
  ck_assert(listen_address_parse("192.0.2.1:9121", &address, error));
  ck_assert(!listen_address_open(&address, &second, error));
  ck_assert_msg(strstr(error, "does not have the address") != NULL, "%s", error);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_request");
  TCase *tests = tcase_create("http_request");

  tcase_add_loop_test(tests, request_has_status, 0, sizeof requests / sizeof requests[0]);
  tcase_add_test(tests, metrics_without_memory_are_status_500);
  tcase_add_test(tests, host_is_local_if_no_foreign_page_can_have_it);
  tcase_add_test(tests, address_is_parsed);
  tcase_add_test(tests, listener_knows_whether_it_is_loopback);
  tcase_add_test(tests, listener_of_ipv6_has_brackets);
  tcase_add_test(tests, address_that_cannot_be_used_has_an_advice);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
