/* sim_worker.h - a simulated worker: gets each key, computes what it must, and puts it. It does
 * what daemon/requests and the library do together. */
#ifndef FC_TESTS_SIM_WORKER_H
#define FC_TESTS_SIM_WORKER_H

#include "daemon/fleet/fleet.h"
#include "tests/fleet_sim/sim_clock.h"

struct sim_node;

enum sim_worker_state {
  SIM_THINKS,   /* the timer begins its next lookup */
  SIM_PARKED,   /* on a fill */
  SIM_WAITS,    /* for a local lease */
  SIM_COMPUTES, /* until the timer fires */
  SIM_DONE,
};

struct sim_worker {
  struct sim_event timer;     /* first */
  struct fleet_waiter waiter; /* second: see sim_worker_of_waiter */
  struct lease_client client;
  struct sim_node *node;
  struct sim_worker *next_ready;
  enum sim_worker_state state;
  bool is_ready;
  bool asked;      /* the fleet, for this request */
  bool counted;    /* its wait was counted */
  uint32_t *order; /* owned, unless all have one */
  uint32_t place;  /* in `order` */
  uint32_t key;
  uint64_t since_ns;   /* the lookup's begin */
  uint64_t version;    /* the clear version that the node knew when the computation began */
  uint64_t generation; /* of the store, then */
  uint64_t compute_ns;
};

/* `order`: its keys. NULL: another order for each worker. */
void sim_worker_init(struct sim_worker *worker, struct sim_node *node, uint32_t *order);
void sim_worker_start(struct sim_worker *worker);
void sim_worker_deinit(struct sim_worker *worker);

/* Continues a worker that was parked. */
void sim_worker_continue(struct sim_worker *worker);

/* Answers the first due wait of the worker. */
void sim_worker_wait_ended(struct sim_worker *worker);

struct sim_worker *sim_worker_of_waiter(struct fleet_waiter *waiter);
struct sim_worker *sim_worker_of_client(struct lease_client *client);

#endif
