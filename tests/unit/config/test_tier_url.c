#include "daemon/config/tier_url.h"
#include "proto/errors.h"
#include "tests/support/runner.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static const struct {
  const char *text;
  size_t n;
  struct tier_address first;
  bool tls;
  const char *user;
  uint32_t database;
} good[] = {
    {"redis://cache.internal", 1, {"cache.internal", 6379, ""}, false, "", 0},
    {"redis://cache.internal:7000", 1, {"cache.internal", 7000, ""}, false, "", 0},
    {"redis://10.0.0.1:6379/", 1, {"10.0.0.1", 6379, ""}, false, "", 0},
    {"valkey://h/15", 1, {"h", 6379, ""}, false, "", 15},
    {"rediss://h:1/65535", 1, {"h", 1, ""}, true, "", 65535},
    {"valkeys://fleet@h:65535", 1, {"h", 65535, ""}, true, "fleet", 0},
    {"redis://fl%2Feet%40x@h", 1, {"h", 6379, ""}, false, "fl/eet@x", 0},
    {"redis://[::1]", 1, {"::1", 6379, ""}, false, "", 0},
    {"redis://u@[2001:db8::1]:7001/3", 1, {"2001:db8::1", 7001, ""}, false, "u", 3},
    {"unix:///run/redis/redis.sock", 1, {"", 0, "/run/redis/redis.sock"}, false, "", 0},
    {"unix://fleet@/s?db=2", 1, {"", 0, "/s"}, false, "fleet", 2},
    {"unix:///a:b@c", 1, {"", 0, "/a:b@c"}, false, "", 0},
    {"redis://a:7000,redis://b:7001,valkey://[::1]", 3, {"a", 7000, ""}, false, "", 0},
    {"rediss://u@a/1,rediss://u@b/1", 2, {"a", 6379, ""}, true, "u", 1},
};

START_TEST(tier_urls_parse_takes_each_form) {
  struct tier_urls urls;
  struct error_text error = {{0}};
  int rc = tier_urls_parse(good[_i].text, &urls, &error);
  ck_assert_msg(rc == 0, "%s: %s", good[_i].text, error.text);
  ck_assert_uint_eq(urls.n, good[_i].n);
  ck_assert_str_eq(urls.addresses[0].host, good[_i].first.host);
  ck_assert_str_eq(urls.addresses[0].path, good[_i].first.path);
  ck_assert_uint_eq(urls.addresses[0].port, good[_i].first.port);
  ck_assert_int_eq(urls.tls, good[_i].tls);
  ck_assert_str_eq(urls.user, good[_i].user);
  ck_assert_uint_eq(urls.database, good[_i].database);
}
END_TEST

static const struct {
  const char *text, *wrong;
} bad[] = {
    {"", "it is not the URL of a tier"},
    {"cache.internal:6379", "it is not the URL of a tier: give redis://HOST"},
    {"http://h", "it is not the URL of a tier"},
    {"REDIS://h", "it is not the URL of a tier"},
    {"redis:/h", "it is not the URL of a tier"},
    {"redis://", "the host is wrong"},
    {"redis://:6379", "the host is wrong"},
    {"redis://a b", "the host is wrong"},
    {"redis://h?db=1", "the host is wrong"},
    {"redis://::1", "put an IPv6 address in brackets"},
    {"redis://[::1", "is no IPv6 address"},
    {"redis://[]", "is no IPv6 address"},
    {"redis://[10.0.0.1]", "is no IPv6 address"},
    {"redis://[fe80::1%25eth0]", "is no IPv6 address"},
    {"redis://[::1]6379", "there is a character behind \"]\""},
    {"redis://h:", "the port is wrong"},
    {"redis://h:0", "the port is wrong"},
    {"redis://h:65536", "the port is wrong"},
    {"redis://h:99999999999", "the port is wrong"},
    {"redis://h:+1", "the port is wrong"},
    {"redis://h/x", "the database is wrong"},
    {"redis://h/65536", "the database is wrong"},
    {"redis://h/1/2", "the database is wrong"},
    {"redis://@h", "the user before \"@\" is wrong"},
    {"redis://a%2@h", "the user before \"@\" is wrong"},
    {"redis://a%00@h", "the user before \"@\" is wrong"},
    {"redis://a%zz@h", "the user before \"@\" is wrong"},
    {"redis://a b@h", "the user before \"@\" is wrong"},
    {"unix://relative", "the path is not absolute"},
    {"unix://", "the path is not absolute"},
    {"unix:///s?db=", "the database is wrong"},
    {"unix:///s?x=1", "there is another text than \"db=\""},
    {"unix:///a,unix:///b", "a Unix socket is the only server"},
    {"redis://a,unix:///b", "a Unix socket is the only server"},
    {"redis://a,", "it is not the URL of a tier"},
    {",redis://a", "it is not the URL of a tier"},
    {"redis://a, redis://b", "it is not the URL of a tier"},
    {"redis://a,rediss://b", "it has another user, database or TLS"},
    {"redis://a,redis://b/1", "it has another user, database or TLS"},
    {"redis://u@a,redis://b", "it has another user, database or TLS"},
};

START_TEST(tier_urls_parse_wrong_url_refused) {
  struct tier_urls urls;
  struct error_text error = {{0}};
  ck_assert_int_eq(tier_urls_parse(bad[_i].text, &urls, &error), FC_EINVAL);
  ck_assert_msg(strncmp(error.text, "tier: ", 6) == 0 && strstr(error.text, bad[_i].wrong) != NULL,
                "%s: %s", bad[_i].text, error.text);
}
END_TEST

/* A password may have every character that separates something in a URL. */
START_TEST(tier_urls_parse_password_refused_and_not_repeated) {
  static const char *const texts[] = {
      "redis://:secret@h",       "redis://u:secret@h:1/2",     "rediss://u:sec/ret@h",
      "redis://u:sec,ret@h",     "redis://u:s@secret@h",       "redis://a,redis://u:secret@h",
      "unix://u:secret@/run/s",  "valkeys://u:secret@[::1]:1", "http://u:secret@h",
      "redis://u:secret:more@h",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct tier_urls urls;
    struct error_text error = {{0}};
    ck_assert_int_eq(tier_urls_parse(texts[i], &urls, &error), FC_EINVAL);
    ck_assert_msg(strstr(error.text, "give the file with tier-password-file") != NULL, "%s: %s",
                  texts[i], error.text);
    ck_assert_msg(strstr(error.text, "sec") == NULL, "%s: %s", texts[i], error.text);
  }
}
END_TEST

START_TEST(tier_urls_parse_lists_are_bounded) {
  char text[4096] = "redis://h0";
  struct tier_urls urls;
  struct error_text error;
  for (unsigned i = 1; i < TIER_URLS_MAX; i++)
    (void)snprintf(text + strlen(text), sizeof text - strlen(text), ",redis://h%u", i);
  ck_assert_int_eq(tier_urls_parse(text, &urls, &error), 0);
  ck_assert_uint_eq(urls.n, TIER_URLS_MAX);
  ck_assert_str_eq(urls.addresses[15].host, "h15");
  (void)snprintf(text + strlen(text), sizeof text - strlen(text), ",redis://h");
  ck_assert_int_eq(tier_urls_parse(text, &urls, &error), FC_EINVAL);
  ck_assert_ptr_nonnull(strstr(error.text, "more than 16 URLs"));
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  ck_assert_int_eq(tier_urls_parse(text, &urls, &error), FC_EINVAL);
  ck_assert_ptr_nonnull(strstr(error.text, "more than 1024 bytes"));
}
END_TEST

/* A part that is longer than its place: a host, a user and a path. */
START_TEST(tier_urls_parse_long_parts_refused) {
  static const struct {
    const char *format;
    int fits;
  } rows[] = {{"redis://%.*s", 255}, {"redis://%.*s@h", 127}, {"unix:///%.*s", 106}};
  char many[300], text[400];
  struct tier_urls urls;
  struct error_text error;
  memset(many, 'x', sizeof many);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, sizeof text, rows[i].format, rows[i].fits, many);
    ck_assert_int_eq(tier_urls_parse(text, &urls, &error), 0);
    (void)snprintf(text, sizeof text, rows[i].format, rows[i].fits + 1, many);
    ck_assert_int_eq(tier_urls_parse(text, &urls, &error), FC_EINVAL);
#pragma GCC diagnostic pop
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tier_url");
  TCase *tc = tcase_create("tier_url");
  tcase_add_loop_test(tc, tier_urls_parse_takes_each_form, 0, sizeof good / sizeof good[0]);
  tcase_add_loop_test(tc, tier_urls_parse_wrong_url_refused, 0, sizeof bad / sizeof bad[0]);
  tcase_add_test(tc, tier_urls_parse_password_refused_and_not_repeated);
  tcase_add_test(tc, tier_urls_parse_lists_are_bounded);
  tcase_add_test(tc, tier_urls_parse_long_parts_refused);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
