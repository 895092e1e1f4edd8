/* options.h - the options of fcached, as values. Three sources set them: the command line
 * (command_line.h), the configuration files, and the directories that systemd passes (config.h). */
#ifndef FC_DAEMON_CONFIG_OPTIONS_H
#define FC_DAEMON_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Range of max_bytes and client_budget. */
#define OPTIONS_BYTES_MIN 4096u
#define OPTIONS_BYTES_MAX (UINT64_C(1) << 50)
#define OPTIONS_CLIENT_BUDGET_DEFAULT (64u << 20)

/* A group, and its name when it was set; its number if it has none. `fcachectl settings` does not
 * look the name up again: a directory service may answer late, and the daemon would wait. */
struct option_group {
  gid_t gid;
  char text[64];
};

/* What a node does with the tier, the Valkey or Redis that a fleet of daemons shares. */
enum tier_mode { TIER_READ_WRITE, TIER_READ_ONLY, TIER_WRITE_ONLY };

#define TIER_PREFIX_DEFAULT "fcached:"
#define TIER_NAMESPACES_DEFAULT "*"

/* Owns its strings. The table in option_table.c has the ranges and defaults. */
struct options {
  char *socket; /* NULL: the default places, see listener.h */
  bool has_socket_group, has_admin_group;
  struct option_group socket_group, admin_group;
  uint64_t max_bytes;
  uint32_t max_value; /* at most max_bytes */
  uint32_t max_clients;
  uint32_t max_namespaces;
  uint32_t user_share;       /* percent, see users.h */
  uint64_t client_budget;    /* at least options_min_budget(max_value) */
  char *trace;               /* NULL: off */
  char *trace_dir;           /* NULL: the directory of `trace`, see trace_dir_open_beside */
  uint32_t hello_timeout_ms; /* 10 ms to 1 hour, as the next two */
  uint32_t stall_timeout_ms;
  uint32_t lease_max_ms;         /* of a lease's time, and of a wait */
  uint32_t max_leases;           /* and of waits */
  char *state;                   /* directory of the snapshot; NULL: none */
  uint32_t snapshot_interval_ms; /* 0: no timer; else at least a second */
  char *tier;                    /* URLs, which tier_urls_parse takes; NULL: there is no tier */
  char *tier_password_file;      /* NULL: no password */
  char *tier_ca;                 /* NULL: the certificates of the system */
  char *tier_cert;               /* of this client; NULL: none */
  char *tier_key;                /* of tier_cert */
  char *tier_prefix;             /* NULL: TIER_PREFIX_DEFAULT, see options_tier_prefix */
  char *tier_namespaces;         /* see name_patterns.h; NULL: all, see options_tier_namespaces */
  uint32_t tier_mode;            /* enum tier_mode */
  uint32_t tier_deadline_ms;
  uint32_t tier_ttl_ms; /* 0: values stay until the tier evicts them */
  uint32_t tier_queue_age_ms;
  uint32_t tier_lease_ms;
  uint64_t tier_queue; /* bytes of values that wait for the tier */
  bool no_region;
  bool verbose;
  /* Set by one of the sources: options_resolve (options_set.h) adapts only the defaults. */
  bool has_max_value, has_client_budget;
};

/* Copies all values and strings. Returns false if out of memory: then *to owns nothing. */
bool options_copy(struct options *to, const struct options *from);

/* Frees the strings. Idempotent. */
void options_deinit(struct options *options);

/* Return the text, or the default. Borrowed. */
const char *options_tier_prefix(const struct options *options);
const char *options_tier_namespaces(const struct options *options);

/* Returns the size of two frames with the largest value: one half of the budget receives a frame,
 * the other half sends one. */
uint64_t options_min_budget(uint32_t max_value);

#endif
