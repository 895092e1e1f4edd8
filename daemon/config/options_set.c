#include "daemon/config/options_set.h"

#include "daemon/base/check.h"
#include "daemon/base/parse.h"
#include "daemon/config/option_table.h"
#include "daemon/config/option_value.h"
#include "daemon/config/tier_url.h"
#include "proto/errors.h"
#include "proto/limits.h"

#include <inttypes.h>

void options_init(struct options *options) {
  *options = (struct options){0};
  for (size_t i = 0; i < option_count; i++)
    if (option_table[i].initial > 0)
      option_set_number(options, &option_table[i], option_table[i].initial);
}

int options_set(struct options *options, const char *name, const char *value,
                struct error_text *error) {
  const struct option_row *row = option_find(name);
  if (row == NULL)
    return error_text_set(error, FC_EINVAL, "%s: there is no such option", name);
  return option_set(options, row, value, error);
}

/* The URL says whether the tier has TLS. */
static int resolve_tier(const struct options *options, struct error_text *error) {
  struct tier_urls urls = {0};
  if (options->tier != NULL)
    check_eq(tier_urls_parse(options->tier, &urls, error), 0); /* it was checked when it was set */
  if (options->tier_cert != NULL && options->tier_key == NULL)
    return error_text_set(error, FC_EINVAL,
                          "tier-cert: there is no tier-key: give the certificate's private key");
  if (options->tier_key != NULL && options->tier_cert == NULL)
    return error_text_set(error, FC_EINVAL,
                          "tier-key: there is no tier-cert: give the key's certificate");
  if (options->tier == NULL || urls.tls)
    return 0;
  if (options->tier_ca != NULL)
    return error_text_set(error, FC_EINVAL,
                          "tier-ca: the URL of tier has no TLS: use rediss:// or valkeys://, or "
                          "remove tier-ca");
  if (options->tier_cert != NULL)
    return error_text_set(error, FC_EINVAL,
                          "tier-cert: the URL of tier has no TLS: use rediss:// or valkeys://, or "
                          "remove tier-cert and tier-key");
  return 0;
}

int options_resolve(struct options *o, struct error_text *error) {
  char a[FORMAT_SIZE_MAX], b[FORMAT_SIZE_MAX];
  /* The texts give bytes too: two different sizes may round to the same text. */
  if (o->max_value > o->max_bytes) {
    if (o->has_max_value)
      return error_text_set(error, FC_EINVAL,
                            "max-value: %s (%" PRIu32 " bytes) is more than max-bytes, %s (%" PRIu64
                            " bytes): lower it, or raise that",
                            format_size(o->max_value, a), o->max_value,
                            format_size(o->max_bytes, b), o->max_bytes);
    o->max_value = (uint32_t)o->max_bytes;
  }
  uint64_t least = options_min_budget(o->max_value);
  if (o->client_budget < least) {
    if (o->has_client_budget)
      return error_text_set(error, FC_EINVAL,
                            "client-budget: %s (%" PRIu64
                            " bytes) is less than two frames of max-value need, %s (%" PRIu64
                            " bytes): raise it, or lower max-value",
                            format_size(o->client_budget, a), o->client_budget,
                            format_size(least, b), least);
    o->client_budget = least;
  }
  check_le(o->max_value, o->max_bytes);
  check_le(options_min_budget(o->max_value), o->client_budget);
  return resolve_tier(o, error);
}
