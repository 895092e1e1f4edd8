#include "proto/utf8.h"

#include <string.h>

/* Bounds per first byte as in table 3-7 of the Unicode standard. */
size_t fc_utf8_long_char(const uint8_t *s, size_t size, uint32_t *code) {
  uint8_t low = 0x80, high = 0xbf; /* of the second byte */
  size_t length;

  if (s[0] >= 0xc2 && s[0] <= 0xdf) {
    length = 2;
  } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
    length = 3;
    low = s[0] == 0xe0 ? 0xa0 : 0x80;  /* overlong */
    high = s[0] == 0xed ? 0x9f : 0xbf; /* surrogates */
  } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
    length = 4;
    low = s[0] == 0xf0 ? 0x90 : 0x80;  /* overlong */
    high = s[0] == 0xf4 ? 0x8f : 0xbf; /* past U+10FFFF */
  } else {
    return 0;
  }
  if (size < length || s[1] < low || s[1] > high)
    return 0;
  uint32_t number = s[0] & (0x7fu >> length);
  for (size_t i = 1; i < length; i++) {
    if (s[i] < 0x80 || s[i] > 0xbf)
      return 0;
    number = number << 6 | (s[i] & 0x3fu);
  }
  *code = number;
  return length;
}

/* The characters with Unicode's property Default_Ignorable_Code_Point, which are invisible and
 * include the controls of the writing direction, the line separators, and the invisible controls of
 * interlinear annotations and of hieroglyphs. */
static const struct {
  uint32_t first, last;
} unfit[] = {
    {0x00ad, 0x00ad},   {0x034f, 0x034f},   {0x061c, 0x061c},   {0x115f, 0x1160},
    {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e},
    {0x2060, 0x206f},   {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},
    {0xffa0, 0xffa0},   {0xfff0, 0xfffb},   {0x13430, 0x1343f}, {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

bool fc_utf8_fits_line(uint32_t code) {
  if (fc_utf8_is_control(code))
    return false;
  for (size_t i = 0; i < sizeof unfit / sizeof unfit[0] && code >= unfit[i].first; i++)
    if (code <= unfit[i].last)
      return false;
  return true;
}

size_t fc_utf8_clean(char *text, size_t size) {
  size_t kept = 0;

  for (size_t at = 0; at < size;) {
    uint32_t code = 0;
    size_t length = fc_utf8_char((const uint8_t *)text + at, size - at, &code);

    if (length == 0 || !fc_utf8_fits_line(code)) {
      text[kept++] = '?';
      at += length == 0 ? 1 : length;
      continue;
    }
    memmove(text + kept, text + at, length);
    kept += length;
    at += length;
  }
  return kept;
}
