/* User shares, with processes of several users: one user's connections, leases, waits, namespaces
 * and messages stay within its share and leave the rest to others. An administrator can always
 * connect, and can close connections. Tests that need root to become another user print that they
 * are skipped without it. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/wire/frame.h"
#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

enum { GREEDY = 54321, OTHER = 54322, ADMIN_GROUP = 54323, MAX_CLIENTS = 16, SHARE = 12 };

static const struct child_user greedy = {.uid = GREEDY, .gid = GREEDY};
static const struct child_user other = {.uid = OTHER, .gid = OTHER};
static const struct child_user admin = {.uid = OTHER, .gid = OTHER, .group = ADMIN_GROUP};

static struct daemon served;
static int *turn; /* shared with the children: the step of the test */

static bool can_test(void) {
  if (geteuid() == 0)
    return true;
  printf("skipped: only root can become other users\n");
  return false;
}

static bool is_turn(void *arg) {
  return __atomic_load_n(turn, __ATOMIC_ACQUIRE) >= *(int *)arg;
}

static void set_turn(int now) {
  __atomic_store_n(turn, now, __ATOMIC_RELEASE);
}

static bool await_turn(int wanted) {
  return harness_wait_until(is_turn, &wanted, 30000);
}

static void start_with(const char *option, const char *value) {
  char root[HARNESS_PATH_SIZE];

  harness_start(&served, "--max-clients", "16", "--max-leases", "16", "--max-namespaces", "16",
                "--admin-group", "54323", "--stall-timeout", "60", option, value, NULL);
  (void)snprintf(root, sizeof root, "%s", served.dir);
  *strrchr(root, '/') = '\0';
  ck_assert_int_eq(chmod(root, 0711), 0);
  ck_assert_int_eq(chmod(served.dir, 0711), 0);
  ck_assert_int_eq(chmod(served.socket, 0666), 0);
  turn = child_shared(sizeof *turn);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served),
                   0); /* the daemon asserts at its end that all charges are undone */
}

/* ---- connections ---- */

/* Connects and sends a hello. Returns 0, or the code of the refusal, with its text in *text. */
static int open_raw(struct raw *raw, const char *name_space, char text[256]) {
  struct fc_reply reply;
  int rc = raw_connect(raw, served.socket);

  text[0] = '\0';
  if (rc == 0)
    rc = raw_hello(raw, "client", name_space);
  if (rc != FC_EBUSY && rc != RAW_CLOSED)
    return rc;
  raw_close(raw); /* again, to read the error that precedes any request */
  rc = raw_connect(raw, served.socket);
  if (rc == 0)
    rc = raw_recv(raw, &reply, 5000);
  if (rc != 0 || reply.type != FC_ERROR)
    return rc;
  (void)snprintf(text, 256, "%.*s", (int)reply.error.text.size, reply.error.text.data);
  return reply.error.code;
}

static char name_space[] = "own";

static int connects(void *arg) {
  struct raw raw;
  char text[256];

  CHILD_EXPECT(open_raw(&raw, arg, text) == 0);
  raw_close(&raw);
  return 0;
}

static int use_all_connections(void *arg) {
  struct raw raws[MAX_CLIENTS];
  char text[256];
  int n = 0;

  (void)arg;
  while (n < MAX_CLIENTS && open_raw(&raws[n], NULL, text) == 0)
    n++;
  CHILD_EXPECT(n == SHARE);
  CHILD_EXPECT(strcmp(text, "user 54321 holds 12 of 16 connections, which is its share "
                            "(--user-share 75): close some of them, or raise --max-clients") == 0);
  set_turn(1);
  CHILD_EXPECT(await_turn(2));
  while (n-- > 0)
    raw_close(&raws[n]);
  return 0;
}

START_TEST(user_share_leaves_connections_to_others) {
  if (!can_test())
    return;
  start_with("--user-share", "75");
  pid_t pid = child_start(use_all_connections, NULL, &greedy);
  ck_assert(await_turn(1));
  ck_assert_int_eq(child_run(connects, name_space, &other), 0);
  ck_assert_int_eq(child_run(connects, name_space, NULL), 0); /* root */
  set_turn(2);
  ck_assert_int_eq(harness_wait(pid, 30000), 0);
  stop();
}
END_TEST

static int use_all_places(void *arg) {
  struct raw raws[MAX_CLIENTS];
  char text[256];

  (void)arg;
  for (int i = 0; i < MAX_CLIENTS; i++)
    CHILD_EXPECT(open_raw(&raws[i], "own", text) == 0);
  set_turn(1);
  CHILD_EXPECT(await_turn(2));
  return 0;
}

static int is_turned_away(void *arg) {
  struct raw raw;
  char text[256];

  (void)arg;
  CHILD_EXPECT(open_raw(&raw, NULL, text) == FC_EBUSY);
  CHILD_EXPECT(strcmp(text, fc_error_text(FC_EBUSY)) == 0);
  raw_close(&raw);
  return 0;
}

/* The reserve is for root's tools only. A worker of root uses the places of all users. */
static int a_worker_is_turned_away(void *arg) {
  struct raw raw;

  (void)arg;
  CHILD_EXPECT(raw_connect(&raw, served.socket) == 0);
  CHILD_EXPECT(raw_hello(&raw, "worker", "own") == FC_EBUSY);
  raw_close(&raw);
  return 0;
}

START_TEST(administrator_connects_when_all_places_taken) {
  if (!can_test())
    return;
  start_with("--user-share", "100");
  pid_t pid = child_start(use_all_places, NULL, NULL); /* root's own workers */
  ck_assert(await_turn(1));
  ck_assert_int_eq(child_run(is_turned_away, NULL, &other), 0);
  ck_assert_int_eq(child_run(connects, NULL, &admin), 0);
  ck_assert_int_eq(child_run(connects, NULL, NULL), 0);
  for (int i = 0; i < 6; i++) /* the place of the closed connection is free again */
    ck_assert_int_eq(child_run(a_worker_is_turned_away, NULL, NULL), 0);
  ck_assert_int_eq(child_run(connects, NULL, NULL), 0);
  set_turn(2);
  ck_assert_int_eq(harness_wait(pid, 30000), 0);
  stop();
}
END_TEST

/* ---- leases, waits, namespaces ---- */

/* Returns the lease state in the reply to a miss of prompt `i`; negative for another reply. */
static int lease_state(struct raw *raw, int i) {
  char prompt[16];
  struct fc_reply reply;

  (void)snprintf(prompt, sizeof prompt, "%d", i);
  struct fc_key key = raw_key("op", "view", 0, prompt);
  struct fc_get get = raw_lease_get(&key, 60000, 0);
  if (raw_get(raw, &get, &reply) != 0 || reply.type != (FC_REPLY | FC_GET))
    return -1;
  return (int)reply.get.lease;
}

/* Requests the leases of prompts `from` on, over connections that may have four leases each.
 * Returns the number granted. */
static int acquire_leases(struct raw raws[4], int from) {
  int n = 0;

  for (int i = 0; i < 16; i++)
    n += lease_state(&raws[i / 4], from + i) == FC_LEASE_GRANTED;
  return n;
}

static bool open_four(struct raw raws[4]) {
  char text[256];

  for (int i = 0; i < 4; i++)
    if (open_raw(&raws[i], "own", text) != 0)
      return false;
  return true;
}

static int use_all_leases(void *arg) {
  struct raw raws[4];

  (void)arg;
  CHILD_EXPECT(open_four(raws));
  CHILD_EXPECT(acquire_leases(raws, 0) == SHARE);
  set_turn(1);
  CHILD_EXPECT(await_turn(2));
  return 0;
}

static int gets_leases(void *arg) {
  struct raw raws[4];

  (void)arg;
  CHILD_EXPECT(open_four(raws));
  CHILD_EXPECT(acquire_leases(raws, 100) == 3); /* 3/4 of 4 */
  return 0;
}

START_TEST(user_share_leaves_leases_to_others) {
  if (!can_test())
    return;
  start_with("--user-share", "75");
  pid_t pid = child_start(use_all_leases, NULL, &greedy);
  ck_assert(await_turn(1));
  ck_assert_int_eq(child_run(gets_leases, NULL, &other), 0);
  set_turn(2);
  ck_assert_int_eq(harness_wait(pid, 30000), 0);
  stop();
}
END_TEST

/* Requests prompt 0, whose lease root holds, as often as a connection may. Returns how many of `n`
 * requests get a reply at once instead of waiting. */
static int request_often(struct raw raws[], int n_raws, int n) {
  struct fc_key key = raw_key("op", "view", 0, "0");
  int answered = 0;

  for (int i = 0; i < n_raws; i++)
    for (int j = 0; j < n; j++) {
      struct fc_get get = raw_lease_get(&key, 60000, 60000);
      struct fc_buf buf = {0};
      struct fc_reply reply;
      uint32_t id;
      if (raw_send_get(&raws[i], &get, &id) != 0)
        return -1;
      (void)fc_encode_simple(&buf, FC_PING, raws[i].next_id++); /* raw_send_buf checks `failed` */
      if (raw_send_buf(&raws[i], &buf) != 0 || raw_recv(&raws[i], &reply, 5000) != 0)
        return -1;
      answered += reply.type == (FC_REPLY | FC_GET);
      if (reply.type == (FC_REPLY | FC_GET) && raw_recv(&raws[i], &reply, 5000) != 0)
        return -1; /* the pong behind it */
      fc_buf_free(&buf);
    }
  return answered;
}

static int waits_everywhere(void *arg) {
  struct raw raws[4];

  (void)arg;
  CHILD_EXPECT(open_four(raws));
  CHILD_EXPECT(await_turn(1));
  CHILD_EXPECT(request_often(raws, 4, 4) == 16 - SHARE);
  set_turn(2);
  CHILD_EXPECT(await_turn(3));
  return 0;
}

static int waits_once(void *arg) {
  struct raw raw;
  char text[256];

  (void)arg;
  CHILD_EXPECT(open_raw(&raw, "own", text) == 0);
  CHILD_EXPECT(await_turn(2));
  CHILD_EXPECT(request_often(&raw, 1, 3) == 0);
  return 0;
}

START_TEST(user_share_leaves_waits_to_others) {
  struct raw raw;
  char text[256];

  if (!can_test())
    return;
  start_with("--user-share", "75");
  ck_assert_int_eq(open_raw(&raw, "own", text), 0);
  /* Started before the lease is granted: a process that is created inside a computation never waits
   * for it. */
  pid_t first = child_start(waits_everywhere, NULL, &greedy);
  pid_t second = child_start(waits_once, NULL, &other);
  harness_outlive_tick();
  ck_assert_int_eq(lease_state(&raw, 0), FC_LEASE_GRANTED);
  set_turn(1);
  ck_assert_int_eq(harness_wait(second, 30000), 0);
  set_turn(3);
  ck_assert_int_eq(harness_wait(first, 30000), 0);
  raw_close(&raw);
  stop();
}
END_TEST

static int use_all_namespaces(void *arg) {
  struct raw raws[SHARE];
  char name[32], text[256];

  (void)arg;
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < SHARE; i++) {
      (void)snprintf(name, sizeof name, "%d-%d", round, i);
      CHILD_EXPECT(open_raw(&raws[i], name, text) == 0);
      CHILD_EXPECT(lease_state(&raws[i], i) >= 0);
      struct fc_key key = raw_key("op", "view", 0, "kept");
      struct fc_put put = {.key = key, .value = (const uint8_t *)"v", .value_size = 1};
      struct fc_reply reply;
      CHILD_EXPECT(raw_put(&raws[i], &put, &reply) == 0 && reply.put == FC_STORED);
      raw_close(&raws[i]); /* the namespace stays, since it has an entry */
    }
  return 0;
}

/* Another user's idle namespace stays. The greedy user's own namespaces are evicted. */
START_TEST(user_over_share_replaces_own_namespaces) {
  struct fcache_key key = library_key("op", "view", "prompt", 0);

  if (!can_test())
    return;
  start_with("--user-share", "75");
  struct fcache *cache = library_open(served.socket, "precious", NULL, 0);
  library_put_text(cache, &key, "kept");
  fcache_close(cache);
  ck_assert_int_eq(child_run(use_all_namespaces, NULL, &greedy), 0);
  cache = library_open(served.socket, "precious", NULL, 0);
  char *text = library_get_text(cache, &key);
  ck_assert_str_eq(text, "kept");
  ck_assert_uint_eq(library_stat(cache, "namespaces"), 1 + 11); /* 3/4 of 15 */
  free(text);
  fcache_close(cache);
  stop();
}
END_TEST

/* ---- messages ---- */

#define BIG (8u << 20)
#define CHUNK (64u << 10)
#define FILLERS (SHARE - 4) /* connections: a share has room for one more, beside others */

/* Sends the beginning of a large frame, as much as the daemon reads. */
static int begin_frame(struct raw *raw) {
  static const uint8_t chunk[CHUNK];
  uint8_t header[FC_FRAME_HEADER];
  struct pollfd room = {.fd = raw->fd, .events = POLLOUT};

  fc_frame_put_header(header, BIG);
  CHILD_EXPECT(raw_send(raw, header, sizeof header) == 0);
  for (unsigned sent = 0; sent < BIG - CHUNK && poll(&room, 1, 2) == 1;) {
    ssize_t n = send(raw->fd, chunk, sizeof chunk, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0)
      break;
    sent += (unsigned)n;
  }
  return 0;
}

/* Dropped connections connect again. */
static int fills_the_pool(void *arg) {
  struct raw raws[FILLERS];
  char text[256];
  int last = 2;

  (void)arg;
  for (int i = 0; i < FILLERS; i++)
    raws[i].fd = -1;
  do
    for (int i = 0; i < FILLERS; i++) {
      struct pollfd cut = {.fd = raws[i].fd, .events = POLLIN};
      if (raws[i].fd >= 0 && poll(&cut, 1, 0) == 0)
        continue;
      if (raws[i].fd >= 0)
        raw_close(&raws[i]);
      CHILD_EXPECT(open_raw(&raws[i], "own", text) == 0);
      CHILD_EXPECT(begin_frame(&raws[i]) == 0);
      if (i == FILLERS - 1)
        set_turn(1);
    }
  while (!is_turn(&last));
  return 0;
}

static int put_large(void *arg) {
  static const uint8_t value[200000];
  uint64_t most_ns = *(uint64_t *)arg;
  struct raw raw;
  char text[256];

  CHILD_EXPECT(open_raw(&raw, "own", text) == 0);
  for (int i = 0; i < 20; i++) {
    struct fc_key key = raw_key("op", "view", (uint32_t)i, "prompt");
    struct fc_put put = {.key = key, .value = value, .value_size = sizeof value};
    struct fc_reply reply;
    uint64_t start_ns = harness_now_ns();
    CHILD_EXPECT(raw_put(&raw, &put, &reply) == 0 && reply.type == (FC_REPLY | FC_PUT));
    CHILD_EXPECT(harness_now_ns() - start_ns < most_ns);
  }
  return 0;
}

/* The greedy user's own messages pass too, since the daemon drops connections without progress. */
START_TEST(user_share_leaves_frame_memory_to_others) {
  uint64_t others_ns = 250000000, own_ns = 5000000000;

  if (!can_test())
    return;
  start_with("--client-budget", "36M");
  pid_t pid = child_start(fills_the_pool, NULL, &greedy);
  ck_assert(await_turn(1));
  ck_assert_int_eq(child_run(put_large, &others_ns, &other), 0);
  ck_assert_int_eq(child_run(put_large, &own_ns, &greedy), 0);
  set_turn(2);
  ck_assert_int_eq(harness_wait(pid, 30000), 0);
  stop();
}
END_TEST

#define VALUE (4u << 20)

/* ---- fcachectl ---- */

static char *ctl(int status, const char *command, const char *argument) {
  const char *argv[] = {harness_fcachectl(), "--socket", served.socket, command, argument, NULL};
  char *out, *err;

  ck_assert_int_eq(harness_run(argv, &out, &err), status);
  if (status == 0) {
    free(err);
    return out;
  }
  free(out);
  return err;
}

/* A client that uses the library, as workers do. */
static int works_after_kill(void *arg) {
  struct fcache *cache = library_open_in_child(served.socket, "own", "worker", 5000);
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  struct fcache_value value = {0};

  (void)arg;
  CHILD_EXPECT(cache != NULL && fcache_connected(cache));
  set_turn(1);
  CHILD_EXPECT(await_turn(2));
  (void)fcache_get(cache, &key, 0, &value); /* a miss in any case */
  CHILD_EXPECT(!fcache_connected(cache));
  CHILD_EXPECT(strstr(fcache_last_error(cache), fc_error_text(FC_EKILLED)) != NULL);
  for (int i = 0; i < 3000 && !fcache_connected(cache); i++) {
    (void)usleep(1000);
    (void)fcache_get(cache, &key, 0, &value);
  }
  CHILD_EXPECT(fcache_connected(cache));
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

START_TEST(kill_by_administrator_closes_connection) {
  char id[32], process[32];

  if (!can_test())
    return;
  start_with("--user-share", "75");
  pid_t pid = child_start(works_after_kill, NULL, &greedy);
  ck_assert(await_turn(1));
  char *clients = ctl(0, "clients", NULL);
  ck_assert_ptr_nonnull(strstr(clients, "54321: 1 client, 0 leases, 0 waits, rings "));
  ck_assert_ptr_nonnull(strstr(clients, "root: 1 client, 0 leases, 0 waits, rings 0 B\n"));
  const char *row = strchr(strstr(clients, "54321: "), '\n');
  row = strchr(row + 1, '\n'); /* below the header */
  long number = strtol(row, NULL, 10);
  (void)snprintf(id, sizeof id, "%ld", number);
  char *closed = ctl(0, "kill", id);
  ck_assert_str_eq(closed, "closed 1 connection\n");
  set_turn(2);
  ck_assert_int_eq(harness_wait(pid, 30000), 0);
  char *gone = ctl(1, "kill", id);
  ck_assert_ptr_nonnull(strstr(gone, "there is no client "));
  (void)snprintf(process, sizeof process, "pid:%ld", (long)getpid());
  struct fcache *cache = library_open(served.socket, "own", NULL, 0);
  free(closed);
  closed = ctl(0, "kill", process);
  ck_assert_str_eq(closed, "closed 1 connection\n");
  free(ctl(2, "kill", "worker"));
  fcache_close(cache);
  free(closed);
  free(gone);
  free(clients);
  stop();
}
END_TEST

static bool is_being_answered(void *arg) {
  struct pollfd socket = {.fd = ((struct raw *)arg)->fd, .events = POLLIN};
  return poll(&socket, 1, 0) == 1;
}

/* The unread reply keeps the connection until the stall timeout, unless it is closed. */
START_TEST(kill_closes_client_that_does_not_read) {
  static const uint8_t value[VALUE];
  struct fc_put put = {.key = raw_key("op", "view", 0, "prompt"), .value = value};
  struct fc_get get = {.key = put.key};
  struct fc_reply reply;
  struct raw raw;
  char process[32];
  uint32_t id;

  if (!can_test())
    return;
  start_with("--user-share", "75");
  put.value_size = VALUE;
  raw_open(&raw, served.socket, "own");
  ck_assert_int_eq(raw_put(&raw, &put, &reply), 0);
  ck_assert_int_eq(raw_send_get(&raw, &get, &id), 0);
  ck_assert(harness_wait_until(is_being_answered, &raw, 10000));
  (void)snprintf(process, sizeof process, "pid:%ld", (long)getpid());
  free(ctl(0, "kill", process));
  ck_assert_int_eq(raw_recv(&raw, &reply, 20000), RAW_CLOSED);
  raw_close(&raw);
  stop();
}
END_TEST

static int may_not_kill(void *arg) {
  struct raw raw;
  struct fc_buf buf = {0};
  struct fc_reply reply;
  char text[256];

  (void)arg;
  CHILD_EXPECT(open_raw(&raw, NULL, text) == 0);
  (void)fc_encode_kill(&buf, 5, 1); /* raw_send_buf checks `failed` */
  CHILD_EXPECT(raw_send_buf(&raw, &buf) == 0);
  CHILD_EXPECT(raw_recv(&raw, &reply, 5000) == 0);
  CHILD_EXPECT(reply.type == FC_ERROR && reply.error.code == FC_EDENIED);
  raw_close(&raw);
  return 0;
}

START_TEST(kill_by_other_user_denied) {
  if (!can_test())
    return;
  start_with("--user-share", "75");
  ck_assert_int_eq(child_run(may_not_kill, NULL, &greedy), 0);
  stop();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("users");
  TCase *tcase = tcase_create("users");

  tcase_set_timeout(tcase, 90);
  tcase_add_test(tcase, user_share_leaves_connections_to_others);
  tcase_add_test(tcase, administrator_connects_when_all_places_taken);
  tcase_add_test(tcase, user_share_leaves_leases_to_others);
  tcase_add_test(tcase, user_share_leaves_waits_to_others);
  tcase_add_test(tcase, user_over_share_replaces_own_namespaces);
  tcase_add_test(tcase, user_share_leaves_frame_memory_to_others);
  tcase_add_test(tcase, kill_by_administrator_closes_connection);
  tcase_add_test(tcase, kill_closes_client_that_does_not_read);
  tcase_add_test(tcase, kill_by_other_user_denied);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
