/* Connections with rings, over real sockets: the welcome has descriptors, the timer drains rings,
 * corrupt rings are dropped, and a client behind the trace or a clear that waits for its record
 * leaves the loop idle. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/net/conn.h"
#include "proto/errors.h"
#include "proto/shm/region_layout.h"
#include "proto/wire/frame.h"
#include "tests/support/private_store.h"
#include "tests/support/ring_builder.h"
#include "tests/support/runner.h"
#include "tests/support/traced.h"

static struct region region;
static struct store store;
static struct namespace_table table;
static struct traced traced;
static struct dispatch dispatch;
static struct users users;
static struct conns conns;
static uv_loop_t loop;
static uv_pipe_t listener;
static char path[100];           /* fits into sun_path */
static struct region handed_out; /* no more than its descriptors: as many as there may be */

/* The client: its socket never blocks. */
static int client_fd;
static struct ring_builder writer;
static uint8_t input[4096];
static size_t input_size;

static void on_connection(uv_stream_t *stream, int status) {
  ck_assert_int_eq(status, 0);
  conns_accept(&conns, stream);
}

static void set_up(void) {
  ck_assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR); /* as the daemon does */
  private_store_init(&store, &region, 1 << 20, 4096, 42);
  namespace_table_init(&table, &store, 8);
  traced_start(&traced);
  handed_out = (struct region){.index_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC),
                               .n_segments = FC_REGION_SEGMENTS_MAX};
  ck_assert_int_ge(handed_out.index_fd, 0);
  for (unsigned i = 0; i < FC_REGION_SEGMENTS_MAX; i++)
    handed_out.segment_fds[i] = handed_out.index_fd;
  struct dispatch_config config = {.store = &store,
                                   .namespaces = &table,
                                   .trace = &traced.trace,
                                   .log = &traced.log,
                                   .users = &users,
                                   .boot_id = 1,
                                   .max_clients = 4,
                                   .frames_bytes = &conns.frames.used_bytes,
                                   .replies_bytes = &conns.replies.used_bytes,
                                   .region = &handed_out,
                                   .ring_pool_bytes = 64u << 20,
                                   .leases = leases_limits_of(4, 60000)};
  dispatch_init(&dispatch, &config);
  struct conns_limits limits = {.max_clients = 4,
                                .hello_timeout_ns = UINT64_C(60000000000),
                                .stall_timeout_ns = UINT64_C(60000000000),
                                .budget_bytes = 1u << 20,
                                .admins.own_uid = geteuid()};
  users_init(&users, USER_SHARE_DEFAULT);
  ck_assert_int_eq(uv_loop_init(&loop), 0);
  ck_assert_int_eq(conns_init(&conns, &loop, &dispatch, &users, &limits, &traced.log), 0);
  (void)snprintf(path, sizeof path, "%s/socket", traced.dir);
  ck_assert_int_eq(uv_pipe_init(&loop, &listener, 0), 0);
  ck_assert_int_eq(uv_pipe_bind(&listener, path), 0);
  ck_assert_int_eq(uv_listen((uv_stream_t *)&listener, 4, on_connection), 0);
  client_fd = -1;
  input_size = 0;
  memset(&writer, 0, sizeof writer);
}

static void tear_down(void) {
  if (client_fd >= 0)
    ck_assert_int_eq(close(client_fd), 0);
  conns_close(&conns);
  uv_close((uv_handle_t *)&listener, NULL); /* and unlinks */
  ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
  conns_deinit(&conns);
  ck_assert_int_eq(uv_loop_close(&loop), 0);
  if (writer.header != NULL)
    ring_builder_close(&writer);
  ck_assert_int_eq(close(handed_out.index_fd), 0);
  namespace_table_deinit(&table);
  dispatch_deinit(&dispatch);
  users_deinit(&users);
  private_store_deinit(&store, &region);
  traced_end(&traced);
}

static void send_bytes(struct fc_buf *request) {
  ck_assert(!request->failed);
  ck_assert_int_eq(send(client_fd, request->data, request->size, MSG_NOSIGNAL),
                   (ssize_t)request->size);
  fc_buf_free(request);
}

/* Takes the first descriptor and the last one, and closes the segments. */
static void take(struct cmsghdr *rights, int fds[2]) {
  int all[FC_REGION_PASSED_MAX];
  ck_assert_uint_eq(rights->cmsg_len, CMSG_LEN(sizeof all));
  memcpy(all, CMSG_DATA(rights), sizeof all);
  for (unsigned i = 1; i < FC_REGION_PASSED_MAX - 1; i++)
    ck_assert_int_eq(close(all[i]), 0);
  fds[0] = all[0];
  fds[1] = all[FC_REGION_PASSED_MAX - 1];
}

/* Receives bytes, and with them the descriptors of the index and the ring: see take. Returns false
 * at the end of the stream. */
static bool receive(int fds[2]) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(FC_REGION_PASSED_MAX * sizeof(int))];
  } control;
  struct iovec room = {input + input_size, sizeof input - input_size};
  struct msghdr message = {.msg_iov = &room,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t n = recvmsg(client_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) {
    ck_assert_int_eq(errno, EAGAIN);
    return true;
  }
  input_size += (size_t)n;
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  if (rights != NULL) {
    ck_assert_ptr_nonnull(fds);
    ck_assert_int_eq(rights->cmsg_type, SCM_RIGHTS);
    take(rights, fds);
  }
  return n > 0;
}

/* Returns true if a whole reply was received. */
static bool has_reply(void) {
  uint32_t body;
  return fc_frame_peek(input, input_size, FC_FRAME_SLACK, &body) == 0;
}

static struct fc_reply next_reply(int fds[2]) {
  struct fc_reply reply;
  while (!has_reply()) {
    (void)uv_run(&loop, UV_RUN_ONCE); /* handles are left: the timer's, the listener */
    (void)receive(fds);               /* the end of the stream comes after the reply */
  }
  uint32_t body = 0;
  ck_assert_int_eq(fc_frame_peek(input, input_size, FC_FRAME_SLACK, &body), 0);
  ck_assert_int_eq(fc_decode_reply(input + FC_FRAME_HEADER, body, &reply), 0);
  input_size = 0; /* one at a time; texts stay until the next */
  return reply;
}

static void send_hello(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct fc_buf request = {0};
  struct fc_hello hello = {.version_min = FC_PROTOCOL_VERSION_MIN,
                           .version_max = 4, /* does not look at its ring's state */
                           .client = fc_str_of("client"),
                           .name_space = fc_str_of("ns"),
                           .region_layout = FC_REGION_LAYOUT};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  client_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_ge(client_fd, 0);
  ck_assert_int_eq(connect(client_fd, (struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(fc_encode_hello(&request, 1, &hello), 0);
  send_bytes(&request);
}

static struct fc_welcome join(int fds[2]) {
  send_hello();
  fds[0] = fds[1] = -1;
  return next_reply(fds).welcome;
}

static void join_with_ring(void) {
  int fds[2];
  ck_assert_uint_ne(join(fds).namespace_id, 0);
  ring_builder_open(&writer, fds[1]);
  ck_assert_int_eq(close(fds[0]), 0);
  ck_assert_int_eq(close(fds[1]), 0);
  ring_builder_context(&writer, 0, "op", "base", NULL);
}

static void hit(uint32_t n) {
  struct fc_key key = {.op = fc_str_of("op"), .view = fc_str_of("base"), .top_k = n};
  struct fc_ring_hit record = ring_builder_hit_on(0, 0, &key); /* finds nothing, and counts */
  ring_builder_hit(&writer, &record);
  ring_builder_publish(&writer);
}

static void send_ping(void) {
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_simple(&request, FC_PING, 7), 0);
  send_bytes(&request);
}

START_TEST(welcome_carries_descriptors) {
  int fds[2];
  struct stat got, want;
  struct fc_welcome welcome = join(fds);
  ck_assert_uint_eq(welcome.namespace_id, table.first->seed);
  ck_assert_uint_eq(welcome.client_id, 1);
  ck_assert_int_ge(fds[0], 0);
  ck_assert_int_eq(fstat(fds[0], &got), 0);
  ck_assert_int_eq(fstat(handed_out.index_fd, &want), 0);
  ck_assert_uint_eq(got.st_rdev, want.st_rdev);
  ring_builder_open(&writer, fds[1]); /* checks the layout */
  ck_assert_int_eq(close(fds[0]), 0);
  ck_assert_int_eq(close(fds[1]), 0);
  send_ping(); /* and the connection goes on as any */
  ck_assert_int_eq(next_reply(NULL).type, FC_REPLY | FC_PING);
}
END_TEST

START_TEST(ring_of_silent_client_drained_by_timer) {
  join_with_ring();
  hit(1);
  while (dispatch.totals->counters.hits == 0)
    (void)uv_run(&loop, UV_RUN_ONCE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 1);
}
END_TEST

START_TEST(ring_drained_when_connection_closes) {
  join_with_ring();
  hit(1);
  hit(2);
  ck_assert_int_eq(close(client_fd), 0);
  client_fd = -1;
  while (conns.count > 0)
    (void)uv_run(&loop, UV_RUN_ONCE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 2);
  ck_assert_uint_eq(dispatch.rings.n, 0);
  while (conns.rings_period_ms != 0) /* and the timer comes to rest */
    (void)uv_run(&loop, UV_RUN_ONCE);
}
END_TEST

START_TEST(corrupt_ring_dropped_by_timer) {
  join_with_ring();
  atomic_store_explicit(&writer.header->head, UINT64_MAX, memory_order_release);
  struct fc_reply reply = next_reply(NULL);
  ck_assert_int_eq(reply.type, FC_ERROR);
  ck_assert_int_eq(reply.error.code, FC_EPROTOCOL);
  while (conns.count > 0)
    (void)uv_run(&loop, UV_RUN_ONCE);
  ck_assert(!receive(NULL));
  ck_assert_uint_eq(dispatch.totals->dropped, 1);
}
END_TEST

/* Runs the loop until the rings' timer was there `n` times. */
static void run_ticks(unsigned n) {
  while (n > 0) {
    struct rings *rings = &dispatch.rings;
    rings->seen_any = true; /* a sweep forgets it */
    (void)uv_run(&loop, UV_RUN_ONCE);
    n -= !rings->seen_any;
  }
}

START_TEST(connection_behind_trace_leaves_loop_idle) {
  join_with_ring();
  uint32_t n =
      dispatch.rings.awake->reader.n_slots - 8; /* a ping is answered where there is room */
  for (uint32_t i = 0; i < n; i++)
    hit(1);
  traced_fall_behind(&traced);
  send_ping();
  run_ticks(3);
  ck_assert(receive(NULL) && !has_reply());
  ck_assert_uint_eq(dispatch.totals->counters.hits, 0);
  while (uv_is_active((uv_handle_t *)&conns.turn)) /* let the last tick's work finish */
    (void)uv_run(&loop, UV_RUN_NOWAIT);
  traced_write_out(&traced);
  ck_assert_int_eq(next_reply(NULL).type, FC_REPLY | FC_PING);
  ck_assert_uint_gt(dispatch.totals->counters.hits, 0);
}
END_TEST

/* ---- a clear that waits for its record ---- */

static int clear_state; /* scripted: see struct control */

static uint64_t record_clear(void *arg, const struct fc_select *select) {
  (void)arg;
  ck_assert(fc_str_equal(select->name_space, fc_str_of("ns")));
  return 1;
}

static int state_of_clear(void *arg, uint64_t ticket) {
  (void)arg;
  ck_assert_uint_eq(ticket, 1);
  return clear_state;
}

START_TEST(clear_without_its_record_leaves_loop_idle) {
  struct fc_buf request = {0};
  struct fc_clear select = {.select.name_space = fc_str_of("ns")};
  clear_state = 0;
  dispatch.control = (struct control){.clear_record = record_clear, .clear_state = state_of_clear};
  join_with_ring();
  ck_assert_int_eq(fc_encode_clear(&request, 3, &select), 0);
  send_bytes(&request);
  while (!conns.all->session.waits_for_record)
    (void)uv_run(&loop, UV_RUN_ONCE);
  run_ticks(3);
  ck_assert(receive(NULL) && !has_reply());
  while (uv_is_active((uv_handle_t *)&conns.turn)) /* let the last tick's work finish */
    (void)uv_run(&loop, UV_RUN_NOWAIT);
  dispatch_clears_recorded(&dispatch); /* others' records: it waits again */
  while (!conns.all->session.waits_for_record)
    (void)uv_run(&loop, UV_RUN_NOWAIT);
  ck_assert(receive(NULL) && !has_reply());
  clear_state = 1;
  dispatch_clears_recorded(&dispatch);
  ck_assert_int_eq(next_reply(NULL).type, FC_REPLY | FC_CLEAR);
}
END_TEST

/* ---- the end of a connection behind the trace ---- */

static void close_client(void) {
  ck_assert_int_eq(close(client_fd), 0);
  client_fd = -1;
}

/* Closes the client with `n` unread hits, and runs the loop until the connection's end waits. Its
 * time is never over, however slow the machine is. */
static struct conn *end_behind_trace(uint32_t n) {
  join_with_ring();
  for (uint32_t i = 0; i < n; i++)
    hit(1);
  traced_fall_behind(&traced);
  uint64_t before_ns = uv_hrtime();
  close_client();
  struct conn *conn = conns.all;
  while (conn->trace_until_ns == 0) {
    (void)uv_run(&loop, UV_RUN_ONCE);
    ck_assert_ptr_eq(conns.all, conn);
  }
  ck_assert_uint_ge(conn->trace_until_ns, before_ns + CONN_TRACE_WAIT_NS);
  ck_assert_uint_le(conn->trace_until_ns, uv_hrtime() + CONN_TRACE_WAIT_NS);
  conn->trace_until_ns = UINT64_MAX;
  return conn;
}

static void run_until_ended(void) {
  while (conns.count > 0)
    (void)uv_run(&loop, UV_RUN_ONCE);
  while (conns.rings_period_ms != 0) /* the timer comes to rest */
    (void)uv_run(&loop, UV_RUN_ONCE);
}

START_TEST(end_behind_trace_waits_until_lines_written) {
  (void)end_behind_trace(100);
  run_ticks(3);
  ck_assert_uint_eq(conns.count, 1);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 0);
  traced_write_out(&traced);
  run_until_ended();
  ck_assert_uint_eq(dispatch.totals->counters.hits, 100);
  ck_assert_uint_eq(traced.trace.lost, 0);
  ck_assert_uint_eq(traced_count(&traced, "\n"), 100);
}
END_TEST

START_TEST(end_behind_trace_time_over_drains_at_once) {
  struct conn *conn = end_behind_trace(100);
  run_ticks(3);
  ck_assert_uint_eq(conns.count, 1);
  conn->trace_until_ns = 1;
  run_until_ended();
  ck_assert(trace_is_behind(&traced.trace));
  ck_assert_uint_eq(dispatch.totals->counters.hits, 100);
  ck_assert_uint_eq(traced_count(&traced, "\n"), 100); /* there was room for them */
}
END_TEST

/* The next reading loses the lines, not the wait. */
START_TEST(end_behind_full_trace_eviction_drains_ring) {
  (void)end_behind_trace(100);
  traced_fill(&traced);
  uint64_t lost = traced.trace.lost;
  rings_drain_before_eviction(&dispatch.rings);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 100);
  ck_assert_uint_eq(traced.trace.lost, lost + 100);
  run_until_ended();
  ck_assert(trace_is_behind(&traced.trace));
}
END_TEST

static void take_lease(uint32_t n) {
  struct fc_buf request = {0};
  struct fc_get get = {.flags = FC_LEASE,
                       .key = {.op = fc_str_of("op"), .view = fc_str_of("base"), .top_k = n},
                       .has_terms = true,
                       .terms.lease_ms = 60000};
  ck_assert_int_eq(fc_encode_get(&request, 2, &get), 0);
  send_bytes(&request);
  ck_assert_int_eq(next_reply(NULL).type, FC_REPLY | FC_GET);
}

START_TEST(end_behind_trace_leases_released_at_once) {
  join_with_ring();
  take_lease(1);
  ck_assert_uint_eq(dispatch.leases.n, 1);
  hit(1);
  traced_fall_behind(&traced);
  close_client();
  struct conn *conn = conns.all;
  while (conn->trace_until_ns == 0)
    (void)uv_run(&loop, UV_RUN_ONCE);
  ck_assert_uint_eq(dispatch.leases.n, 0);
  ck_assert_uint_eq(conns.count, 1);
}
END_TEST

static void note_empty(void *arg) {
  *(bool *)arg = true;
}

/* The daemon stops: the drain waits too, and the client sees the end of the stream before. */
START_TEST(drain_behind_trace_waits_until_lines_written) {
  static bool is_empty;
  conns.on_empty = note_empty;
  conns.arg = &is_empty;
  is_empty = false;
  join_with_ring();
  hit(1);
  traced_fall_behind(&traced);
  conns_drain(&conns);
  struct fc_reply reply = next_reply(NULL);
  ck_assert_int_eq(reply.type, FC_ERROR);
  ck_assert_int_eq(reply.error.code, FC_ESHUTDOWN);
  while (receive(NULL))
    (void)uv_run(&loop, UV_RUN_ONCE);
  ck_assert_uint_eq(conns.count, 1);
  conns.all->trace_until_ns = UINT64_MAX;
  run_ticks(3);
  ck_assert(!is_empty);
  traced_write_out(&traced);
  while (!is_empty)
    (void)uv_run(&loop, UV_RUN_ONCE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 1);
  ck_assert_uint_eq(traced_count(&traced, "\n"), 1);
}
END_TEST

/* Runs in a child process: sends a hello, records `n` hits and waits to be killed. With
 * `with_child`, a child of its own keeps the socket open. */
static void be_killed_after(uint32_t n, bool with_child) {
  int fds[2] = {-1, -1};
  struct pollfd readable;
  send_hello();
  do {
    readable = (struct pollfd){.fd = client_fd, .events = POLLIN};
    (void)poll(&readable, 1, -1); /* whatever ends it: then there is something to receive */
    (void)receive(fds);
  } while (!has_reply());
  ring_builder_open(&writer, fds[1]);
  ring_builder_context(&writer, 0, "op", "base", NULL);
  for (uint32_t i = 0; i < n; i++)
    hit(i);
  if (with_child && fork() == 0) {
    (void)alarm(60); /* if the test fails, no other process ends it */
    (void)pause();
  }
  (void)raise(SIGKILL);
}

START_TEST(ring_drained_when_process_killed) {
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    (void)setpgid(0, 0); /* to find its children */
    be_killed_after(100, _i == 1);
  }
  while (dispatch.totals->connections == 0 || conns.count > 0)
    (void)uv_run(&loop, UV_RUN_ONCE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 100);
  ck_assert_uint_eq(traced_count(&traced, "\n"), 100);
  if (_i == 1)
    ck_assert_int_eq(kill(-pid, SIGKILL), 0);
  ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("conns_schedule_rings");
  TCase *tcase = tcase_create("conns_schedule_rings");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 30);
  tcase_add_test(tcase, welcome_carries_descriptors);
  tcase_add_test(tcase, ring_of_silent_client_drained_by_timer);
  tcase_add_test(tcase, ring_drained_when_connection_closes);
  tcase_add_test(tcase, corrupt_ring_dropped_by_timer);
  tcase_add_test(tcase, connection_behind_trace_leaves_loop_idle);
  tcase_add_test(tcase, clear_without_its_record_leaves_loop_idle);
  tcase_add_loop_test(tcase, ring_drained_when_process_killed, 0, 2);
  tcase_add_test(tcase, end_behind_trace_waits_until_lines_written);
  tcase_add_test(tcase, end_behind_trace_time_over_drains_at_once);
  tcase_add_test(tcase, end_behind_full_trace_eviction_drains_ring);
  tcase_add_test(tcase, end_behind_trace_leases_released_at_once);
  tcase_add_test(tcase, drain_behind_trace_waits_until_lines_written);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
