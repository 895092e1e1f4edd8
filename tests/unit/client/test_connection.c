/* The library and a daemon that is absent, broken, slow, late, hostile or new; forks,
 * signals, and descriptors that the program took away. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/lib/conn/socket_io.h"
#include "client/lib/util/clock.h"
#include "client/lib/util/socket_paths.h"
#include "fcache.h"
#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"

#define DEADLINE_MS 150u
#define SLACK_MS 10000u /* a loaded machine, or one under valgrind; still far from "for ever" */
#define LONG_MS 20000u  /* bounds what is expected to come */

/* ---- what the tests share ---- */

static struct {
  unsigned n;
  char first[1024], last[1024];
} lines;

static void take_line(void *arg, const char *line) {
  (void)arg;
  if (lines.n++ == 0)
    (void)snprintf(lines.first, sizeof lines.first, "%s", line);
  (void)snprintf(lines.last, sizeof lines.last, "%s", line);
}

static struct fcache *open_at(const char *path, uint32_t deadline_ms) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_error error = {0};
  struct fcache *cache;
  options.socket = path;
  options.name_space = "test";
  options.client = "tester";
  options.deadline_ms = deadline_ms;
  options.log = take_line;
  ck_assert_msg(fcache_open(&options, &cache, &error) == FCACHE_OK, "%s", error.text);
  return cache;
}

/* Connected, though a busy machine may miss so short a deadline over the greeting itself: a call
 * would then be a miss at once, and show nothing of the deadline. */
static struct fcache *open_connected(const char *path, uint32_t deadline_ms) {
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  struct fcache *cache = open_at(path, deadline_ms);
  while (!fcache_connected(cache)) {
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    fcache_close(cache);
    cache = open_at(path, deadline_ms);
  }
  return cache;
}

static struct fcache_key key_of(const char *prompt) {
  return (struct fcache_key){
      .op = "op", .view = "base", .prompt = fcache_hash(prompt, strlen(prompt))};
}

static int get(struct fcache *cache, const char *prompt) {
  struct fcache_key key = key_of(prompt);
  struct fcache_value value = {0};
  int rc = fcache_get(cache, &key, 0, &value);
  if (rc == FCACHE_OK) {
    ck_assert_uint_eq(value.size, 5);
    ck_assert_mem_eq(value.data, "value", 5);
  }
  fcache_value_free(&value);
  return rc;
}

/* Gets until one gives `rc`. */
static void get_until(struct fcache *cache, int rc) {
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  while (get(cache, "a") != rc) {
    ck_assert_msg(runner_now_ms() < end_ms, "no get gave %d: %s", rc, fcache_last_error(cache));
    (void)poll(NULL, 0, 1);
  }
}

static unsigned open_descriptors(void) {
  unsigned n = 0;
  DIR *dir = opendir("/proc/self/fd");
  ck_assert_ptr_nonnull(dir);
  while (readdir(dir) != NULL)
    n++;
  (void)closedir(dir);
  return n;
}

/* Our own ends of connections to `path`: descriptors whose peer has that address. */
static int sockets_to(const char *path, int *last) {
  int n = 0;
  for (int fd = 3; fd < 1024; fd++) {
    struct sockaddr_un address = {0};
    socklen_t size = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &size) != 0 ||
        strcmp(address.sun_path, path) != 0)
      continue;
    if (last != NULL)
      *last = fd;
    n++;
  }
  return n;
}

static int socket_of(const char *path) {
  int fd;
  ck_assert_int_eq(sockets_to(path, &fd), 1);
  return fd;
}

static unsigned descriptors_before;

static void set_up(void) {
  memset(&lines, 0, sizeof lines);
  (void)unsetenv("FCACHE_SOCKET");
  (void)unsetenv("FCACHE_DISABLE");
  (void)unsetenv("FCACHE_NAMESPACE");
  descriptors_before = open_descriptors();
}

static void tear_down(void) {
  ck_assert_uint_eq(open_descriptors(), descriptors_before);
}

/* ---- scripts ---- */

/* Answers every get with a hit, "value". */
static void serve_hits(struct peer *peer, int fd, unsigned nth) {
  (void)nth;
  uint8_t *body;
  struct fc_request request;
  if (!peer_greet(peer, fd))
    return;
  while (peer_read(peer, fd, &body, &request)) {
    peer_send_hit(fd, request.id, "value", 5);
    free(body);
  }
}

/* Answers hello, and nothing after it. */
static void serve_nothing(struct peer *peer, int fd, unsigned nth) {
  (void)nth;
  if (peer_greet(peer, fd))
    peer_wait_closed(fd);
}

static void serve_silence(struct peer *peer, int fd, unsigned nth) {
  (void)peer;
  (void)nth;
  peer_wait_closed(fd);
}

/* Greets and does not read on. */
static void serve_no_reading(struct peer *peer, int fd, unsigned nth) {
  (void)nth;
  if (peer_greet(peer, fd))
    peer_wait_released(peer);
}

/* Welcomes nobody, but for as long as the test goes on. */
static void serve_no_greeting(struct peer *peer, int fd, unsigned nth) {
  (void)fd;
  (void)nth;
  peer_wait_released(peer);
}

/* Greets, takes one get, and answers with the bytes at peer->arg. */
struct bytes {
  const void *data;
  size_t size;
};
static void serve_bytes(struct peer *peer, int fd, unsigned nth) {
  (void)nth;
  const struct bytes *bytes = peer->arg;
  uint8_t *body;
  struct fc_request request;
  if (!peer_greet(peer, fd) || !peer_read(peer, fd, &body, &request))
    return;
  free(body);
  (void)peer_write(fd, bytes->data, bytes->size); /* the client may close at the first of them */
}

/* ---- absent and refusing ---- */

START_TEST(absent_daemon_is_said_once_and_computed_for) {
  struct fcache *cache = open_at("/nonexistent/fcached.sock", DEADLINE_MS);
  struct fcache_counters counters;
  struct fcache_key key = key_of("a");
  ck_assert_str_eq(lines.first,
                   "fcache: sharing is off: no daemon at /nonexistent/fcached.sock (No such file "
                   "or directory); results are computed here and not shared");
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  ck_assert_int_eq(fcache_put(cache, &key, "x", 1, 1, 0), FCACHE_NOT_STORED);
  uint64_t end_ms = runner_now_ms() + 400; /* several tries to reconnect */
  while (runner_now_ms() < end_ms)
    ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  fcache_get_counters(cache, &counters);
  ck_assert_uint_ge(counters.degraded, 3);
  ck_assert_uint_eq(lines.n, 1);
  ck_assert(!fcache_connected(cache));
  ck_assert_int_eq(fcache_clear(cache, NULL, NULL, NULL), FCACHE_EUNAVAILABLE);
  ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "/nonexistent/fcached.sock"));
  fcache_close(cache);
}
END_TEST

START_TEST(stale_socket_is_connection_refused) {
  struct peer peer;
  peer_start(&peer, serve_silence, NULL);
  ck_assert_int_eq(shutdown(peer.listener, SHUT_RDWR), 0); /* nobody accepts any more */
  struct fcache *cache = open_at(peer.path, DEADLINE_MS);
  ck_assert_ptr_nonnull(strstr(lines.first, "(Connection refused)"));
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  fcache_close(cache);
  peer_stop(&peer);
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

START_TEST(sockets_are_tried_in_the_documented_order) {
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

START_TEST(relative_sockets_are_made_absolute) {
  char folder[] = "/tmp/fcpeer.XXXXXX", before[4096], expected[64];
  ck_assert_ptr_nonnull(getcwd(before, sizeof before));
  ck_assert_ptr_nonnull(mkdtemp(folder));
  ck_assert_int_eq(chdir(folder), 0);
  (void)snprintf(expected, sizeof expected, "%s/my.sock", folder);
  check_paths("my.sock", expected, NULL);
  char longest[SOCKET_PATH_MAX]; /* too long when it is absolute: better than none */
  memset(longest, 'p', sizeof longest - 1);
  longest[SOCKET_PATH_MAX - 1] = '\0';
  check_paths(longest, longest, NULL);
  ck_assert_int_eq(chdir(before), 0);
  ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(disabled_says_nothing_and_connects_to_nothing) {
  struct peer peer;
  peer_start(&peer, serve_hits, NULL);
  (void)setenv("FCACHE_DISABLE", "1", 1);
  struct fcache *cache = open_at(peer.path, DEADLINE_MS);
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  ck_assert_int_eq(fcache_clear(cache, NULL, NULL, NULL), FCACHE_EUNAVAILABLE);
  ck_assert_uint_eq(lines.n, 0);
  ck_assert_uint_eq(atomic_load(&peer.accepted), 0);
  fcache_close(cache);
  ck_assert_int_eq(fcache_open(NULL, &cache, NULL), FCACHE_OK); /* it needs no namespace */
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

START_TEST(wrong_options_fail_with_their_reason) {
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
static void serve_refusal(struct peer *peer, int fd, unsigned nth) {
  (void)nth;
  const struct refusal *refusal = peer->arg;
  struct fc_buf buf = {0};
  uint8_t *body = NULL;
  struct fc_request request = {0};
  if (refusal->read_hello && !peer_read(peer, fd, &body, &request))
    return;
  free(body);
  if (fc_encode_error(&buf, request.id, refusal->code, fc_str_of(refusal->text)) == 0)
    peer_send(fd, &buf);
}

START_TEST(refused_arguments_fail_the_open) {
  struct refusal refusal = {FC_EMAXENTRIES, "max_entries must be positive; got -1", true};
  struct peer peer;
  peer_start(&peer, serve_refusal, &refusal);
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_error error;
  struct fcache *cache;
  options.socket = peer.path;
  options.name_space = "n";
  options.log = take_line;
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_EMAXENTRIES);
  ck_assert_ptr_nonnull(strstr(error.text, "max_entries must be positive; got -1"));
  peer_stop(&peer);
}
END_TEST

/* Full, of another version, hanging up before hello: the daemon's own words are passed on. */
START_TEST(refusals_are_passed_on) {
  static const struct refusal refusals[] = {
      {FC_EBUSY, "100 clients are\r\n\x1b[1mtoo\xc2\x9bmany", true},
      {FC_EBUSY, "100 clients are??", false},
      {FC_EVERSION, "we speak 9", true}};
  static const char *const said[] = {"100 clients are???[1mtoo?many", "100 clients are",
                                     "we speak 9"};
  struct refusal refusal = refusals[_i];
  struct peer peer;
  peer_start(&peer, serve_refusal, &refusal);
  struct fcache *cache = open_at(peer.path, LONG_MS);
  ck_assert_msg(strstr(lines.first, said[_i]) != NULL, "%s", lines.first);
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

/* ---- broken replies ---- */

START_TEST(broken_replies_are_misses) {
  static const uint8_t wrong_type[] = {0x93, FC_REPLY | FC_PUT, 2, 0};
  static const uint8_t wrong_fields[] = {0x93, FC_REPLY | FC_GET, 2, 0xc0};
  static const uint8_t no_array[] = {0x02};
  static const struct {
    const void *data;
    uint32_t size;
    bool framed;
  } replies[] = {
      {"HTTP/1.1 400 Bad Request\r\n\r\n", 28, false},
      {"FCA1\0\0\0\0", 8, false},
      {"FCA1\xff\xff\xff\xff", 8, false},
      {wrong_type, sizeof wrong_type, true},
      {wrong_fields, sizeof wrong_fields, true},
      {no_array, sizeof no_array, true},
      {"", 0, false},
  };
  uint8_t frame[256];
  struct bytes bytes = {frame, replies[_i].size};
  memcpy(frame, replies[_i].data, replies[_i].size);
  if (replies[_i].framed) {
    fc_frame_put_header(frame, replies[_i].size);
    memcpy(frame + FC_FRAME_HEADER, replies[_i].data, replies[_i].size);
    bytes.size += FC_FRAME_HEADER;
  }
  struct peer peer;
  peer_start(&peer, serve_bytes, &bytes);
  struct fcache *cache = open_at(peer.path, LONG_MS);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  ck_assert_uint_lt(runner_now_ms() - start_ms, LONG_MS / 2); /* it does not wait for more */
  ck_assert(!fcache_connected(cache));
  ck_assert_uint_eq(lines.n, 1);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

/* The first request after hello has id 2. */
static size_t make_hit(uint8_t *to, size_t room) {
  struct fc_buf buf = {0};
  ck_assert_int_eq(fc_encode_hit_head(&buf, 2, 7, 5), 0);
  ck_assert_int_eq(fc_buf_append(&buf, "value", 5), 0);
  ck_assert_uint_le(buf.size, room);
  memcpy(to, buf.data, buf.size);
  size_t size = buf.size;
  fc_buf_free(&buf);
  return size;
}

START_TEST(replies_cut_at_every_byte_are_misses) {
  uint8_t hit[128];
  size_t size = make_hit(hit, sizeof hit);
  for (size_t cut = 0; cut <= size; cut++) {
    struct bytes bytes = {hit, cut};
    struct peer peer;
    peer_start(&peer, serve_bytes, &bytes);
    struct fcache *cache = open_at(peer.path, LONG_MS);
    ck_assert_int_eq(get(cache, "a"), cut < size ? FCACHE_MISS : FCACHE_OK);
    fcache_close(cache);
    peer_stop(&peer);
  }
}
END_TEST

/* Each byte in a message of its own. */
static void serve_crumbs(struct peer *peer, int fd, unsigned nth) {
  (void)nth;
  const struct bytes *bytes = peer->arg;
  uint8_t *body;
  struct fc_request request;
  if (!peer_greet(peer, fd) || !peer_read(peer, fd, &body, &request))
    return;
  free(body);
  for (size_t i = 0; i < bytes->size; i++) {
    if (!peer_write(fd, (const uint8_t *)bytes->data + i, 1))
      return;
    (void)poll(NULL, 0, peer->welcome.max_value == 1 ? 10 : 0);
  }
  peer_wait_closed(fd);
}

START_TEST(replies_in_crumbs_are_hits) {
  uint8_t hit[128];
  struct bytes bytes = {hit, make_hit(hit, sizeof hit)};
  struct peer peer;
  peer_start(&peer, serve_crumbs, &bytes);
  struct fcache *cache = open_at(peer.path, LONG_MS);
  ck_assert_int_eq(get(cache, "a"), FCACHE_OK);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

/* A reply that never ends, a byte now and then: the deadline is of the whole. */
START_TEST(dripping_replies_meet_the_deadline) {
  uint8_t frame[4096] = {0};
  struct bytes bytes = {frame, sizeof frame};
  fc_frame_put_header(frame, sizeof frame - FC_FRAME_HEADER);
  struct peer peer;
  peer_start(&peer, serve_crumbs, &bytes);
  peer.welcome.max_value = 1; /* tells the script to be slow */
  struct fcache *cache = open_connected(peer.path, DEADLINE_MS);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  ck_assert_uint_ge(runner_now_ms() - start_ms, DEADLINE_MS - 1);
  ck_assert_uint_lt(runner_now_ms() - start_ms, DEADLINE_MS + SLACK_MS);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

START_TEST(impossible_welcomes_are_refused) {
  struct peer peer;
  peer_start(&peer, serve_nothing, NULL);
  switch (_i) {
  case 0:
    peer.welcome.max_frame = 1000;
    peer.welcome.max_value = 10;
    break;
  case 1:
    peer.welcome.max_frame = peer.welcome.max_value;
    break;
  case 2:
    peer.welcome.boot_id = 0;
    break;
  default:
    peer.welcome.version = 99;
    break;
  }
  struct fcache *cache = open_at(peer.path, LONG_MS);
  ck_assert(!fcache_connected(cache));
  ck_assert_ptr_nonnull(strstr(lines.first, "does not speak the protocol of fcached"));
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

/* ---- deadlines ---- */

/* The deadline is so long that a second one would be seen, however busy the machine. */
START_TEST(silence_costs_one_deadline_in_all) {
  const uint32_t deadline_ms = 3000;
  struct peer peer;
  peer_start(&peer, _i == 0 ? serve_silence : serve_nothing, NULL);
  uint64_t start_ms = runner_now_ms();
  struct fcache *cache = open_at(peer.path, deadline_ms);
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  uint64_t took_ms = runner_now_ms() - start_ms;
  ck_assert_uint_ge(took_ms, deadline_ms - 1);
  ck_assert_uint_lt(took_ms, 2 * deadline_ms);
  ck_assert_ptr_nonnull(strstr(lines.first, "did not answer within 3000 ms"));
  /* No call waits while the back-off lasts, nor for the welcome of the next connection. */
  start_ms = runner_now_ms();
  for (int i = 0; i < 1000 && runner_now_ms() - start_ms < 50; i++)
    ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  while (_i == 0 && atomic_load(&peer.accepted) < 2 && runner_now_ms() - start_ms < deadline_ms) {
    ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
    (void)poll(NULL, 0, 1);
  }
  for (int i = 0; _i == 0 && i < 1000; i++)
    ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  ck_assert_uint_lt(runner_now_ms() - start_ms, deadline_ms);
  ck_assert_uint_eq(lines.n, 1);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

/* Listens, and has its queue full: closed connections stay there until they are accepted. */
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

START_TEST(full_queue_is_said_to_be_busy) {
  const uint32_t deadline_ms = 500;
  char path[64];
  (void)snprintf(path, sizeof path, "/tmp/fcached-test-%d.sock", (int)getpid());
  int listener = listen_full(path);
  uint64_t start_ms = runner_now_ms();
  struct fcache *cache = open_at(path, deadline_ms);
  uint64_t took_ms = runner_now_ms() - start_ms;
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  fcache_close(cache);
  ck_assert_int_eq(close(listener), 0);
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_uint_ge(took_ms, deadline_ms - 1);
  ck_assert_uint_lt(took_ms, 2 * deadline_ms);
  ck_assert_uint_eq(lines.n, 1);
  ck_assert_msg(strstr(lines.first, "is busy: its queue of new connections was full for 500 ms") &&
                    !strstr(lines.first, "no daemon"),
                "%s", lines.first);
}
END_TEST

struct late {
  struct peer *peer; /* whose welcome it gives */
  int listener;
  pid_t waiting; /* the thread that is to wait first */
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

/* Accepts only once the client waits for it: first what fills the queue, then the client. */
static void *accept_late(void *arg) {
  struct late *late = arg;
  struct pollfd ready = {.fd = late->listener, .events = POLLIN};
  for (int i = 0; i < 5000 && !sleeps(late->waiting); i++)
    (void)poll(NULL, 0, 1);
  while (poll(&ready, 1, 1000) == 1) {
    int fd = accept4(late->listener, NULL, NULL, SOCK_CLOEXEC);
    serve_hits(late->peer, fd, 0); /* returns at once from those that are closed */
    (void)close(fd);               /* nothing to lose */
  }
  return NULL;
}

START_TEST(full_queue_is_waited_for) {
  char path[64];
  struct peer peer;
  pthread_t thread;
  peer_start(&peer, serve_hits, NULL);
  (void)snprintf(path, sizeof path, "/tmp/fcached-test-%d.sock", (int)getpid());
  struct late late = {.peer = &peer, .listener = listen_full(path), .waiting = gettid()};
  ck_assert_int_eq(pthread_create(&thread, NULL, accept_late, &late), 0);
  struct fcache *cache = open_at(path, LONG_MS);
  int rc = get(cache, "a");
  fcache_close(cache);
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
  ck_assert_int_eq(close(late.listener), 0);
  ck_assert_int_eq(unlink(path), 0);
  peer_stop(&peer);
  ck_assert_msg(rc == 0 && lines.n == 0, "%d: %s", rc, lines.first);
}
END_TEST

START_TEST(unread_puts_meet_the_deadline) {
  struct peer peer;
  size_t size = 8u << 20;
  char *data = calloc(1, size);
  ck_assert_ptr_nonnull(data);
  struct fcache_key key = key_of("a");
  peer_start(&peer, serve_no_reading, NULL);
  struct fcache *cache = open_connected(peer.path, DEADLINE_MS);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(fcache_put(cache, &key, data, size, 1, 0), FCACHE_NOT_STORED);
  ck_assert_uint_ge(runner_now_ms() - start_ms, DEADLINE_MS - 1);
  ck_assert_uint_lt(runner_now_ms() - start_ms, DEADLINE_MS + SLACK_MS);
  fcache_close(cache);
  peer_stop(&peer);
  free(data);
}
END_TEST

/* ---- replies to others ---- */

static void serve_late_replies(struct peer *peer, int fd, unsigned nth) {
  (void)nth;
  uint8_t *body;
  struct fc_request request;
  if (!peer_greet(peer, fd))
    return;
  while (peer_read(peer, fd, &body, &request)) {
    free(body);
    peer_send_hit(fd, request.id - 1, "wrong", 5);
    peer_send_miss(fd, request.id + 1000, 1);
    peer_send_hit(fd, request.id, "value", 5);
  }
}

START_TEST(replies_to_others_are_passed_over) {
  struct peer peer;
  peer_start(&peer, serve_late_replies, NULL);
  struct fcache *cache = open_at(peer.path, LONG_MS);
  for (int i = 0; i < 10; i++)
    ck_assert_int_eq(get(cache, "a"), FCACHE_OK);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

static void serve_flood(struct peer *peer, int fd, unsigned nth) {
  (void)nth;
  uint8_t *body;
  struct fc_request request;
  if (!peer_greet(peer, fd) || !peer_read(peer, fd, &body, &request))
    return;
  free(body);
  /* Thousands with each write: they come faster than they are passed over. */
  struct fc_buf burst = {0};
  while (burst.size < 100000) {
    if (fc_encode_hit_head(&burst, 77777, 7, 5) != 0 || fc_buf_append(&burst, "wrong", 5) != 0)
      break;
  }
  while (peer_write(fd, burst.data, burst.size))
    continue;
  fc_buf_free(&burst);
}

START_TEST(floods_of_replies_to_others_meet_the_deadline) {
  struct peer peer;
  peer_start(&peer, serve_flood, NULL);
  struct fcache *cache = open_connected(peer.path, DEADLINE_MS);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  ck_assert_uint_lt(runner_now_ms() - start_ms, DEADLINE_MS + SLACK_MS);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

/* The same without a race: of what stands in the socket after the deadline one read's worth is
 * taken (we may have been stopped ourselves), and no more. */
START_TEST(no_data_postpones_the_deadline) {
  int pair[2];
  uint8_t frame[FC_FRAME_HEADER + 1] = {0};
  const uint8_t *body;
  uint32_t size;
  struct socket_io io;
  fc_frame_put_header(frame, 1);
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  ck_assert_int_eq((int)write(pair[1], frame, sizeof frame), (int)sizeof frame);
  socket_io_init(&io, (uint64_t)DEADLINE_MS * 1000000u);
  io.socket.fd = pair[0];
  io.started = true;
  io.end_ns = clock_now_ns() - 1;
  ck_assert_int_eq(socket_io_receive(&io, 100, true, &body, &size), 0);
  ck_assert_uint_eq(size, 1);
  ck_assert_int_eq((int)write(pair[1], frame, sizeof frame), (int)sizeof frame);
  ck_assert_int_eq(socket_io_receive(&io, 100, true, &body, &size), FC_ETIMEDOUT);
  socket_io_start_deadline(&io);
  ck_assert_int_eq(socket_io_receive(&io, 100, true, &body, &size), 0);
  ck_assert_uint_eq(size, 1);
  socket_io_deinit(&io); /* no socket that it opened: not closed */
  ck_assert_int_eq(close(pair[0]), 0);
  ck_assert_int_eq(close(pair[1]), 0);
}
END_TEST

/* What is sent at once is sent whole or not at all, and never behind half a message. */
START_TEST(nothing_is_sent_behind_half_a_message) {
  int pair[2];
  size_t size = 8u << 20;
  char *data = calloc(1, size);
  struct socket_io io;
  ck_assert_ptr_nonnull(data);
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  socket_io_init(&io, 1000000u);
  io.socket.fd = pair[0];
  ck_assert(socket_io_send_now(&io, data, 10));
  if (_i == 0) {
    struct iovec piece = {data, size};
    ck_assert_int_eq(socket_io_send(&io, &piece, 1), FC_ETIMEDOUT);
  } else {
    ck_assert(!socket_io_send_now(&io, data, size));
  }
  while (recv(pair[1], data, size, MSG_DONTWAIT) > 0) /* there is room again */
    continue;
  ck_assert(!socket_io_send_now(&io, data, 10));
  socket_io_deinit(&io); /* no socket that it opened: not closed */
  ck_assert_int_eq(close(pair[0]), 0);
  ck_assert_int_eq(close(pair[1]), 0);
  free(data);
}
END_TEST

/* A reply that comes after its deadline is nobody's: the connection is another by then. */
static void serve_late_first(struct peer *peer, int fd, unsigned nth) {
  uint8_t *body;
  struct fc_request request;
  if (nth > 0) {
    serve_hits(peer, fd, nth);
    return;
  }
  if (!peer_greet(peer, fd) || !peer_read(peer, fd, &body, &request))
    return;
  free(body);
  peer_wait_released(peer);
  peer_send_hit(fd, request.id, "wrong", 5);
}

START_TEST(late_reply_is_nobodys) {
  struct peer peer;
  peer_start(&peer, serve_late_first, NULL);
  struct fcache *cache = open_at(peer.path, DEADLINE_MS);
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  atomic_store(&peer.released, true);
  get_until(cache, FCACHE_OK); /* get checks the value */
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

/* An error that answers no request, and then the end. */
static void serve_last_words(struct peer *peer, int fd, unsigned nth) {
  (void)nth;
  struct fc_buf buf = {0};
  if (peer_greet(peer, fd) && fc_encode_error(&buf, 0, FC_ESHUTDOWN, fc_str_of("good bye")) == 0)
    peer_send(fd, &buf);
}

START_TEST(last_words_are_passed_on) {
  struct peer peer;
  peer_start(&peer, serve_last_words, NULL);
  struct fcache *cache = open_at(peer.path, LONG_MS);
  struct pollfd closed = {.fd = socket_of(peer.path), .events = POLLRDHUP};
  ck_assert_int_eq(poll(&closed, 1, (int)LONG_MS), 1); /* so that our request cannot be sent */
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  ck_assert_msg(strstr(lines.first, "good bye") != NULL, "%s", lines.first);
  ck_assert(!fcache_connected(cache));
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

/* ---- coming back ---- */

static void serve_then_hang_up(struct peer *peer, int fd, unsigned nth) {
  if (nth > 0)
    serve_hits(peer, fd, nth);
  else
    (void)peer_greet(peer, fd);
}

START_TEST(reconnects_by_itself) {
  struct peer peer;
  struct fcache_counters counters;
  peer_start(&peer, serve_then_hang_up, NULL);
  struct fcache *cache = open_at(peer.path, LONG_MS);
  get_until(cache, FCACHE_OK);
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.reconnects, 1);
  ck_assert_uint_ge(counters.degraded, 1);
  ck_assert_uint_eq(counters.cache_hits, 1);
  ck_assert(fcache_connected(cache));
  ck_assert_uint_eq(lines.n, 1);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

struct manifests {
  atomic_uint hellos, right; /* that came, and with the manifest */
  const char *expected;
};

/* Hangs up on the first, so that there is a second hello. */
static void serve_manifests(struct peer *peer, int fd, unsigned nth) {
  struct manifests *manifests = peer->arg;
  struct fc_buf buf = {0};
  struct fc_request request;
  uint8_t *body;
  if (!peer_read(peer, fd, &body, &request))
    return;
  atomic_fetch_add(&manifests->hellos, 1);
  if (fc_str_equal(request.hello.manifest, fc_str_of(manifests->expected)))
    atomic_fetch_add(&manifests->right, 1);
  free(body);
  if (fc_encode_welcome(&buf, request.id, &peer->welcome) != 0)
    return;
  peer_send(fd, &buf);
  while (nth > 0 && peer_read(peer, fd, &body, &request)) {
    free(body);
    peer_send_hit(fd, request.id, "value", 5);
  }
}

START_TEST(the_manifest_goes_with_each_hello) {
  static char largest[16385];
  memset(largest, 'm', 16384);
  const char *const each[] = {"{\"model\": \"gpt2\"}", largest, NULL};
  struct manifests manifests = {.expected = each[_i]};
  struct peer peer;
  peer_start(&peer, serve_manifests, &manifests);
  peer.welcome.version = _i == 0 ? 3 : FC_PROTOCOL_VERSION; /* an older daemon skips it */
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  char copied[sizeof largest];
  options.socket = peer.path;
  options.name_space = "n";
  options.log = take_line;
  if (manifests.expected != NULL) {
    (void)snprintf(copied, sizeof copied, "%s", manifests.expected);
    options.manifest = copied;
  }
  ck_assert_int_eq(fcache_open(&options, &cache, NULL), FCACHE_OK);
  memset(copied, 'x', sizeof copied);
  get_until(cache, FCACHE_OK);
  ck_assert_uint_eq(atomic_load(&manifests.hellos), 2);
  ck_assert_uint_eq(atomic_load(&manifests.right), 2);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

static void serve_hang_up(struct peer *peer, int fd, unsigned nth) {
  (void)peer;
  (void)fd;
  (void)nth;
}

START_TEST(tries_come_ever_less_often) {
  struct peer peer;
  uint64_t at_ms[4] = {0}, start_ms = runner_now_ms();
  unsigned seen = 0;
  peer_start(&peer, serve_hang_up, NULL);
  struct fcache *cache = open_at(peer.path, LONG_MS);
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  while (seen < 4 && runner_now_ms() < end_ms) {
    ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
    for (unsigned n = atomic_load(&peer.accepted); seen < n && seen < 4; seen++)
      at_ms[seen] = runner_now_ms();
    (void)poll(NULL, 0, 1);
  }
  ck_assert_uint_eq(seen, 4);
  /* 100, 200 and 400 ms apart. From the start on: we may see each try late, never early. */
  ck_assert_uint_ge(at_ms[1] - start_ms, 99);
  ck_assert_uint_ge(at_ms[2] - start_ms, 299);
  ck_assert_uint_ge(at_ms[3] - start_ms, 699);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

/* A clear has no other result than the daemon's: it does not wait for the back-off. */
static void serve_clears(struct peer *peer, int fd, unsigned nth) {
  uint8_t *body;
  struct fc_request request;
  if (!peer_greet(peer, fd) || nth == 0)
    return;
  while (peer_read(peer, fd, &body, &request)) {
    struct fc_buf buf = {0};
    free(body);
    if (request.type == FC_CLEAR && fc_encode_cleared(&buf, request.id, 42) == 0)
      peer_send(fd, &buf);
  }
}

START_TEST(clear_looks_for_the_daemon_at_once) {
  struct peer peer;
  uint64_t removed = 0;
  peer_start(&peer, serve_clears, NULL);
  struct fcache *cache = open_at(peer.path, LONG_MS);
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS); /* it hung up: the back-off begins */
  ck_assert_int_eq(fcache_clear(cache, NULL, "op", &removed), FCACHE_OK);
  ck_assert_uint_eq(removed, 42);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

/* ---- forks ---- */

static int in_child(struct fcache *cache, const char *path) {
  struct fcache_counters counters;
  fcache_get_counters(cache, &counters);
  if (counters.cache_hits != 0 || fcache_connected(cache))
    return 1;
  if (get(cache, "a") != FCACHE_OK) /* its first call waits for its own welcome */
    return 2;
  fcache_get_counters(cache, &counters);
  if (counters.cache_hits != 1 || counters.degraded != 0 || counters.reconnects != 0)
    return 3;
  if (sockets_to(path, NULL) != 1) /* its copy of the parent's is closed */
    return 4;
  fcache_close(cache);
  return 0;
}

static void check_child(pid_t child) {
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFEXITED(status));
  ck_assert_int_eq(WEXITSTATUS(status), 0);
}

START_TEST(forked_child_opens_its_own) {
  struct peer peer;
  struct fcache_counters counters;
  peer_start(&peer, serve_hits, NULL);
  struct fcache *cache = open_at(peer.path, LONG_MS);
  ck_assert_int_eq(get(cache, "a"), FCACHE_OK);
  for (int i = 0; i < 3; i++) {
    peer_wait_idle(&peer);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
      _exit(in_child(cache, peer.path));
    ck_assert_int_eq(get(cache, "a"), FCACHE_OK); /* side by side */
    check_child(child);
    ck_assert_int_eq(get(cache, "a"), FCACHE_OK);
  }
  peer_wait_idle(&peer);
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) { /* closes what it never used */
    fcache_close(cache);
    _exit(0);
  }
  check_child(child);
  ck_assert_int_eq(get(cache, "a"), FCACHE_OK);
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.cache_hits, 8);
  ck_assert_uint_eq(counters.reconnects, 0);
  ck_assert_uint_eq(atomic_load(&peer.accepted), 4);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

/* ---- descriptors that the program took away ---- */

/* Something else at the number that the handle's socket had, with "mine" to be read. */
static int replace_by_file(int fd, const char *path) {
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ck_assert_int_ge(file, 0);
  /* In one step: a number that stood free would be taken by the peer's next connection. */
  ck_assert_int_eq(dup3(file, fd, O_CLOEXEC), fd);
  ck_assert_int_eq(close(file), 0);
  ck_assert_int_eq((int)write(fd, "mine", 4), 4);
  ck_assert_int_eq((int)lseek(fd, 0, SEEK_SET), 0);
  ck_assert_int_eq(unlink(path), 0);
  return -1;
}

/* Returns the other end. */
static int replace_by_socket(int fd) {
  int pair[2];
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  ck_assert_int_eq(dup2(pair[0], fd), fd);
  ck_assert_int_eq(close(pair[0]), 0);
  ck_assert_int_eq((int)write(pair[1], "mine", 4), 4);
  return pair[1];
}

/* It is open, nothing was read from it, and nothing was written to it. */
static void check_untouched(int fd, int other_end) {
  char content[16];
  ck_assert_int_eq((int)read(fd, content, sizeof content), 4);
  ck_assert_mem_eq(content, "mine", 4);
  ck_assert_int_eq(close(fd), 0);
  if (other_end < 0)
    return;
  ck_assert_int_eq((int)read(other_end, content, sizeof content), 0);
  ck_assert_int_eq(close(other_end), 0);
}

START_TEST(reused_descriptor_is_left_alone) {
  struct peer peer;
  char path[PEER_PATH_SIZE + 8];
  bool greeting = _i / 2 == 1;
  peer_start(&peer, greeting ? serve_no_greeting : serve_hits, NULL);
  (void)snprintf(path, sizeof path, "%s/file", peer.dir);
  struct fcache *cache = open_at(peer.path, greeting ? DEADLINE_MS : LONG_MS);
  /* or while it awaits the welcome of another connection */
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  while (greeting && atomic_load(&peer.accepted) < 2 && runner_now_ms() < end_ms)
    ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  int fd = socket_of(peer.path);
  int other_end = _i % 2 == 0 ? replace_by_file(fd, path) : replace_by_socket(fd);
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  fcache_close(cache);
  check_untouched(fd, other_end);
  peer_stop(&peer);
}
END_TEST

struct swap {
  atomic_int fd; /* the handle's socket */
  atomic_int other_end;
};

/* Has the handle wait, and puts something else at its socket's number meanwhile. */
static void serve_a_swap(struct peer *peer, int fd, unsigned nth) {
  struct swap *swap = peer->arg;
  struct fc_request request;
  struct fc_buf taken = {0};
  uint8_t *body;
  int pair[2];
  if (nth > 0 || !peer_greet(peer, fd) || !peer_read(peer, fd, &body, &request))
    return;
  free(body);
  if (fc_encode_miss_lease(&taken, request.id, 7, FC_LEASE_TAKEN) != 0)
    return;
  peer_send(fd, &taken);
  if (!peer_read(peer, fd, &body, &request))
    return;
  free(body);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
      write(pair[1], "mine", 4) != 4 || dup3(pair[0], atomic_load(&swap->fd), O_CLOEXEC) < 0)
    return;
  (void)close(pair[0]);
  atomic_store(&swap->other_end, pair[1]);
  peer_wait_closed(fd);
}

/* A wait is long: no ping goes to a stranger, and nothing that one says is read. */
START_TEST(descriptor_that_is_reused_during_a_wait_is_left_alone) {
  struct swap swap = {.other_end = -1};
  struct peer peer;
  struct fcache_value value = {0};
  struct fcache_key key = key_of("a");
  peer_start(&peer, serve_a_swap, &swap);
  struct fcache *cache = open_at(peer.path, 8 * DEADLINE_MS); /* it pings after a quarter */
  atomic_store(&swap.fd, socket_of(peer.path));
  ck_assert_int_eq(fcache_get_wait(cache, &key, FCACHE_LEASE, LONG_MS, &value), FCACHE_MISS);
  ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "the program closed the descriptor"));
  ck_assert_int_ge(atomic_load(&swap.other_end), 0);
  fcache_close(cache);
  fcache_value_free(&value);
  check_untouched(atomic_load(&swap.fd), atomic_load(&swap.other_end));
  peer_stop(&peer);
}
END_TEST

START_TEST(closed_descriptor_is_replaced_by_a_new_connection) {
  struct peer peer;
  peer_start(&peer, serve_hits, NULL);
  struct fcache *cache = open_at(peer.path, LONG_MS);
  int fd = socket_of(peer.path);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  get_until(cache, FCACHE_OK);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

START_TEST(descriptor_is_closed_on_exec) {
  struct peer peer;
  peer_start(&peer, serve_hits, NULL);
  struct fcache *cache = open_at(peer.path, LONG_MS);
  int fd = socket_of(peer.path);
  ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

/* ---- signals ---- */

static atomic_uint alarms;

static void count_alarm(int signal) {
  (void)signal;
  atomic_fetch_add(&alarms, 1);
}

/* Answers a get after some signals have come. */
static void serve_after_alarms(struct peer *peer, int fd, unsigned nth) {
  (void)nth;
  uint8_t *body;
  struct fc_request request;
  if (!peer_greet(peer, fd))
    return;
  while (peer_read(peer, fd, &body, &request)) {
    free(body);
    unsigned end = atomic_load(&alarms) + 5;
    while (atomic_load(&alarms) < end && !atomic_load(&peer->stopping))
      (void)poll(NULL, 0, 1);
    peer_send_hit(fd, request.id, "value", 5);
  }
}

static void ring_every_5_ms(bool on) {
  struct itimerval timer = {.it_interval.tv_usec = on ? 5000 : 0,
                            .it_value.tv_usec = on ? 5000 : 0};
  ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

/* Starts a peer whose threads do not take SIGALRM, which then interrupts only us. */
static void start_with_alarms(struct peer *peer, peer_script *script) {
  struct sigaction action = {.sa_handler = count_alarm};
  sigset_t set;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, SIGALRM);
  ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
  peer_start(peer, script, NULL);
}

static void unblock_alarms(void) {
  sigset_t set;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, SIGALRM);
  ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
  ring_every_5_ms(true);
}

START_TEST(signals_do_not_cut_a_wait_short) {
  struct peer peer;
  start_with_alarms(&peer, serve_after_alarms);
  struct fcache *cache = open_at(peer.path, LONG_MS);
  unblock_alarms();
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(get(cache, "a"), FCACHE_OK);
  ring_every_5_ms(false);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

START_TEST(signals_do_not_make_a_wait_longer) {
  struct peer peer;
  const uint32_t deadline_ms = 1000; /* room for some signals, however late each is */
  start_with_alarms(&peer, serve_nothing);
  struct fcache *cache = open_connected(peer.path, deadline_ms);
  unblock_alarms();
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(get(cache, "a"), FCACHE_MISS);
  uint64_t took_ms = runner_now_ms() - start_ms;
  ring_every_5_ms(false);
  ck_assert_uint_ge(took_ms, deadline_ms - 1);
  ck_assert_uint_lt(took_ms, deadline_ms + SLACK_MS);
  ck_assert_uint_ge(atomic_load(&alarms), 3);
  fcache_close(cache);
  peer_stop(&peer);
}
END_TEST

static void add_replies(TCase *tcase) {
  tcase_add_loop_test(tcase, broken_replies_are_misses, 0, 7);
  tcase_add_test(tcase, replies_cut_at_every_byte_are_misses);
  tcase_add_test(tcase, replies_in_crumbs_are_hits);
  tcase_add_loop_test(tcase, impossible_welcomes_are_refused, 0, 4);
  tcase_add_test(tcase, replies_to_others_are_passed_over);
  tcase_add_test(tcase, floods_of_replies_to_others_meet_the_deadline);
  tcase_add_test(tcase, no_data_postpones_the_deadline);
  tcase_add_loop_test(tcase, nothing_is_sent_behind_half_a_message, 0, 2);
  tcase_add_test(tcase, late_reply_is_nobodys);
  tcase_add_test(tcase, last_words_are_passed_on);
  tcase_add_test(tcase, dripping_replies_meet_the_deadline);
  tcase_add_loop_test(tcase, silence_costs_one_deadline_in_all, 0, 2);
  tcase_add_test(tcase, full_queue_is_said_to_be_busy);
  tcase_add_test(tcase, full_queue_is_waited_for);
  tcase_add_test(tcase, unread_puts_meet_the_deadline);
}

int main(void) {
  Suite *suite = suite_create("client_link");
  TCase *tcase = tcase_create("connection");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, absent_daemon_is_said_once_and_computed_for);
  tcase_add_test(tcase, stale_socket_is_connection_refused);
  tcase_add_test(tcase, sockets_are_tried_in_the_documented_order);
  tcase_add_test(tcase, relative_sockets_are_made_absolute);
  tcase_add_test(tcase, disabled_says_nothing_and_connects_to_nothing);
  tcase_add_test(tcase, wrong_options_fail_with_their_reason);
  tcase_add_test(tcase, refused_arguments_fail_the_open);
  tcase_add_loop_test(tcase, refusals_are_passed_on, 0, 3);
  add_replies(tcase);
  tcase_add_loop_test(tcase, the_manifest_goes_with_each_hello, 0, 3);
  tcase_add_test(tcase, reconnects_by_itself);
  tcase_add_test(tcase, tries_come_ever_less_often);
  tcase_add_test(tcase, clear_looks_for_the_daemon_at_once);
  tcase_add_test(tcase, forked_child_opens_its_own);
  tcase_add_loop_test(tcase, reused_descriptor_is_left_alone, 0, 4);
  tcase_add_test(tcase, descriptor_that_is_reused_during_a_wait_is_left_alone);
  tcase_add_test(tcase, closed_descriptor_is_replaced_by_a_new_connection);
  tcase_add_test(tcase, descriptor_is_closed_on_exec);
  tcase_add_test(tcase, signals_do_not_cut_a_wait_short);
  tcase_add_test(tcase, signals_do_not_make_a_wait_longer);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
