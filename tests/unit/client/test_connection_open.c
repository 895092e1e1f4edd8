/* Opening a handle: socket paths, options, and daemons that are absent, busy, or reject the hello.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/lib/util/socket_paths.h"
#include "fcache.h"
#include "proto/errors.h"
#include "proto/limits.h"
#include "tests/support/client_fixture.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"

#define DEADLINE_MS 150u

static void serve_silence(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)scripted;
  (void)nth;
  scripted_wait_closed(fd);
}

/* Does the handshake, reads one get, and answers with the bytes at scripted->arg. */
struct bytes {
  const void *data;
  size_t size;
};

START_TEST(open_daemon_absent_logged_once) {
  struct fcache *cache = client_open("/nonexistent/fcached.sock", DEADLINE_MS);
  struct fcache_counters counters;
  struct fcache_key key = client_key("a");
  ck_assert_str_eq(
      client_lines.first,
      "fcache: sharing is off: no daemon at /nonexistent/fcached.sock (No such file "
      "or directory): start one there with \"fcached --socket /nonexistent/fcached.sock "
      "&\"; results are computed here and not shared");
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  ck_assert_int_eq(fcache_put(cache, &key, "x", 1, 1, 0), FCACHE_NOT_STORED);
  uint64_t end_ms = runner_now_ms() + 400; /* several tries to reconnect */
  while (runner_now_ms() < end_ms)
    ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  fcache_get_counters(cache, &counters);
  ck_assert_uint_ge(counters.degraded, 3);
  ck_assert_uint_eq(client_lines.n, 1);
  ck_assert(!fcache_connected(cache));
  ck_assert_int_eq(fcache_clear(cache, NULL, NULL, NULL), FCACHE_EUNAVAILABLE);
  ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "/nonexistent/fcached.sock"));
  fcache_close(cache);
}
END_TEST

START_TEST(open_stale_socket_connection_refused) {
  struct scripted_daemon scripted;
  scripted_start(&scripted, serve_silence, NULL);
  ck_assert_int_eq(shutdown(scripted.listener, SHUT_RDWR), 0); /* no process accepts any more */
  struct fcache *cache = client_open(scripted.path, DEADLINE_MS);
  ck_assert_ptr_nonnull(strstr(client_lines.first, "(Connection refused: its daemon has ended)"));
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

static void check_paths(const char *option, const char *first, const char *second) {
  struct socket_paths list;
  ck_assert_int_eq(socket_paths_find(&list, option), 0);
  ck_assert_uint_eq(list.n, second != NULL ? 2 : 1);
  ck_assert_str_eq(list.paths[0], first);
  if (second != NULL)
    ck_assert_str_eq(list.paths[1], second);
}

START_TEST(socket_paths_documented_order) {
  (void)setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
  check_paths(NULL, "/run/user/7/fcached.sock", "/run/fcached/fcached.sock");
  (void)setenv("FCACHE_SOCKET", "", 1); /* empty counts as unset */
  check_paths(NULL, "/run/user/7/fcached.sock", "/run/fcached/fcached.sock");
  (void)setenv("FCACHE_SOCKET", "/x/y", 1);
  check_paths(NULL, "/x/y", NULL);
  check_paths("/z", "/z", NULL);
  (void)unsetenv("FCACHE_SOCKET");
  (void)setenv("XDG_RUNTIME_DIR", "", 1);
  check_paths(NULL, "/run/fcached/fcached.sock", NULL);
  char longest[SOCKET_PATH_MAX + 1];
  struct socket_paths list;
  memset(longest, 'p', sizeof longest);
  longest[SOCKET_PATH_MAX] = '\0';
  ck_assert_int_eq(socket_paths_find(&list, longest), FC_EINVAL);
  ck_assert_ptr_nonnull(strstr(list.error, "the socket option"));
  ck_assert_ptr_nonnull(strstr(list.error, "108 bytes"));
  (void)setenv("FCACHE_SOCKET", longest, 1);
  ck_assert_int_eq(socket_paths_find(&list, NULL), FC_EINVAL);
  ck_assert_ptr_nonnull(strstr(list.error, "$FCACHE_SOCKET"));
  (void)unsetenv("FCACHE_SOCKET");
  ck_assert_int_eq(socket_paths_find(&list, ""), FC_EINVAL);
  ck_assert_ptr_nonnull(strstr(list.error, "is empty"));
}
END_TEST

START_TEST(socket_paths_relative_made_absolute) {
  char dir[] = "/tmp/fcpeer.XXXXXX", before[4096], expected[64];
  ck_assert_ptr_nonnull(getcwd(before, sizeof before));
  ck_assert_ptr_nonnull(mkdtemp(dir));
  ck_assert_int_eq(chdir(dir), 0);
  (void)snprintf(expected, sizeof expected, "%s/my.sock", dir);
  check_paths("my.sock", expected, NULL);
  char longest[SOCKET_PATH_MAX]; /* too long when it is absolute: better than none */
  memset(longest, 'p', sizeof longest - 1);
  longest[SOCKET_PATH_MAX - 1] = '\0';
  check_paths(longest, longest, NULL);
  ck_assert_int_eq(chdir(before), 0);
  ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(open_disabled_no_log_no_connection) {
  struct scripted_daemon scripted;
  scripted_start(&scripted, client_serve_hits, NULL);
  (void)setenv("FCACHE_DISABLE", "1", 1);
  struct fcache *cache = client_open(scripted.path, DEADLINE_MS);
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  ck_assert_int_eq(fcache_clear(cache, NULL, NULL, NULL), FCACHE_EUNAVAILABLE);
  ck_assert_uint_eq(client_lines.n, 0);
  ck_assert_uint_eq(atomic_load(&scripted.accepted), 0);
  fcache_close(cache);
  ck_assert_int_eq(fcache_open(NULL, &cache, NULL), FCACHE_OK); /* it needs no namespace */
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

START_TEST(open_wrong_option_reason_reported) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_error error;
  struct fcache *cache;
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_ENONAMESPACE);
  ck_assert_int_eq(fcache_open(NULL, &cache, NULL), FCACHE_ENONAMESPACE);
  ck_assert_ptr_null(cache);
  options.name_space = "n";
  const int64_t none = 0, negative = -3;
  options.max_entries = &none;
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_EMAXENTRIES);
  ck_assert_str_eq(error.text, "max_entries must be positive; got 0");
  options.max_entries = &negative;
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_EMAXENTRIES);
  ck_assert_str_eq(error.text, "max_entries must be positive; got -3");
  ck_assert_int_eq(error.code, FCACHE_EMAXENTRIES);
  options.max_entries = NULL;
  options.name_space = "a\nb";
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_ENAME);
  ck_assert_ptr_null(strchr(error.text, '\n'));
  options.name_space = "";
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_ENAME);
  options.name_space = "n";
  options.client = "\xff";
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_ENAME);
  options.client = NULL;
  static char long_manifest[16386];
  memset(long_manifest, 'm', 16385);
  options.manifest = long_manifest;
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_EINVAL);
  ck_assert_str_eq(error.text,
                   "the manifest has 16385 bytes: shorten it to 16384 at most, or pass none");
  options.manifest = "";
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_EINVAL);
  options.manifest = "{\"model\": \"\xe9\"}";
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_EINVAL);
  ck_assert_str_eq(error.text, "the manifest is not UTF-8: encode it as UTF-8, or pass none");
  options.manifest = NULL;
  options.socket = "";
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_EINVAL);
  options.struct_size = 1;
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_EINVAL);
  ck_assert_ptr_nonnull(strstr(error.text, "FCACHE_OPTIONS_INIT"));
}
END_TEST

struct refusal {
  int code;
  const char *text;
  bool read_hello;
};

static void serve_refusal(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)nth;
  const struct refusal *refusal = scripted->arg;
  struct fc_buf buf = {0};
  uint8_t *body = NULL;
  struct fc_request request = {0};
  if (refusal->read_hello && !scripted_read(scripted, fd, &body, &request))
    return;
  free(body);
  if (fc_encode_error(&buf, request.id, refusal->code, fc_str_of(refusal->text)) == 0)
    scripted_send(fd, &buf);
}

START_TEST(open_rejected_argument_fails) {
  struct refusal refusal = {FC_EMAXENTRIES, "max_entries must be positive; got -1", true};
  struct scripted_daemon scripted;
  scripted_start(&scripted, serve_refusal, &refusal);
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_error error;
  struct fcache *cache;
  options.socket = scripted.path;
  options.name_space = "n";
  options.log = client_log;
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_EMAXENTRIES);
  ck_assert_ptr_nonnull(strstr(error.text, "max_entries must be positive; got -1"));
  scripted_stop(&scripted);
}
END_TEST

/* Full, of another version, hanging up before hello: the daemon's own words are passed on. */
START_TEST(open_rejected_daemon_text_logged) {
  static const struct refusal refusals[] = {
      {FC_EBUSY, "100 clients are\r\n\x1b[1mtoo\xc2\x9bmany", true},
      {FC_EBUSY, "100 clients are??", false},
      {FC_EVERSION, "we speak 9", true}};
  static const char *const said[] = {"100 clients are???[1mtoo?many", "100 clients are",
                                     "we speak 9"};
  struct refusal refusal = refusals[_i];
  struct scripted_daemon scripted;
  scripted_start(&scripted, serve_refusal, &refusal);
  struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
  ck_assert_msg(strstr(client_lines.first, said[_i]) != NULL, "%s", client_lines.first);
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

START_TEST(welcome_implausible_rejected) {
  struct scripted_daemon scripted;
  scripted_start(&scripted, client_serve_nothing, NULL);
  switch (_i) {
  case 0:
    scripted.welcome.max_frame = 1000;
    scripted.welcome.max_value = 10;
    break;
  case 1:
    scripted.welcome.max_frame = scripted.welcome.max_value;
    break;
  case 2:
    scripted.welcome.boot_id = 0;
    break;
  default:
    scripted.welcome.version = 99;
    break;
  }
  struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
  ck_assert(!fcache_connected(cache));
  ck_assert_ptr_nonnull(strstr(client_lines.first, "does not speak the protocol of fcached"));
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

/* Listens with a full queue: closed connections stay in it until they are accepted. */
static int listen_full(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(listen(listener, 0), 0);
  do {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    rc = connect(fd, (struct sockaddr *)&address, sizeof address);
    ck_assert(rc == 0 || errno == EAGAIN);
    ck_assert_int_eq(close(fd), 0);
  } while (rc == 0);
  return listener;
}

START_TEST(open_full_queue_reported_busy) {
  const uint32_t deadline_ms = 500;
  char path[64];
  (void)snprintf(path, sizeof path, "/tmp/fcached-test-%d.sock", (int)getpid());
  int listener = listen_full(path);
  uint64_t start_ms = runner_now_ms();
  struct fcache *cache = client_open(path, deadline_ms);
  uint64_t took_ms = runner_now_ms() - start_ms;
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  fcache_close(cache);
  ck_assert_int_eq(close(listener), 0);
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_uint_ge(took_ms, deadline_ms - 1);
  ck_assert_uint_lt(took_ms, 2 * deadline_ms);
  ck_assert_uint_eq(client_lines.n, 1);
  ck_assert_msg(
      strstr(client_lines.first, "is busy: its queue of new connections was full for 500 ms") &&
          !strstr(client_lines.first, "no daemon"),
      "%s", client_lines.first);
}
END_TEST

struct late {
  struct scripted_daemon *scripted; /* the welcome to send */
  int listener;
  pid_t waiting; /* the thread that must wait first */
};

static bool sleeps(pid_t thread) {
  char path[64], text[256] = "";
  (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
  FILE *file = fopen(path, "re");
  bool read_it = file != NULL && fgets(text, sizeof text, file) != NULL;
  if (file != NULL)
    (void)fclose(file); /* only read */
  const char *end = read_it ? strrchr(text, ')') : NULL;
  return end != NULL && end[1] == ' ' && end[2] == 'S';
}

/* Accepts only after the client waits: first the connections that fill the queue, then the client.
 */
static void *accept_late(void *arg) {
  struct late *late = arg;
  struct pollfd ready = {.fd = late->listener, .events = POLLIN};
  for (int i = 0; i < 5000 && !sleeps(late->waiting); i++)
    (void)poll(NULL, 0, 1);
  while (poll(&ready, 1, 1000) == 1) {
    int fd = accept4(late->listener, NULL, NULL, SOCK_CLOEXEC);
    client_serve_hits(late->scripted, fd, 0); /* returns at once from those that are closed */
    (void)close(fd);                          /* nothing to lose */
  }
  return NULL;
}

START_TEST(open_full_queue_waits) {
  char path[64];
  struct scripted_daemon scripted;
  pthread_t thread;
  scripted_start(&scripted, client_serve_hits, NULL);
  (void)snprintf(path, sizeof path, "/tmp/fcached-test-%d.sock", (int)getpid());
  struct late late = {.scripted = &scripted, .listener = listen_full(path), .waiting = gettid()};
  ck_assert_int_eq(pthread_create(&thread, NULL, accept_late, &late), 0);
  struct fcache *cache = client_open(path, CLIENT_LONG_MS);
  int rc = client_get(cache, "a");
  fcache_close(cache);
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
  ck_assert_int_eq(close(late.listener), 0);
  ck_assert_int_eq(unlink(path), 0);
  scripted_stop(&scripted);
  ck_assert_msg(rc == 0 && client_lines.n == 0, "%d: %s", rc, client_lines.first);
}
END_TEST

struct manifests {
  atomic_uint hellos, right; /* received, and those with the manifest */
  const char *expected;
};

/* Closes the first connection, so that there is a second hello. */
static void serve_manifests(struct scripted_daemon *scripted, int fd, unsigned nth) {
  struct manifests *manifests = scripted->arg;
  struct fc_buf buf = {0};
  struct fc_request request;
  uint8_t *body;
  if (!scripted_read(scripted, fd, &body, &request))
    return;
  atomic_fetch_add(&manifests->hellos, 1);
  if (fc_str_equal(request.hello.manifest, fc_str_of(manifests->expected)))
    atomic_fetch_add(&manifests->right, 1);
  free(body);
  if (fc_encode_welcome(&buf, request.id, &scripted->welcome) != 0)
    return;
  scripted_send(fd, &buf);
  while (nth > 0 && scripted_read(scripted, fd, &body, &request)) {
    free(body);
    scripted_send_hit(fd, request.id, "value", 5);
  }
}

START_TEST(hello_with_manifest_sent_each_time) {
  static char largest[16385];
  memset(largest, 'm', 16384);
  const char *const each[] = {"{\"model\": \"gpt2\"}", largest, NULL};
  struct manifests manifests = {.expected = each[_i]};
  struct scripted_daemon scripted;
  scripted_start(&scripted, serve_manifests, &manifests);
  scripted.welcome.version = _i == 0 ? 3 : FC_PROTOCOL_VERSION; /* an older daemon skips it */
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  char copied[sizeof largest];
  options.socket = scripted.path;
  options.name_space = "n";
  options.log = client_log;
  if (manifests.expected != NULL) {
    (void)snprintf(copied, sizeof copied, "%s", manifests.expected);
    options.manifest = copied;
  }
  ck_assert_int_eq(fcache_open(&options, &cache, NULL), FCACHE_OK);
  memset(copied, 'x', sizeof copied);
  client_get_until(cache, FCACHE_OK);
  ck_assert_uint_eq(atomic_load(&manifests.hellos), 2);
  ck_assert_uint_eq(atomic_load(&manifests.right), 2);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("connection_open");
  TCase *tcase = tcase_create("connection_open");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, client_set_up, client_tear_down);
  tcase_add_test(tcase, open_daemon_absent_logged_once);
  tcase_add_test(tcase, open_stale_socket_connection_refused);
  tcase_add_test(tcase, socket_paths_documented_order);
  tcase_add_test(tcase, socket_paths_relative_made_absolute);
  tcase_add_test(tcase, open_disabled_no_log_no_connection);
  tcase_add_test(tcase, open_wrong_option_reason_reported);
  tcase_add_test(tcase, open_rejected_argument_fails);
  tcase_add_loop_test(tcase, open_rejected_daemon_text_logged, 0, 3);
  tcase_add_loop_test(tcase, welcome_implausible_rejected, 0, 4);
  tcase_add_test(tcase, open_full_queue_reported_busy);
  tcase_add_test(tcase, open_full_queue_waits);
  tcase_add_loop_test(tcase, hello_with_manifest_sent_each_time, 0, 3);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
