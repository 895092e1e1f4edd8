#include "daemon/config/tier_options.h"

#include "daemon/config/tier_url.h"
#include "proto/errors.h"
#include "proto/name_patterns.h"

#include <string.h>

int tier_option_check_urls(const char *value, struct error_text *error) {
  struct tier_urls urls;
  return tier_urls_parse(value, &urls, error);
}

int tier_option_check_prefix(const char *value, struct error_text *error) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789._-:/";
  size_t size = strlen(value);
  if (size == 0 || size > TIER_PREFIX_SIZE_MAX || value[strspn(value, allowed)] != '\0')
    return error_text_set(error, FC_EINVAL,
                          "tier-prefix: \"%.*s\" is not a prefix: give 1 to %u letters, digits, or "
                          "characters of \"._-:/\"",
                          (int)TIER_PREFIX_SIZE_MAX, value, TIER_PREFIX_SIZE_MAX);
  return 0;
}

int tier_option_check_namespaces(const char *value, struct error_text *error) {
  const char *fault = name_patterns_fault(value);
  if (fault != NULL)
    return error_text_set(error, FC_EINVAL, "tier-namespaces: \"%.200s\": %s", value, fault);
  return 0;
}
