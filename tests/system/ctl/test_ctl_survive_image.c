/* fcachectl image: what it shows of whole, damaged, cut and foreign files, without a daemon. */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/expect.h"
#include "tests/support/image_builder.h"

#define RECORDS 60u

static struct built_image image;
static char path[HARNESS_PATH_SIZE + 16];

static void set_up(void) {
  char dir[HARNESS_PATH_SIZE];
  harness_make_dir(dir);
  (void)snprintf(path, sizeof path, "%s/image", dir);
  (void)setenv("FCACHE_SOCKET", "/nonexistent", 1); /* it needs no daemon */
  built_begin(&image);
  for (uint32_t i = 0; i < RECORDS; i++)
    built_add(&image, i * 20);
  built_finish(&image);
}

static void tear_down(void) {
  built_free(&image);
}

static void write_file(size_t size) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, image.bytes.data, size), (ssize_t)size);
  ck_assert_int_eq(close(fd), 0);
}

/* Runs image --json, which must have the status. Returns the summary, the caller's. */
static json_t *summary(int status) {
  char *out, *err;
  ck_assert_int_eq(harness_run(CTL("image", path, "-j"), &out, &err), status);
  json_t *object = json_loads(out, 0, NULL);
  ck_assert_msg(json_is_object(object), "%s%s", out, err);
  free(out);
  free(err);
  return object;
}

static long long number(const json_t *object, const char *name) {
  const json_t *value = json_object_get(object, name);
  ck_assert_msg(json_is_integer(value), "%s is no number", name);
  return json_integer_value(value);
}

START_TEST(whole_image_is_status_0) {
  write_file(image.bytes.size);
  ctl_expect_status(CTL("image", path), 0, "image            snapshot, version 1\n", "");
  ctl_expect_status(CTL("image", path), 0, "entries          60 intact, ", "");
  ctl_expect_status(CTL("image", path), 0, "damaged          0\n", "");
  json_t *all = summary(0);
  ck_assert_int_eq(number(all, "entries"), RECORDS);
  ck_assert_int_eq(number(all, "damaged"), 0);
  ck_assert(json_is_true(json_object_get(all, "complete")));
  const json_t *space = json_array_get(json_object_get(all, "namespaces"), 0);
  ck_assert_str_eq(json_string_value(json_object_get(space, "namespace")), "ns");
  ck_assert_int_eq(number(space, "entries"), RECORDS);
  ck_assert_int_eq(number(json_object_get(space, "manifest"), "a"), 1);
  json_decref(all);
}
END_TEST

START_TEST(list_filters_and_limits) {
  write_file(image.bytes.size);
  ck_assert_uint_eq(ctl_array_size(CTL("image", "--list", "-j", path)), RECORDS);
  ck_assert_uint_eq(ctl_array_size(CTL("image", path, "--list", "-j", "-l", "7")), 7);
  ck_assert_uint_eq(ctl_array_size(CTL("image", "--list", "-j", "-l0", "-o", "op", path)),
                    RECORDS / 2);
  ck_assert_uint_eq(ctl_array_size(CTL("image", "--list", "-j", "-n", "none", path)), 0);
  ctl_expect_part(CTL("image", "--list", "-l1", path), "NAMESPACE OP VIEW TOP_K PROMPT");
  ctl_expect(CTL("image", "--list", "-n", "none", path), "no matching entries\n");
}
END_TEST

/* Each damage is shown with the offset of its record. */
START_TEST(damage_is_shown_with_its_offset) {
  for (uint32_t i = 1; i < RECORDS; i += 13)
    for (int in_value = 0; in_value < 2; in_value++) {
      size_t at = (size_t)image.starts[i] + (in_value ? (size_t)image.sizes[i] - 1 : 20);
      char text[96];
      image.bytes.data[at] ^= 1;
      write_file(image.bytes.size);
      json_t *all = summary(1);
      const json_t *damage = json_array_get(json_object_get(all, "damage"), 0);
      EXPECT_EQUAL(number(all, "entries"), RECORDS - 1);
      EXPECT_EQUAL(number(all, "damaged"), 1);
      EXPECT_EQUAL(number(all, "missing"), 1);
      EXPECT_EQUAL(number(damage, "offset"), image.starts[i]);
      ck_assert_str_eq(json_string_value(json_object_get(damage, "what")),
                       in_value ? "value" : "head");
      (void)snprintf(text, sizeof text, "damaged at byte %llu: %s",
                     (unsigned long long)image.starts[i],
                     in_value ? "the value of prompt" : "one entry or more");
      ctl_expect_status(CTL("image", path), 1, "1 of 60 entries are missing", text);
      ctl_expect_status(CTL("image", "--list", path), 1, "NAMESPACE", text);
      json_decref(all);
      image.bytes.data[at] ^= 1;
    }
}
END_TEST

START_TEST(damaged_preamble_is_replaced_by_the_other) {
  image.bytes.data[60] ^= 1;
  write_file(image.bytes.size);
  ctl_expect_status(CTL("image", path), 1, "60 intact",
                    "the preamble at its beginning is damaged; that at its end was used");
  image.bytes.data[60] ^= 1;
  image.bytes.data[image.last_at + 60] ^= 1;
  write_file(image.bytes.size);
  ctl_expect_status(CTL("image", path), 1, "60 intact", "ends too early, or its end is damaged");
}
END_TEST

START_TEST(cut_image_shows_what_is_whole) {
  for (size_t size = 8; size < image.bytes.size; size += image.bytes.size / 9) {
    write_file(size);
    if (size < image.records_at) {
      ctl_expect_status(CTL("image", path), 1, "", "is no image, or its beginning is damaged");
      continue;
    }
    json_t *all = summary(1);
    uint32_t whole = 0;
    while (whole < RECORDS && image.starts[whole] + image.sizes[whole] <= size)
      whole++;
    EXPECT_EQUAL(number(all, "entries"), whole);
    ck_assert(json_is_false(json_object_get(all, "complete")));
    json_decref(all);
  }
}
END_TEST

START_TEST(image_from_pipe_is_read) {
  char command[512], *out;
  write_file(image.bytes.size);
  (void)snprintf(command, sizeof command, "cat %s | %s image -", path, harness_fcachectl());
  ck_assert_int_eq(harness_run((const char *const[]){"sh", "-c", command, NULL}, &out, NULL), 0);
  ck_assert_ptr_nonnull(strstr(out, "60 intact"));
  free(out);
}
END_TEST

static const struct {
  const char *argv[4];
  int status;
  const char *error;
} wrong[] = {
    {{"/etc/passwd"}, 1, "/etc/passwd is no image"},
    {{"/dev/null"}, 1, "/dev/null is no image"},
    {{"/etc"}, 1, "/etc is a directory: give the file in it, such as /etc/snapshot"},
    {{"/etc/passwd/x"}, 1, "cannot open /etc/passwd/x: Not a directory"},
    {{NULL}, 2, "no file: give a snapshot or a file of fcachectl export"},
    {{"a", "b"}, 2, "unexpected argument \"b\": image takes one file"},
    {{"-n", "x", "a"}, 2, "--namespace, --view and --op need --list"},
    {{"-S", "x", "a"}, 2, "--socket is not allowed: image reads a file"},
    {{"--limit", "x", "a"}, 2, "--limit takes a whole number"},
};

START_TEST(wrong_use_has_its_error) {
  const char *argv[7] = {harness_fcachectl(), "image"};
  memcpy(argv + 2, wrong[_i].argv, sizeof wrong[_i].argv);
  ctl_expect_status(argv, wrong[_i].status, "", wrong[_i].error);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_survive_image");
  TCase *tcase = tcase_create("ctl_survive_image");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, whole_image_is_status_0);
  tcase_add_test(tcase, list_filters_and_limits);
  tcase_add_test(tcase, damage_is_shown_with_its_offset);
  tcase_add_test(tcase, damaged_preamble_is_replaced_by_the_other);
  tcase_add_test(tcase, cut_image_shows_what_is_whole);
  tcase_add_test(tcase, image_from_pipe_is_read);
  tcase_add_loop_test(tcase, wrong_use_has_its_error, 0, sizeof wrong / sizeof wrong[0]);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
