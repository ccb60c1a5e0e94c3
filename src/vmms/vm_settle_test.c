// SPDX-License-Identifier: Apache-2.0
/* What is read out of a worker's answer to "info", which a guest may have taken over. */
#include "vm_settle.h"

#include <stdio.h>
#include <string.h>

#include "lib/bits.h"
#include "test/test.h"

static const char answer[] = "ok\n"
			     "state=running\n"
			     "disk=scsi0:0:/vm/disks/top.avhdx\n"
			     "disk=ide0:1:/vm/disks/with:colon.avhd\n"
			     "disk=scsi0:1:\n"
			     "parent=scsi0:0:/vm/disks/base.vhdx\n"
			     "trouble=disk=scsi0:9:/vm/disks/no.vhdx\n"
			     "disk=scsi1:63:/vm/disks/last.vhdx";

static const struct {
	const char *path;
	const char *place; /* NULL: it is not written */
} cases[] = {
	{"/vm/disks/top.avhdx", "scsi0:0"},
	{"/vm/disks/with:colon.avhd", "ide0:1"},
	{"/vm/disks/last.vhdx", "scsi1:63"},
	{"/vm/disks/base.vhdx", NULL}, /* below one that is written */
	{"/vm/disks/no.vhdx", NULL},
	{"disks/top.avhdx", NULL},
	{"/vm/disks/top", NULL},
	{"colon.avhd", NULL},
};

static void test_writes(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *place = "";
		size_t bytes = 0;
		bool writes = vm_info_writes(answer, cases[i].path, &place, &bytes);
		bool ok = writes == (cases[i].place != NULL) &&
			  (!writes || (bytes == strlen(cases[i].place) &&
				       memcmp(place, cases[i].place, bytes) == 0));

		if (!ok) {
			printf("# %s\n", cases[i].path);
		}
		EXPECT(t, ok);
	}
}

static void test_nothing(struct test *t)
{
	const char *place;
	size_t bytes;

	EXPECT(t, !vm_info_writes("", "/a", &place, &bytes));
	EXPECT(t, !vm_info_writes("disk=", "/a", &place, &bytes));
	EXPECT(t, !vm_info_writes("disk=:/a", "/a", &place, &bytes));
	EXPECT(t, !vm_info_writes("disk=/a", "/a", &place, &bytes));
}

int main(void)
{
	static const struct test_case all[] = {TEST(test_writes), TEST(test_nothing)};

	return test_main(all, ARRAY_LEN(all));
}
