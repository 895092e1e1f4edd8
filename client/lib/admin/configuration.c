#include "client/lib/admin/configuration.h"

#include "client/lib/admin/admin_internal.h"
#include "client/lib/conn/request.h"

static int call(struct admin *admin, enum fc_type type, const char *name, struct fc_reply *reply) {
  int rc = admin_check_supported(admin, CONNECTION_TOOLS, name);
  if (rc < 0)
    return rc;
  uint32_t id = request_begin(&admin->connection, type);
  (void)fc_encode_simple(&admin->connection.request, type, id); /* request_call checks `failed` */
  return request_call(&admin->connection, id, NULL, 0, reply);
}

int admin_reload(struct admin *admin, struct fc_reload_reply *out) {
  struct fc_reply reply;
  int rc = call(admin, FC_RELOAD, "reload", &reply);
  if (rc == 0)
    *out = reply.reload;
  return rc;
}

int admin_settings(struct admin *admin, admin_setting_fn *fn, void *arg) {
  struct fc_reply reply;
  int rc = call(admin, FC_SETTINGS, "settings", &reply);
  while (rc == 0 && reply.list.n > 0) {
    struct fc_setting_entry setting;
    fc_settings_next(&reply.list, &setting);
    fn(arg, &setting);
  }
  return rc;
}
