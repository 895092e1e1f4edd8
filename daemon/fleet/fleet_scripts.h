/* fleet_scripts.h - the scripts that the tier runs for fills and for the queue. Those of clears are
 * in fleet_clears.c. Each has one key, and so runs in a cluster. Redis 6.2 and Valkey 7.2 run them.
 */
#ifndef FC_DAEMON_FLEET_SCRIPTS_H
#define FC_DAEMON_FLEET_SCRIPTS_H

#include "daemon/fleet/fleet_io.h"

/* KEYS[1] a lease, ARGV[1] our token, ARGV[2] its time in ms. Returns FLEET_RENEWED, or
 * FLEET_RETAKEN if the tier had lost the lease (a restart without its data), or FLEET_LOST if
 * another node has it. */
enum { FLEET_LOST = 0, FLEET_RENEWED = 1, FLEET_RETAKEN = 2 };
extern const struct fleet_script fleet_script_renew;

/* KEYS[1] a lease, ARGV[1] our token. Deletes the lease if it is ours. Returns 1, or 0. */
extern const struct fleet_script fleet_script_release;

/* KEYS[1] a value, ARGV[1] the new value with its head, ARGV[2] its time in ms (0: for ever),
 * ARGV[3] the head that was seen, or an empty text, ARGV[4] "1" if a later stamp replaces an
 * earlier one, else "0". Stores the new value and returns FLEET_REPLACED if the key has no value,
 * one that begins with the head that was seen, one without a head, or (ARGV[4]) one with an earlier
 * stamp that is no tombstone. Returns FLEET_TOMBSTONE_FOUND for another tombstone than was seen,
 * and else FLEET_NOT_REPLACED. */
enum { FLEET_NOT_REPLACED = 0, FLEET_REPLACED = 1, FLEET_TOMBSTONE_FOUND = 2 };
extern const struct fleet_script fleet_script_replace;

#endif
