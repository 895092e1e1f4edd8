/* Error replies and redirections, well-formed and hostile. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/tier/reply_error.h"
#include "tests/support/runner.h"

static const struct {
  const char *text;
  enum reply_error kind;
} errors[] = {
    {"ERR unknown command 'FOO'", REPLY_REFUSED},
    {"", REPLY_REFUSED},
    {"MOVEDX 1 a:1", REPLY_REFUSED},
    {"moved 1 a:1", REPLY_REFUSED},
    {"MOVED 1 a:1", REPLY_MOVED},
    {"ASK 1 a:1", REPLY_ASK},
    {"TRYAGAIN", REPLY_TRY_AGAIN},
    {"NOSCRIPT No matching script. Please use EVAL.", REPLY_NO_SCRIPT},
    {"WRONGTYPE Operation against a key", REPLY_WRONG_TYPE},
    {"LOADING Redis is loading the dataset in memory", REPLY_UNAVAILABLE},
    {"READONLY You can't write against a read only replica.", REPLY_UNAVAILABLE},
    {"OOM command not allowed when used memory > 'maxmemory'.", REPLY_UNAVAILABLE},
    {"MISCONF Errors writing to the AOF file", REPLY_UNAVAILABLE},
    {"CLUSTERDOWN The cluster is down", REPLY_UNAVAILABLE},
    {"MASTERDOWN Link with MASTER is down", REPLY_UNAVAILABLE},
    {"NOPERM this user has no permissions", REPLY_UNAVAILABLE},
    {"NOAUTH Authentication required.", REPLY_UNAUTHORIZED},
    {"WRONGPASS invalid username-password pair", REPLY_UNAUTHORIZED},
};

START_TEST(reply_error_has_kind) {
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
    ck_assert_msg(reply_error_kind(errors[i].text, strlen(errors[i].text)) == errors[i].kind, "%s",
                  errors[i].text);
}
END_TEST

static const struct {
  const char *text;
  bool valid;
  uint16_t slot, port;
  const char *host;
} redirects[] = {
    {"MOVED 3999 127.0.0.1:6381", true, 3999, 6381, "127.0.0.1"},
    {"ASK 16383 cache-1.internal:65535", true, 16383, 65535, "cache-1.internal"},
    {"MOVED 0 2001:db8::1:6379", true, 0, 6379, "2001:db8::1"},
    {"MOVED 7 :6379", true, 7, 6379, ""}, /* the same host */
    {"MOVED 16384 a:1", false, 0, 0, ""},
    {"MOVED -1 a:1", false, 0, 0, ""},
    {"MOVED 1 a:65536", false, 0, 0, ""},
    {"MOVED 1 a:0", false, 0, 0, ""},
    {"MOVED 1 a:", false, 0, 0, ""},
    {"MOVED 1 a:1x", false, 0, 0, ""},
    {"MOVED 1 a", false, 0, 0, ""},
    {"MOVED 1 ", false, 0, 0, ""},
    {"MOVED 1", false, 0, 0, ""},
    {"MOVED", false, 0, 0, ""},
    {"MOVED 1 a b:1", false, 0, 0, ""},
    {"MOVED 1 a\nb:1", false, 0, 0, ""},
    {"MOVED 99999999999999999999 a:1", false, 0, 0, ""},
};

/* The text is behind a guard, so that AddressSanitizer sees a read past its end. */
START_TEST(redirect_is_parsed_or_refused) {
  for (size_t i = 0; i < sizeof redirects / sizeof redirects[0]; i++) {
    struct redirect redirect;
    size_t size = strlen(redirects[i].text);
    char *text = malloc(size > 0 ? size : 1);
    memcpy(text, redirects[i].text, size);
    ck_assert_msg(reply_error_redirect(text, size, &redirect) == redirects[i].valid, "%s",
                  redirects[i].text);
    if (redirects[i].valid) {
      ck_assert_uint_eq(redirect.slot, redirects[i].slot);
      ck_assert_uint_eq(redirect.port, redirects[i].port);
      ck_assert_str_eq(redirect.host, redirects[i].host);
    }
    free(text);
  }
}
END_TEST

START_TEST(redirect_with_endless_host_is_refused) {
  char text[1000];
  struct redirect redirect;
  memset(text, 'a', sizeof text);
  memcpy(text, "MOVED 1 ", 8);
  memcpy(text + sizeof text - 2, ":1", 2);
  ck_assert(!reply_error_redirect(text, sizeof text, &redirect));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("reply_error");
  TCase *tc = tcase_create("reply_error");
  tcase_add_test(tc, reply_error_has_kind);
  tcase_add_test(tc, redirect_is_parsed_or_refused);
  tcase_add_test(tc, redirect_with_endless_host_is_refused);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
