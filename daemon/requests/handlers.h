/* handlers.h - what the files that the dispatcher is made of share:
 * dispatch.c (routing, errors), hello.c (hello), get_put.c (get, put), get_put_many.c (their
 * many-key forms), deferred_replies.c (answers that were waited for), manage.c (clear, list, trace,
 * shutdown, kill), clear_requests.c (clears that start, and those whose client has left),
 * list_clients.c (leases, clients, give_up), list_namespaces.c, stats_reply.c; and page.h, the
 * pages of what manage_*.c list.
 */
#ifndef FC_DAEMON_DISPATCH_PARTS_H
#define FC_DAEMON_DISPATCH_PARTS_H

#include "daemon/requests/dispatch.h"

struct entry;

struct call {
  struct dispatch *dispatch;
  struct session *session;
  struct reply_sink *sink;
  uint32_t id;
  uint64_t start_ns; /* CLOCK_MONOTONIC, when the request was taken up */
};

/* Where the request is to be recorded. */
#define CALL_SETS 2u
void call_sets(const struct call *call, struct counters *sets[CALL_SETS]);

/* What is copied of a reply with one value, at most: what stands around it, and a small value. */
#define CALL_COPIED_BYTES (64u + CALL_COPY_MAX_BYTES)
#define CALL_COPY_MAX_BYTES 8192u /* a value up to this is copied */

/* Empties dispatch->reply, and gives its memory back if the last reply was a large one. */
void call_reset_reply(struct dispatch *dispatch);

/* Sends what was made in dispatch->reply. */
enum dispatch_result call_reply(const struct call *call);

/* The same for a reply of any size that had no effect yet: DISPATCH_RETRY where there is no room
 * for it now, and then it is made anew. */
enum dispatch_result call_reply_if_room(const struct call *call);

/* The same for a page of a listing: `n` items, encoded behind one another and freed here, and where
 * the next page begins (`cursor_size` 0: this is the last). */
struct page_end {
  uint32_t n;
  const uint8_t *cursor;
  uint32_t cursor_size;
};
enum dispatch_result call_reply_page(const struct call *call, enum fc_type type,
                                     struct fc_buf *items, const struct page_end *end);

/* The same as call_reply with the entry's value behind it; and of a hit that ends a wait, with the
 * byte behind that. */
enum dispatch_result call_reply_value(const struct call *call, struct entry *entry);
enum dispatch_result call_reply_waited_value(const struct call *call, struct entry *entry);

/* Sends an error with particulars; the connection goes on. */
enum dispatch_result call_error(const struct call *call, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What is recorded of one lookup or put. */
struct call_record {
  const struct fc_key *key;
  struct fc_str probe;
  uint64_t end_ns;  /* CLOCK_MONOTONIC; before the reply, after which the client may go on */
  uint64_t wall_ns; /* what it took */
};

/* One line of the trace, if it is on; wall_ns is what the client was charged. */
void call_trace(const struct call *call, const struct call_record *record, bool hit);

/* The time of this call until `end_ns`, shared with the waits of its client that are outstanding.
 */
uint64_t call_wall_ns(const struct call *call, uint64_t end_ns);

/* Records a hit on `entry`: charges the client, counts and traces it. */
void call_record_hit(const struct call *call, const struct call_record *record,
                     const struct entry *entry);

/* Records a put, for which the client was charged already: counts and traces it. */
void call_record_put(const struct call *call, const struct call_record *record);

/* The key is not stored: may this client compute it, or does it wait? */
enum lease_answer call_acquire_lease(const struct call *call, const struct fc_key *key,
                                 const struct fc_get *get);

/* What the lease table knows the key by. Its seed is secret: that of the keys in the store is not,
 * and a client that knows it can choose keys by the thousand of one digest. */
uint64_t call_lease_digest(const struct call *call, const struct fc_key *key);

/* Puts one value: an fc_put_outcome, FC_ETOOBIG or FC_ENOMEM, counted. Who waits for the key is
 * answered when the frame is done. */
int call_put(const struct call *call, const struct fc_put *put);

/* Before it: false where others have to go for the value, and more of them than one turn may take.
 * Then this turn's have gone. */
bool call_put_has_room(const struct call *call, const struct fc_put *put);

/* A clear that takes more than one turn. */
struct clear_job {
  struct store_clear clear;
  bool started;
  struct clear_job *next; /* among the orphans */
  uint64_t
      namespace_id; /* its seed, of one that was queued: no other of that name is meant; 0: any */
  /* of one that has not started; none: any; they point into `names` */
  struct fc_select select;
  char names[3 * FC_NAME_MAX];
};

/* clear_requests.c: starts `job` on what `select` says. False: too many run, try again. A clear
 * that has nothing to clear is finished at once; one of a namespace that is not there, too. */
bool clear_requests_start(struct dispatch *dispatch, struct clear_job *job, const struct fc_select *select,
                  uint64_t now_ns);
/* Queues a clear whose client has left, unless a queued one covers it. False: there is no room. */
bool clear_requests_queue(struct dispatch *dispatch, const struct fc_select *select);
/* Takes over one that has started. */
void clear_requests_adopt(struct dispatch *dispatch, struct clear_job *job);
/* Does a slice of the first; true while some are left. */
bool clear_requests_step(struct dispatch *dispatch);
/* Drops what has not started, and finishes the rest. */
void clear_requests_end(struct dispatch *dispatch);

/* Counts a hello as refused, after its error was sent. */
enum dispatch_result call_refuse_hello(const struct call *call, const char *reason);

enum dispatch_result handle_hello(const struct call *call, const struct fc_hello *hello);
enum dispatch_result handle_ring(const struct call *call, const struct fc_ring_request *request);
enum dispatch_result handle_get(const struct call *call, const struct fc_get *get);
enum dispatch_result handle_put(const struct call *call, const struct fc_put *put);
enum dispatch_result handle_get_many(const struct call *call, const struct fc_get_many *get);
enum dispatch_result handle_put_many(const struct call *call, const struct fc_put_many *many);
enum dispatch_result handle_stats(const struct call *call, struct fc_str name_space);
enum dispatch_result handle_clear(const struct call *call, const struct fc_select *select);
enum dispatch_result handle_list(const struct call *call, const struct fc_list *list);
enum dispatch_result handle_trace(const struct call *call, const struct fc_trace *request);
enum dispatch_result handle_shutdown(const struct call *call);
enum dispatch_result handle_give_up(const struct call *call, const struct fc_give_up *give_up);
enum dispatch_result handle_leases(const struct call *call, const struct fc_page *request);
enum dispatch_result handle_clients(const struct call *call, const struct fc_page *request);
enum dispatch_result handle_namespaces(const struct call *call, const struct fc_page *request);
enum dispatch_result handle_kill(const struct call *call, uint64_t client_id);

/* Answers some of the session's waits that are over, as long as there is room; after each it is
 * woken, so the rest comes with its next turn. True: none is left. */
bool deferred_replies_send(struct dispatch *dispatch, struct session *session);
/* The same for the sessions whose waits became due, in that order: for very many of them in slices,
 * of which the next is a chore (dispatch_background_step). */
void deferred_replies_send_all(struct dispatch *dispatch);

uint64_t call_clock_ns(void); /* CLOCK_MONOTONIC */

#endif
