/* handlers.h - internal header of requests/: the context of a request, the functions that handlers
 * share, and one handler for each message.
 *
 * hello.c            hello, ring            clear_requests.c   clear
 * get_put.c          get, put               list_entries.c     list
 * get_put_many.c     get_many, put_many     list_leases.c      leases
 * give_up_leases.c   give_up                list_clients.c     clients
 * stats_reply.c      stats                  list_namespaces.c  namespaces
 * trace_control.c    trace                  kill_client.c      kill
 * shutdown.c         shutdown               snapshot_control.c snapshot
 * settings.c         set                    list_times.c       latency, slowest
 * list_usage.c       usage                  request_times.c    times of requests
 * watch_requests.c   watch, events          delete_request.c   delete
 * events.c           events for watchers    reload_settings.c  reload, settings
 * fleet_clear_requests.c                    clear and delete in the fleet
 * tier_reply.c       tier
 * reply.c            replies and errors     dispatch_frame.c   the way of a frame to its handler
 * fleet_requests.c   requests that ask the fleet, and are parked
 */
#ifndef FC_DAEMON_HANDLERS_H
#define FC_DAEMON_HANDLERS_H

#include "daemon/requests/dispatch.h"

struct entry;

/* One request in progress. */
struct call {
  struct dispatch *dispatch;
  struct session *session;
  struct reply_sink *sink;
  uint32_t id;
  uint64_t start_ns; /* CLOCK_MONOTONIC, after the rings were drained */
};

/* ---- reply.c ---- */

/* Bytes copied for a reply with one value, at most: its head, and a value of up to
 * CALL_COPY_MAX_BYTES. Larger values are sent from the region. */
#define CALL_COPIED_BYTES (64u + CALL_COPY_MAX_BYTES)
#define CALL_COPY_MAX_BYTES 8192u

/* A page of a listing: encoded items, and the cursor of the next page (`cursor_size` 0: none). */
struct page_end {
  uint32_t n;
  const uint8_t *cursor;
  uint32_t cursor_size;
};

uint64_t call_clock_ns(void); /* CLOCK_MONOTONIC */

/* Empties dispatch->reply, and frees its memory if the last reply was large. */
void call_reset_reply(struct dispatch *dispatch);

/* Sends a reply through the sink, and sets dispatch->sent.ns to the time before. */
void call_send(const struct call *call, const struct iovec *pieces, struct entry *const *owners,
               size_t n);

/* Send the reply encoded in dispatch->reply. They return DISPATCH_DONE, or DISPATCH_CLOSE if
 * encoding failed for want of memory. */
enum dispatch_result call_reply(const struct call *call);
/* Also returns DISPATCH_RETRY if the sink has no room. For requests without an effect. */
enum dispatch_result call_reply_if_room(const struct call *call);
/* Adds `items`, which it frees, and closes the frame, whose head the reply has. As
 * call_reply_if_room. */
enum dispatch_result call_reply_items(const struct call *call, struct fc_buf *items);
/* The same, but adds the head of a page, too. */
enum dispatch_result call_reply_page(const struct call *call, enum fc_type type,
                                     struct fc_buf *items, const struct page_end *end);
/* Adds the entry's value. */
enum dispatch_result call_reply_value(const struct call *call, struct entry *entry);
/* Adds the entry's value and the mark of a hit after a wait. */
enum dispatch_result call_reply_waited_value(const struct call *call, struct entry *entry);

/* Send an error. The connection stays open. */
enum dispatch_result call_error(const struct call *call, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum dispatch_result call_error_code(const struct call *call, int code); /* its standard text */
enum dispatch_result call_denied(const struct call *call, const char *action); /* FC_EDENIED */

/* ---- get_put.c: lookups, puts and their records, for the requests of one key and of many ---- */

/* The counters in which the request is recorded: of its namespace and of the daemon. */
#define CALL_SETS 2u
void call_sets(const struct call *call, struct counters *sets[CALL_SETS]);

/* The record of one lookup or put. */
struct call_record {
  const struct fc_key *key;
  struct fc_str probe;
  uint64_t end_ns;  /* CLOCK_MONOTONIC, before the reply is sent */
  uint64_t wall_ns; /* its duration */
  bool waited;      /* of a hit: it waited for another client's put */
};

/* Charges the client for a hit on `entry`, counts it, and writes its trace line. */
void call_record_hit(const struct call *call, const struct call_record *record,
                     const struct entry *entry);

/* Counts a put whose time was charged already, and writes its trace line. */
void call_record_put(const struct call *call, const struct call_record *record);

/* Adds recorded hits and puts of one op, view and probe to the usage, of the names and of the
 * client. call_record_hit and call_record_put do not, because a request of many keys adds its sum.
 */
void call_count_usage(const struct call *call, const struct fc_key *key, struct fc_str probe,
                      const struct usage_counts *more);
/* The same for one hit. */
void call_count_usage_hit(const struct call *call, const struct call_record *record,
                          const struct entry *entry);

/* Requests the lease of a key that is not stored. */
enum lease_answer call_acquire_lease(const struct call *call, const struct fc_key *key,
                                     const struct fc_get *get);

/* Returns the key's digest for the lease table. Its seed is secret: clients know that of the store,
 * and could choose thousands of keys with one digest. */
uint64_t call_lease_digest(const struct call *call, const struct fc_key *key);

/* Stores one value, counts the outcome, and ends the key's lease. Returns an fc_put_outcome,
 * FC_ETOOBIG or FC_ENOMEM. */
int call_put(const struct call *call, const struct fc_put *put);

/* Call it before call_put. Returns false if more entries must be evicted than one turn may take;
 * some were evicted. */
bool call_put_has_room(const struct call *call, const struct fc_put *put);

/* ---- fleet_requests.c: see daemon/fleet/fleet.h. A parked request returns DISPATCH_RETRY, and is
 * dispatched again when its fill is resolved ---- */

/* Returns whether a miss of a request with these flags asks the fleet. One load without a tier. */
bool call_may_ask_fleet(const struct call *call, uint32_t flags);

/* Asks the fleet for the key of a get that missed, once for each request. FLEET_WAITS: the session
 * is parked. FLEET_STORED: the value is in the store now. Entries that the caller borrows are not
 * valid any more. */
enum fleet_answer call_ask_fleet(const struct call *call, const struct fc_get *get);

/* Begins the fill of one of many keys. Entries that the caller borrows are not valid any more. */
void call_begin_fill(const struct call *call, const struct fc_key *key);

/* Parks the session on the key's fill, unless that is resolved. Returns whether it is parked. */
bool call_waits_for_fill(const struct call *call, const struct fc_key *key);

/* Returns the time of the request until `end_ns`, shared with the client's pending waits. It counts
 * from the start of the call, or since the request was parked first. */
uint64_t call_wall_ns(const struct call *call, uint64_t end_ns);

/* Forgets the time of a parked request that needs it no more. */
void call_end_time(const struct call *call);

/* ---- request_times.c ---- */

/* Returns the kind of a request that is about to be executed. For a get it is that of a hit. */
enum latency_kind request_times_kind(const struct fc_request *request);

/* Adds the times of a dispatch that has ended at dispatch->ended_ns with `result`: to those of the
 * session, and if the request is finished to the histograms and to the slow log. `size` is that of
 * the frame's body. */
void request_times_add(const struct call *call, const struct fc_request *request, uint32_t size,
                       enum dispatch_result result);

/* ---- events.c: events for the watchers. Each function is a branch if no watcher wants its kind.
 * Hits in rings are in rings/hits.c ---- */

/* Sets the callbacks of the store and of the leases that report their events. */
void events_init(struct dispatch *dispatch);

/* A hit by message on `entry`. */
void events_hit(const struct call *call, const struct call_record *record,
                const struct entry *entry);

/* A recorded get that found no value. `detail` is an fc_miss_detail. */
void events_miss(const struct call *call, const struct fc_key *key, uint32_t detail);

/* A put and its outcome, as call_put returns it. */
void events_put(const struct call *call, const struct fc_put *put, int outcome);

/* A delete of a key, which had an entry or not. `client` NULL: of another node. */
void events_delete(struct dispatch *dispatch, const struct session *client,
                   const struct fc_delete *request, bool existed);

/* A clear has ended. `client` NULL: its client has left, or it is of another node. */
void events_clear(struct dispatch *dispatch, const struct session *client,
                  const struct fc_select *select, uint64_t removed);

/* ---- clear_requests.c ---- */

/* A clear that takes more than one turn. */
struct clear_job {
  struct store_clear clear;
  bool started;
  uint64_t ticket;         /* of the record on disk; see struct control */
  struct clear_job *next;  /* in the queue */
  struct fleet_step *step; /* of a request: in the fleet; NULL: none */
  uint64_t namespace_id;   /* queued: seed of the namespace, as its name may be reused; 0: any */
  struct fc_select select; /* queued or started: points into `names` */
  char names[3 * FC_NAME_MAX];
};

/* Starts `job` for `select`. Returns false if too many clears run. A clear of nothing, or of a
 * namespace that does not exist, is finished at once. */
bool clear_requests_start(struct dispatch *dispatch, struct clear_job *job,
                          const struct fc_select *select, uint64_t now_ns);
/* Queues a clear whose client has left, unless a queued one covers it. Returns false if the queue
 * is full. */
bool clear_requests_queue(struct dispatch *dispatch, const struct fc_select *select);
/* Takes ownership of a started job. */
void clear_requests_adopt(struct dispatch *dispatch, struct clear_job *job);
/* Executes a slice of the first job; returns true while some are left. */
bool clear_requests_step(struct dispatch *dispatch);
/* Drops jobs that have not started, and finishes the others. */
void clear_requests_end(struct dispatch *dispatch);

/* ---- fleet_clear_requests.c: clears and deletes in the fleet ---- */

/* Whether a clear or a delete of this namespace (without data: of all) is one of the fleet. */
bool call_is_of_fleet(const struct call *call, struct fc_str name_space, bool local);
/* Sends the error of a node that may not write to the tier. */
enum dispatch_result call_fleet_is_read_only(const struct call *call);
/* Returns whether the step runs: then the request is parked until that changes. */
bool call_waits_for_step(const struct call *call, const struct fleet_step *step);
/* Returns why the step of a request failed, or NULL if it did not or there is none. */
const char *call_step_error(const struct fleet_step *step);
/* Compares the manifest of a hello with the fleet's. */
void call_compare_manifest(const struct call *call, struct fc_str manifest);
/* The request has ended, or its client has left: ends *step, unless it is NULL. */
void call_leave_step(struct dispatch *dispatch, struct fleet_step **step);

/* ---- delete_request.c ---- */

/* Deletes a key in the cache, for a client or for another node (NULL), and records that. Returns
 * whether it had an entry. *ticket is that of the record (struct control), or 0. */
bool call_delete_key(struct dispatch *dispatch, const struct session *client,
                     const struct fc_delete *request, uint64_t now_ns, uint64_t *ticket);

/* ---- deferred_replies.c ---- */

/* Sends up to a turn's share of the session's deferred replies, as the sink has room. Returns true
 * if none is left. */
bool deferred_replies_send(struct dispatch *dispatch, struct session *session);
/* Sends those of all sessions, in the order in which their waits ended. Sends a slice of very many;
 * dispatch_background_step continues. */
void deferred_replies_send_all(struct dispatch *dispatch);

/* ---- handlers ---- */

/* Counts a refused hello, after its error was sent. Returns DISPATCH_CLOSE. */
enum dispatch_result call_refuse_hello(const struct call *call, const char *reason);

enum dispatch_result handle_hello(const struct call *call, const struct fc_hello *hello);
enum dispatch_result handle_ring(const struct call *call, const struct fc_ring_request *request);
enum dispatch_result handle_get(const struct call *call, const struct fc_get *get);
enum dispatch_result handle_put(const struct call *call, const struct fc_put *put);
enum dispatch_result handle_get_many(const struct call *call, const struct fc_get_many *get);
enum dispatch_result handle_put_many(const struct call *call, const struct fc_put_many *many);
enum dispatch_result handle_give_up(const struct call *call, const struct fc_give_up *give_up);
enum dispatch_result handle_stats(const struct call *call, struct fc_str name_space);
enum dispatch_result handle_clear(const struct call *call, const struct fc_clear *clear);
enum dispatch_result handle_delete(const struct call *call, const struct fc_delete *request);
enum dispatch_result handle_list(const struct call *call, const struct fc_list *list);
enum dispatch_result handle_leases(const struct call *call, const struct fc_page *request);
enum dispatch_result handle_clients(const struct call *call, const struct fc_page *request);
enum dispatch_result handle_namespaces(const struct call *call, const struct fc_page *request);
enum dispatch_result handle_trace(const struct call *call, const struct fc_trace *request);
enum dispatch_result handle_kill(const struct call *call, uint64_t client_id);
enum dispatch_result handle_reload(const struct call *call);
enum dispatch_result handle_settings(const struct call *call);
enum dispatch_result handle_snapshot(const struct call *call, uint32_t action);
enum dispatch_result handle_set(const struct call *call, const struct fc_set *set);
enum dispatch_result handle_usage(const struct call *call, const struct fc_usage *request);
enum dispatch_result handle_latency(const struct call *call, bool reset);
enum dispatch_result handle_slowest(const struct call *call, const struct fc_slowest *request);
enum dispatch_result handle_tier(const struct call *call, const struct fc_tier_request *request);
enum dispatch_result handle_shutdown(const struct call *call);
enum dispatch_result handle_watch(const struct call *call, const struct fc_watch *watch);
enum dispatch_result handle_events(const struct call *call,
                                   const struct fc_events_request *request);

#endif
