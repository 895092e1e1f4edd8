/* limits.h - the numbers that daemon and clients share. Sizes are bytes. */
#ifndef FC_PROTO_LIMITS_H
#define FC_PROTO_LIMITS_H

/* Highest version spoken. Version 2 added the region, 3 leases, 4 manifests, 5 new rings and users,
 * 6 snapshots, settings, and gets that do not promote, 7 events, delete and more figures for tools.
 */
#define FC_PROTOCOL_VERSION 8u
#define FC_PROTOCOL_VERSION_MIN 1u /* lowest version spoken */
#define FC_NAME_MAX 255u           /* of a namespace, op, view, probe or client name */
#define FC_PATH_MAX 4095u          /* of a trace file's path */
#define FC_MANIFEST_MAX 16384u     /* of a namespace's manifest */
#define FC_HELLO_FRAME_MAX 65536u  /* body limit until the welcome */
#define FC_FRAME_SLACK (1u << 20)  /* a body may be max_value + this: see welcome.max_frame */
#define FC_VALUE_MAX_DEFAULT (16u << 20)
#define FC_VALUE_MAX_CEILING (1u << 30) /* no --max-value above this */
#define FC_BYTES_MAX_DEFAULT (256u << 20)
#define FC_LEASE_MS_DEFAULT 300000u /* of a lease whose client gives no term */

#endif
