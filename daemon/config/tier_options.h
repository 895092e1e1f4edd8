/* tier_options.h - the checks of the options that have a syntax of their own: option_check_fn. */
#ifndef FC_DAEMON_TIER_OPTIONS_H
#define FC_DAEMON_TIER_OPTIONS_H

#include "daemon/base/error_text.h"

#define TIER_PREFIX_SIZE_MAX 64u /* bytes */

/* tier: see tier_urls_parse. */
int tier_option_check_urls(const char *value, struct error_text *error);

/* tier-prefix: letters, digits, ".", "_", "-", ":" and "/". Braces would put all keys into one slot
 * of a cluster, and "*" would be a pattern in an ACL. */
int tier_option_check_prefix(const char *value, struct error_text *error);

/* tier-namespaces: see name_patterns.h. */
int tier_option_check_namespaces(const char *value, struct error_text *error);

#endif
