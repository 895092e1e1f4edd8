/* rows.h - the rows of the replies that are lists: entries, leases, clients, namespaces, usage,
 * settings, times and slow requests. Their strings are borrowed, like those of message.h. An event
 * is in event.h. */
#ifndef FC_PROTO_ROWS_H
#define FC_PROTO_ROWS_H

#include "proto/histogram.h"
#include "proto/key.h"

struct fc_list_entry {
  struct fc_str name_space;
  struct fc_key key;
  uint32_t value_size; /* bytes */
  uint64_t charge;     /* bytes that count against max_bytes */
  uint64_t compute_ns;
  uint64_t idle_ns; /* since it was last used */
  uint64_t hits;
  uint64_t stamp; /* rises with each use of any entry; 0: not sent */
};
struct fc_lease_entry {
  struct fc_str name_space;
  struct fc_key key;
  uint64_t client_id;
  struct fc_str client;
  int64_t pid;      /* 0: in another pid namespace */
  uint64_t held_ns; /* since the grant */
  uint64_t left_ns; /* until the end of its term */
  uint32_t waits;   /* connections that wait for it */
};
/* The resources that all clients of one user hold. */
struct fc_user_entry {
  uint64_t connections, namespaces, leases, waits, ring_bytes, message_bytes, manifest_bytes;
};
/* A wait, and the connection that it waits for. */
struct fc_wait_entry {
  struct fc_key key;
  uint64_t waited_ns;
  uint64_t owner_id; /* the client id of that connection */
  struct fc_str owner;
  int64_t owner_pid;
};
struct fc_client_entry {
  uint64_t client_id;
  struct fc_str client;
  int64_t pid; /* 0: in another pid namespace */
  uint32_t uid;
  struct fc_str name_space; /* none: a tool */
  bool region;              /* the client has the region, and serves its own hits */
  uint64_t connected_ns;    /* since its hello */
  uint64_t hits, shared_hits;
  uint32_t leases;           /* that it holds */
  struct fc_key held;        /* the oldest of them; .op none: it holds none */
  uint32_t waits;            /* keys for which it waits */
  struct fc_wait_entry wait; /* the first of these waits; .key.op none: it waits for none */
  bool has_user;             /* the daemon has sent `user` */
  struct fc_user_entry user;
  uint32_t tier_waits; /* of `waits`, those for values of other nodes; and a request that waits for
                          the tier's answer */
};
struct fc_namespace_entry {
  struct fc_str name_space;
  struct fc_str manifest; /* none: no hello had one */
  uint64_t entries;
  uint64_t bytes; /* sum of the charges */
  uint64_t hits, misses;
  uint32_t clients;   /* now */
  uint64_t idle_ns;   /* since its last lookup, put or hello */
  uint64_t max_bytes; /* its own limit; 0: none, or not sent */
};
/* One name, or all names that have no row of their own. */
struct fc_usage_entry {
  struct fc_str name_space; /* none: of `others` */
  struct fc_str op, view;   /* by key */
  struct fc_str probe;      /* by probe; none: lookups without a probe */
  struct fc_str client;     /* by client, as the next two */
  uint64_t client_id;       /* 0: no client */
  int64_t pid;              /* 0: in another pid namespace, or no client */
  uint64_t others;          /* about how many names this row stands for; 0: one */
  uint64_t hits, misses;
  uint64_t saved_ns, computed_ns; /* of the hits, of the misses */
  uint64_t put_bytes;             /* size of the values that were stored */
  uint64_t stored_bytes;          /* by namespace: charge of its entries now; else 0 */
};
/* An option of the daemon. */
struct fc_setting_entry {
  struct fc_str name;   /* such as "max-bytes" */
  struct fc_str value;  /* in use, as a configuration file would have it */
  struct fc_str source; /* of the value: "default", "FILE:LINE", ... */
  struct fc_str next;   /* the value after a restart, if that is another; none: the same */
  bool live;            /* a reload applies it */
};
/* The times of one kind of work, in the daemon or in the clients. */
struct fc_latency_entry {
  struct fc_str path;      /* "region", "socket" or "daemon" */
  struct fc_str operation; /* "hit", "put", "queue", ... */
  struct fc_histogram histogram;
};
/* A request that was slow, with the parts of its time: see daemon/latency/latency.h. */
struct fc_slow_entry {
  struct fc_str request; /* its name in docs/protocol.md */
  uint64_t age_ns;       /* since its end */
  uint64_t total_ns, queue_ns, serve_ns, send_ns;
  uint64_t bytes; /* of the request and its replies */
  uint32_t keys;  /* 0: it has none */
  uint64_t client_id;
  struct fc_str client;
  int64_t pid;                        /* 0: in another pid namespace */
  struct fc_str name_space, op, view; /* none: the request has none */
};

#endif
