/* leases_model.h - a model of the lease table, too simple to be wrong: flat arrays of keys, clients
 * and processes by number, searched from end to end. leases_twin.h runs it beside the table. */
#ifndef FC_TESTS_LEASES_MODEL_H
#define FC_TESTS_LEASES_MODEL_H

#include "daemon/leases/leases.h"

#define TWIN_SPACES 2u
#define TWIN_VIEWS 2u
#define TWIN_OPS 2u
#define TWIN_PROMPTS 6u
#define TWIN_KEYS (TWIN_SPACES * TWIN_VIEWS * TWIN_OPS * TWIN_PROMPTS)
#define TWIN_CLIENTS 24u
#define TWIN_WAITS_EACH 32u /* limits.waits_each is at most that */
#define TWIN_PROCESSES 6u
#define NO_CLIENT TWIN_CLIENTS
#define NO_PROCESS TWIN_PROCESSES

struct twin_request {
  uint32_t client, key;
  bool wants;
  uint64_t term_ns, wait_ns;
  uint32_t id;
};

/* How a wait ended. */
struct twin_ended {
  uint32_t id, key;
  enum lease_end end;
};

/* TWIN_SPACES, TWIN_VIEWS, TWIN_OPS: any. */
struct twin_select {
  uint32_t space, view, op;
};

/* Outcomes of waits that close cycles. */
struct twin_graces {
  uint32_t given;   /* a grace shorter than the requested wait */
  uint32_t ended;   /* the cycle still existed */
  uint32_t lifted;  /* the cycle was gone */
  uint32_t refused; /* helpers' waits for the process that they help, at once */
  uint32_t dropped; /* the same, when a lease went to that process */
  uint32_t remote;  /* of waits for the remote client: the waiter's process held leases, */
  uint32_t renewed; /* or held none, or not for a whole grace */
};

struct model_lease {
  uint32_t owner; /* NO_CLIENT: there is no lease */
  uint64_t serial, granted_ns, end_ns;
  uint64_t delayed_before_ns; /* of its owner's process */
  bool absent;                /* the owner is the client of this number before the restart */
  bool recorded;              /* it has a record, from which the next table adopts it */
};

struct model_wait {
  struct twin_request request;
  uint64_t term_ns, since_ns, asked_until_ns, grace_since_ns, until_ns;
  uint64_t order; /* higher for a later change of until_ns */
  bool closes;    /* it closed a cycle when it began, or when its lease got its owner */
  uint64_t begun; /* of fc_waits, which tests/unit/proto/test_wall.c tests */
};

struct model_due {
  struct twin_ended ended[TWIN_WAITS_EACH];
  uint32_t n;
};

struct leases_model {
  struct leases_limits limits;
  uint32_t process[TWIN_CLIENTS];     /* of each client, or NO_PROCESS */
  uint32_t remote;                    /* the client that is the fleet, or NO_CLIENT */
  uint32_t helper_of[TWIN_PROCESSES]; /* or NO_PROCESS */
  struct model_lease leases[TWIN_KEYS];
  struct model_wait waits[TWIN_CLIENTS * TWIN_WAITS_EACH]; /* in the order of their requests */
  uint32_t n_waits;
  struct fc_waits sharing[TWIN_CLIENTS];
  struct model_due due[TWIN_CLIENTS];
  uint32_t queue[TWIN_CLIENTS], n_queue;
  uint32_t records; /* how many leases can have a record */
  uint64_t serials, orders;
  uint64_t lease_ns[TWIN_SPACES];
  uint64_t delayed_ns[TWIN_PROCESSES + 1], delayed_until_ns[TWIN_PROCESSES];
  uint64_t holds_since_ns[TWIN_PROCESSES]; /* of a process that holds leases */
  struct twin_graces graces;
  struct counters counters, of_space[TWIN_SPACES];
};

void leases_model_init(struct leases_model *model, const struct leases_limits *limits);

/* As the leases_* functions of these names. */
enum lease_answer leases_model_acquire(struct leases_model *model,
                                       const struct twin_request *request, uint64_t now_ns);
void leases_model_put(struct leases_model *model, uint32_t key, uint64_t now_ns);
bool leases_model_give_up(struct leases_model *model, uint32_t client, uint32_t key, bool for_all,
                          uint64_t now_ns);
uint32_t leases_model_give_up_all(struct leases_model *model, uint32_t client, uint64_t now_ns);
void leases_model_client_gone(struct leases_model *model, uint32_t client, uint64_t now_ns);
void leases_model_delete(struct leases_model *model, uint32_t key, uint64_t now_ns);
void leases_model_clear(struct leases_model *model, const struct twin_select *select,
                        uint64_t now_ns);
void leases_model_expire(struct leases_model *model, uint64_t now_ns);
/* The daemon restarts: the table's leases are those of the records, of absent owners. `keys` has
 * the `n` keys with a record, in the order of adoption. */
void leases_model_restart(struct leases_model *model, const uint32_t *keys, uint32_t n,
                          uint64_t now_ns);
/* The client, which neither holds nor waits, is the absent owner of this number. */
void leases_model_claim(struct leases_model *model, uint32_t client, uint64_t now_ns);
/* The absent owner of this number dies. */
void leases_model_owner_gone(struct leases_model *model, uint32_t client, uint64_t now_ns);
/* Returns whether the client has told its handle: all but every third have. */
bool twin_has_handle(uint32_t client);
uint64_t leases_model_next_ns(const struct leases_model *model);
/* Returns the next client of the queue with due waits, or NO_CLIENT. */
uint32_t leases_model_next_due(struct leases_model *model);

/* The parts of a key. */
uint32_t twin_space_of(uint32_t key);
uint32_t twin_view_of(uint32_t key);
uint32_t twin_op_of(uint32_t key);
bool twin_selects(const struct twin_select *select, uint32_t key);

/* Return numbers of leases, waits and due waits. */
uint32_t leases_model_n(const struct leases_model *model);
uint32_t leases_model_held(const struct leases_model *model, uint32_t client);
uint32_t leases_model_absent_held(const struct leases_model *model, uint32_t client);
uint32_t leases_model_waits(const struct leases_model *model, uint32_t client);
uint32_t leases_model_due(const struct leases_model *model);

#endif
