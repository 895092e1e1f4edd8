#include "tests/support/tier_certificates.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/harness.h"

static const char script[] =
    "set -eu\n"
    "cd \"$1\"\n"
    "new() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \"$@\"; "
    "}\n"
    "new -subj /CN=test-authority -keyout ca.key -out " TIER_CERTIFICATES_CA "\n"
    "new -subj /CN=another-authority -keyout other.key -out " TIER_CERTIFICATES_OTHER_CA "\n"
    "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost"
    " -keyout " TIER_CERTIFICATES_KEY " -out peer.csr\n"
    "echo subjectAltName=IP:127.0.0.1,DNS:localhost >peer.ext\n"
    "openssl x509 -req -in peer.csr -CA " TIER_CERTIFICATES_CA " -CAkey ca.key -CAcreateserial"
    " -days 2 -extfile peer.ext -out " TIER_CERTIFICATES_CERT "\n";

void tier_certificates_make(const char *dir) {
  char *out, *err;
  const char *const argv[] = {"sh", "-c", script, "sh", dir, NULL};
  if (harness_run(argv, &out, &err) != 0)
    ck_abort_msg("openssl made no certificates in %s: %s%s", dir, out, err);
  free(out);
  free(err);
}
