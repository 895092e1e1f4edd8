/* configuration.h - the configuration of the daemon: the requests of fcachectl reload and settings.
 * As admin.h: each call returns 0 or a negative code, FC_EVERSION if the daemon is too old, and
 * admin_error() has the text. One thread. */
#ifndef FC_CLIENT_CONFIGURATION_H
#define FC_CLIENT_CONFIGURATION_H

#include "client/lib/admin/admin.h"
#include "proto/wire/message.h"

/* Called with one option. Its strings are valid during the call, which must not use `admin`. */
typedef void admin_setting_fn(void *arg, const struct fc_setting_entry *setting);

/* Makes the daemon read its configuration again. After an error, whose text is the first mistake,
 * nothing has changed. For administrators. */
int admin_reload(struct admin *admin, struct fc_reload_reply *out);

/* Gives all options, in the daemon's order. */
int admin_settings(struct admin *admin, admin_setting_fn *fn, void *arg);

#endif
