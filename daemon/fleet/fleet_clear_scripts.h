/* fleet_clear_scripts.h - the scripts of the tier for clears and deletes, and their numbers.
 *
 * All have KEYS[1], the hash of the clears, and use the log and the manifests beside it, whose
 * names differ in their last part alone and have the same hash tag. ARGV[1] is the id of the tier
 * that the node knows, ARGV[2] the tag of the new step, ARGV[3] the node, in hex. Fields of the
 * hash that are no scope:
 *   id       see fleet_records.h
 *   n        the number of the latest step
 *   deleted  that of the latest delete
 *   floor    below it, deletes are no longer in the log
 *
 * They return the number of the new step, or FLEET_SCRIPT_OTHER if the tier has another id. */
#ifndef FC_DAEMON_FLEET_CLEAR_SCRIPTS_H
#define FC_DAEMON_FLEET_CLEAR_SCRIPTS_H

#include "daemon/fleet/fleet_io.h"

#define FLEET_LOG_MAX 4096u               /* records */
#define FLEET_SCOPES_FOLD 8192u           /* scopes of the table, */
#define FLEET_SCOPES_FOLD_NAMESPACE 1024u /* and of a namespace: one more clears all of it */

#define FLEET_SCRIPT_OTHER (-1)
#define FLEET_SCRIPT_NONE 0 /* merge, manifest: there is nothing to do */

/* ARGV[4] a scope. Adds it to the table, and drops the scopes that it covers. At a bound of the
 * table it clears the namespace, or all. */
extern const struct fleet_script fleet_script_clear;

/* ARGV[4] the detail of a delete. */
extern const struct fleet_script fleet_script_delete;

/* ARGV[4] the id with its tag as the node has read it from the tier, or an empty text, ARGV[5] the
 * node's own number, ARGV[6] the node's tag and its table: the scopes, each 1e and its version and
 * 1e, behind a first part that is "1" if there were deletes. Does nothing if the tier has another
 * id or tag by now. A tier without an id gets that of the node, with its table and number. Else a
 * new step clears all scopes of both tables. */
extern const struct fleet_script fleet_script_merge;

/* ARGV[4] the detail of a manifest, ARGV[5] the namespace, ARGV[6] the manifest. Sets the fleet's
 * manifest of the namespace if there is none. Makes a step if there is another. */
extern const struct fleet_script fleet_script_manifest;

#endif
