// SPDX-License-Identifier: Apache-2.0
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/bits.h"
#include "message.h"
#include "paths.h"
#include "vswitchd/client.h"

#define SEAL_DIGITS (2 * SEAL_BYTES)

/* ---- SipHash ---- */

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void rounds(uint64_t *v, unsigned count)
{
	while (count-- > 0) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static void take_word(uint64_t *v, uint64_t word)
{
	v[3] ^= word;
	rounds(v, 2);
	v[0] ^= word;
}

void seal_hash(const uint8_t *key, const void *data, size_t bytes, uint8_t *ret)
{
	const uint8_t *at = data;
	uint64_t k0 = load_le64(key), k1 = load_le64(key + 8);
	uint64_t v[4] = {k0 ^ UINT64_C(0x736f6d6570736575),
			 k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
			 k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
	uint8_t last[8] = {0};
	size_t whole = bytes / 8 * 8;

	for (size_t i = 0; i < whole; i += 8) {
		take_word(v, load_le64(at + i));
	}
	if (bytes > whole) {
		memcpy(last, at + whole, bytes - whole);
	}
	last[7] = (uint8_t)bytes;
	take_word(v, load_le64(last));
	v[2] ^= 0xee;
	rounds(v, 4);
	store_le64(ret, v[0] ^ v[1] ^ v[2] ^ v[3]);
	v[1] ^= 0xdd;
	rounds(v, 4);
	store_le64(ret + 8, v[0] ^ v[1] ^ v[2] ^ v[3]);
}

/* ---- The key ---- */

static bool read_key(const char *path, uint8_t *ret)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
		  (st.st_mode & 077) == 0 && read(fd, ret, SEAL_KEY_BYTES) == SEAL_KEY_BYTES;

	if (fd >= 0) {
		close(fd);
	}
	return ok;
}

/* Whole or not at all: others may look for it at this moment, or make theirs. */
static bool make_key(const char *path)
{
	uint8_t key[SEAL_KEY_BYTES];
	char part[PATH_MAX];
	int n = snprintf(part, sizeof(part), "%s.XXXXXX", path);
	int fd = n > 0 && (size_t)n < sizeof(part) ? mkostemp(part, O_CLOEXEC) : -1;

	if (fd < 0) {
		return false;
	}
	bool ok = getrandom(key, sizeof(key), 0) == sizeof(key) &&
		  write(fd, key, sizeof(key)) == sizeof(key) &&
		  (link(part, path) == 0 || errno == EEXIST);

	unlink(part);
	close(fd);
	return ok;
}

bool seal_key(uint8_t *ret)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)], key[sizeof(path) + 8], error[300];

	if (!paths_socket(true, path, sizeof(path), error, sizeof(error))) {
		return false;
	}
	snprintf(key, sizeof(key), "%s.key", path);
	return read_key(key, ret) || (make_key(key) && read_key(key, ret));
}

/* ---- Sealing ---- */

static void write_digits(const uint8_t *key, const char *text, char *ret)
{
	uint8_t hash[SEAL_BYTES];

	seal_hash(key, text, strlen(text), hash);
	for (unsigned i = 0; i < SEAL_BYTES; i++) {
		sprintf(ret + 2 * i, "%02x", hash[i]);
	}
}

char *seal_text(const uint8_t *key, json_t *o)
{
	char *text = json_line(o), digits[SEAL_DIGITS + 1], *ret;

	write_digits(key, text, digits);
	int n = asprintf(&ret, "%s %s", digits, text);

	free(text);
	return n < 0 ? NULL : ret;
}

json_t *seal_open(const uint8_t *key, const char *text)
{
	char digits[SEAL_DIGITS + 1];
	unsigned differ = 0;

	if (strlen(text) <= SEAL_DIGITS || text[SEAL_DIGITS] != ' ') {
		return NULL;
	}
	write_digits(key, text + SEAL_DIGITS + 1, digits);
	/* all of it, however early it differs: time tells nothing */
	for (unsigned i = 0; i < SEAL_DIGITS; i++) {
		differ |= (unsigned)(text[i] ^ digits[i]);
	}
	return differ != 0 ? NULL
			   : message_parse(text + SEAL_DIGITS + 1, strlen(text + SEAL_DIGITS + 1));
}

char *vswitch_client_seal(json_t *adapter)
{
	uint8_t key[SEAL_KEY_BYTES];

	return seal_key(key) ? seal_text(key, adapter) : NULL;
}

json_t *vswitch_client_unseal(const char *text)
{
	uint8_t key[SEAL_KEY_BYTES];

	return seal_key(key) ? seal_open(key, text) : NULL;
}
