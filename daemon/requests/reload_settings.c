/* reload: reads the configuration again. settings: the options as they are. */
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/requests/handlers.h"
#include "daemon/requests/permissions.h"
#include "proto/errors.h"

/* An option of the table takes so much at most: three texts of up to 512 bytes, and its name. */
static_assert(64u * 2048u < FC_FRAME_SLACK, "all options fit in a frame");

enum dispatch_result handle_reload(const struct call *call) {
  const struct control *control = &call->dispatch->control;
  struct fc_reload_reply reply = {0};
  struct error_text error;
  char text[SESSION_TEXT_SIZE];
  if (!permissions_allow(call->session, PERMISSION_SET, NULL))
    return call_denied(call, "reloading the configuration");
  if (control->reload == NULL)
    return call_error(call, FC_EREFUSED, "this daemon has no configuration: restart it");
  log_line(call->dispatch->log, LOG_LEVEL_DEBUG, "reload requested by %s",
           session_text(call->session, text));
  int rc = control->reload(control->arg, &reply.changed, &reply.waiting, &error);
  if (rc < 0)
    return call_error(call, rc, "%s", error.text);
  (void)fc_encode_reload_reply(&call->dispatch->reply, call->id, &reply);
  return call_reply(call); /* checks `failed` */
}

static void add_option(void *arg, const struct control_option *option) {
  const struct fc_setting_entry row = {.name = fc_str_of(option->name),
                                       .value = fc_str_of(option->value),
                                       .source = fc_str_of(option->source),
                                       .next = fc_str_of(option->next),
                                       .live = option->live};
  (void)fc_encode_setting_entry(arg, &row); /* handle_settings checks `failed` */
}

enum dispatch_result handle_settings(const struct call *call) {
  const struct control *control = &call->dispatch->control;
  struct fc_buf *reply = &call->dispatch->reply;
  uint32_t n = control->options == NULL ? 0 : control->options(control->arg, NULL, NULL);
  (void)fc_encode_list_reply_head(reply, FC_SETTINGS, call->id, NULL, 0, n);
  if (n > 0)
    (void)control->options(control->arg, add_option, reply);
  if (!reply->failed)
    fc_frame_finish(reply, 0, 0);
  return call_reply(call); /* checks `failed` */
}
