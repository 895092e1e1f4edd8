#include "daemon/tier/tier_scripts.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SHA1_BYTES 20u

static void compute(const char *text, char hash[TIER_SCRIPT_HASH_SIZE]) {
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  hash[0] = '\0';
  if (EVP_Digest(text, strlen(text), digest, &size, EVP_sha1(), NULL) != 1 || size != SHA1_BYTES)
    return;
  for (size_t i = 0; i < SHA1_BYTES; i++)
    (void)snprintf(hash + 2 * i, 3, "%02x", digest[i]);
}

/* More scripts than the table has are hashed each time. */
const char *tier_scripts_hash(struct tier_scripts *scripts, const struct fleet_script *script) {
  for (size_t i = 0; i < scripts->n; i++)
    if (scripts->list[i].script == script)
      return scripts->list[i].hash;
  if (scripts->n < TIER_SCRIPTS_MAX)
    scripts->n++;
  scripts->list[scripts->n - 1].script = script;
  compute(script->text, scripts->list[scripts->n - 1].hash);
  return scripts->list[scripts->n - 1].hash;
}
