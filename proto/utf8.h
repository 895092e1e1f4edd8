/* utf8.h - decodes characters of UTF-8, and cleans text from outside for one line. */
#ifndef FC_PROTO_UTF8_H
#define FC_PROTO_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Implements fc_utf8_char for a first byte that is not ASCII. */
size_t fc_utf8_long_char(const uint8_t *s, size_t size, uint32_t *code);

/* Returns the length in bytes of the character at `s` and sets *code to its number. Reads at most
 * `size` (at least 1) bytes. Returns 0 and leaves *code for bytes that are not UTF-8: an overlong
 * form, a surrogate, a number past U+10FFFF, or a cut character. */
static inline size_t fc_utf8_char(const uint8_t *s, size_t size, uint32_t *code) {
  if (s[0] >= 0x80)
    return fc_utf8_long_char(s, size, code);
  *code = s[0];
  return 1;
}

/* Returns whether the character is a control character: U+0000..1F, U+7F..9F. */
static inline bool fc_utf8_is_control(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

/* Returns whether a character is safe within a line. Not safe are characters that some program
 * takes for a line's end, that change how a terminal shows the rest of the line, or that are
 * invisible, so that two names look the same: control characters, U+2028, U+2029, the controls of
 * the writing direction, joiners and variant selectors. Spaces are safe. */
bool fc_utf8_fits_line(uint32_t code);

/* Replaces with '?', in place, every character that does not fit a line, and every byte that is not
 * UTF-8. Returns the new size, which is at most `size`. */
size_t fc_utf8_clean(char *text, size_t size);

#endif
