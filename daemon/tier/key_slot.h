/* key_slot.h - the hash slot of a key, by which a cluster of Valkey or Redis assigns keys to its
 * servers: CRC16 (XMODEM) modulo 16,384 of the key, or of its hash tag. The hash tag is the text
 * between the first '{' and the next '}' if it is not empty. */
#ifndef FC_DAEMON_KEY_SLOT_H
#define FC_DAEMON_KEY_SLOT_H

#include <stddef.h>
#include <stdint.h>

#define KEY_SLOTS 16384u

/* Returns the CRC16 of `size` bytes. */
uint16_t key_slot_crc16(const char *bytes, size_t size);

/* Returns the slot of the key, below KEY_SLOTS. */
uint16_t key_slot(const char *key, size_t size);

#endif
