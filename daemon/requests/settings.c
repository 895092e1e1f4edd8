/* set: changes a setting of the running daemon. */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/base/log.h"
#include "daemon/base/parse.h"
#include "daemon/requests/handlers.h"
#include "daemon/requests/permissions.h"
#include "proto/errors.h"

#define VALUE_MAX 64u /* bytes; no setting takes more */

/* Parses the value and begins to apply it. Sets *reply to the setting before and after. */
typedef int setting_apply(const struct call *call, const char *value, struct fc_set_reply *reply,
                          struct error_text *error);

static int set_max_bytes(const struct call *call, const char *value, struct fc_set_reply *reply,
                         struct error_text *error) {
  const struct dispatch *dispatch = call->dispatch;
  const struct control *control = &dispatch->control;
  reply->before = dispatch->store->max_bytes;
  if (parse_size(value, &reply->now) < 0 || reply->now == 0)
    return error_text_set(error, FC_EINVAL,
                          "max-bytes: \"%s\" is no size: give bytes, or a number with K, M, G or "
                          "T, such as 512M",
                          value);
  if (control->resize == NULL)
    return error_text_set(error, FC_EREFUSED,
                          "max-bytes cannot be changed: restart fcached with --max-bytes %s",
                          value);
  return control->resize(control->arg, reply->now, error);
}

static const struct setting {
  const char *name;
  setting_apply *apply;
} settings[] = {{"max-bytes", set_max_bytes}};
#define N_SETTINGS (sizeof settings / sizeof settings[0])

static const struct setting *find(struct fc_str name) {
  for (size_t i = 0; i < N_SETTINGS; i++)
    if (fc_str_equal(name, fc_str_of(settings[i].name)))
      return &settings[i];
  return NULL;
}

static enum dispatch_result unknown(const struct call *call, struct fc_str name) {
  char names[256] = "";
  size_t size = 0;
  for (size_t i = 0; i < N_SETTINGS && size < sizeof names; i++)
    size += (size_t)snprintf(names + size, sizeof names - size, "%s%s", i > 0 ? ", " : "",
                             settings[i].name);
  return call_error(call, FC_EINVAL, "there is no setting \"%.*s\": those that can be set are: %s",
                    (int)name.size, name.data, names);
}

enum dispatch_result handle_set(const struct call *call, const struct fc_set *set) {
  if (!permissions_allow(call->session, PERMISSION_SET, NULL))
    return call_denied(call, "changing a setting");
  const struct setting *setting = find(set->name);
  if (setting == NULL)
    return unknown(call, set->name);
  char value[VALUE_MAX + 1], text[SESSION_TEXT_SIZE];
  if (set->value.size > VALUE_MAX)
    return call_error(call, FC_EINVAL, "%s: the value has %u bytes: give at most %u", setting->name,
                      set->value.size, VALUE_MAX);
  (void)snprintf(value, sizeof value, "%.*s", (int)set->value.size, set->value.data); /* fits */
  struct fc_set_reply reply = {0};
  struct error_text error;
  int rc = setting->apply(call, value, &reply, &error);
  if (rc < 0)
    return call_error(call, rc, "%s", error.text);
  log_line(call->dispatch->log, LOG_LEVEL_INFO, "%s set to %" PRIu64 " (before: %" PRIu64 ") by %s",
           setting->name, reply.now, reply.before, session_text(call->session, text));
  (void)fc_encode_set_reply(&call->dispatch->reply, call->id, &reply);
  return call_reply(call); /* checks `failed` */
}
