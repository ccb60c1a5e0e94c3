/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker keeps the text by which its launcher plugs its adapters in again, but must not choose what it says: it is sealed with a key in a file beside
 * the switch process's socket, which workers cannot open. SipHash-2-4 with 128 bits (Aumasson and Bernstein, "SipHash").
 */
#ifndef VSWITCHD_SEAL_H
#define VSWITCHD_SEAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEAL_KEY_BYTES 16u
#define SEAL_BYTES 16u

void seal_hash(const uint8_t *key, const void *data, size_t bytes, uint8_t *ret);
/* This user's key, made when there is none yet. False: it cannot be had. */
bool seal_key(uint8_t *ret);
/* "SEAL {...}", malloced. NULL: no memory. */
char *seal_text(const uint8_t *key, json_t *o);
/* NULL: not sealed with @key. */
json_t *seal_open(const uint8_t *key, const char *text);

#endif
