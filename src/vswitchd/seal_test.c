// SPDX-License-Identifier: Apache-2.0
#include "seal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/bits.h"
#include "test/test.h"
#include "vswitchd/client.h"

/* Of the algorithm's authors: key 00 01 .. 0f, data 00 01 .. of so many bytes. */
static void test_vectors(struct test *t)
{
	static const uint8_t empty[SEAL_BYTES] = {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
						  0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93};
	static const uint8_t one[SEAL_BYTES] = {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44,
						0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45};
	uint8_t key[SEAL_KEY_BYTES], hash[SEAL_BYTES], zero = 0;

	for (unsigned i = 0; i < SEAL_KEY_BYTES; i++) {
		key[i] = (uint8_t)i;
	}
	seal_hash(key, key, 0, hash);
	EXPECT_MEM(t, hash, empty, SEAL_BYTES);
	seal_hash(key, &zero, 1, hash);
	EXPECT_MEM(t, hash, one, SEAL_BYTES);
}

static void test_seal(struct test *t)
{
	uint8_t key[SEAL_KEY_BYTES] = {1}, other[SEAL_KEY_BYTES] = {2};
	json_t *o = json_loads("{\"switch\":\"lan\",\"vlan\":10}", 0, NULL), *back;
	char *text = seal_text(key, o);

	back = seal_open(key, text);
	EXPECT(t, back != NULL && json_equal(back, o));
	json_decref(back);
	EXPECT(t, seal_open(other, text) == NULL);
	for (size_t i = 0; i < strlen(text); i++) {
		text[i] ^= 1;
		EXPECT(t, seal_open(key, text) == NULL);
		text[i] ^= 1;
	}
	for (size_t n = strlen(text); n-- > 0;) {
		text[n] = '\0';
		EXPECT(t, seal_open(key, text) == NULL);
	}
	free(text);
	json_decref(o);
}

/* One key for all programs of a user; a file that others can read is not used. */
static void test_key(struct test *t)
{
	char folder[] = "/tmp/virid-seal-XXXXXX", path[100];
	json_t *o = json_loads("{\"a\":1}", 0, NULL), *back;

	if (mkdtemp(folder) == NULL) {
		abort();
	}
	snprintf(path, sizeof(path), "%s/socket", folder);
	setenv("VIRID_VSWITCH_SOCKET", path, 1);
	char *text = vswitch_client_seal(o), *again = vswitch_client_seal(o);

	EXPECT(t, text != NULL && again != NULL && strcmp(text, again) == 0);
	back = vswitch_client_unseal(text);
	EXPECT(t, back != NULL);
	json_decref(back);
	strcat(path, ".key");
	EXPECT(t, chmod(path, 0644) == 0 && vswitch_client_unseal(text) == NULL);
	EXPECT(t, unlink(path) == 0 && vswitch_client_unseal(text) == NULL);
	EXPECT(t, unlink(path) == 0 && rmdir(folder) == 0);
	free(text);
	free(again);
	json_decref(o);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_vectors), TEST(test_seal),
						 TEST(test_key)};

	return test_main(cases, ARRAY_LEN(cases));
}
