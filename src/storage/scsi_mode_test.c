// SPDX-License-Identifier: Apache-2.0
/* MODE SENSE and MODE SELECT of a disk. Spec: SPC-4 6.10 to 6.13, SBC-3 6.4. */
#include "scsi_disk.h"

#include "scsi_testing.h"

#define IN SCSI_DATA_IN
#define OUT SCSI_DATA_OUT

#define CACHING "08 12 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
#define CACHING_OFF "08 12 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
#define CONTROL "0a 0a 00 10 00 40 00 00 00 00 00 00"
#define EXCEPTIONS "1c 0a 08 00 00 00 00 00 00 00 00 00"
#define NO_CONTROL "0a 0a 00 00 00 00 00 00 00 00 00 00"
#define NO_EXCEPTIONS "1c 0a 00 00 00 00 00 00 00 00 00 00"

static const struct rig_row rows[] = {
	{"(6) caching", "1a 08 08 00 ff 00", IN, 255, NULL, RIG_GOOD, "17 00 10 00" CACHING},
	{"(6) caching, without DBD", "1a 00 08 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "17 00 10 00" CACHING},
	{"(6) caching, what can change", "1a 08 48 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "17 00 10 00" CACHING},
	{"(6) header only", "1a 08 08 00 04 00", IN, 255, NULL, RIG_GOOD, "17 00 10 00"},
	{"(6) control", "1a 08 0a 00 ff 00", IN, 255, NULL, RIG_GOOD, "0f 00 10 00" CONTROL},
	{"(6) exceptions", "1a 08 1c 00 ff 00", IN, 255, NULL, RIG_GOOD, "0f 00 10 00" EXCEPTIONS},
	{"(6) all", "1a 08 3f 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "2f 00 10 00" CACHING CONTROL EXCEPTIONS},
	{"(6) all, subpages", "1a 08 3f ff ff 00", IN, 255, NULL, RIG_GOOD,
	 "2f 00 10 00" CACHING CONTROL EXCEPTIONS},
	{"(6) all, what can change", "1a 08 7f 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "2f 00 10 00" CACHING NO_CONTROL NO_EXCEPTIONS},
	{"(6) all, defaults", "1a 08 bf 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "2f 00 10 00" CACHING CONTROL EXCEPTIONS},
	{"(6) saved", "1a 08 ff 00 ff 00", IN, 255, NULL, 0x053900, ""},
	{"(6) unknown page", "1a 08 01 00 ff 00", IN, 255, NULL, 0x052400, ""},
	{"(6) subpage", "1a 08 0a 01 ff 00", IN, 255, NULL, 0x052400, ""},
	{"(10) all", "5a 08 3f 00 00 00 00 01 00 00", IN, 256, NULL, RIG_GOOD,
	 "00 32 00 10 00 00 00 00" CACHING CONTROL EXCEPTIONS},
	{"(10) caching, cut", "5a 08 08 00 00 00 00 00 0b 00", IN, 256, NULL, RIG_GOOD,
	 "00 1a 00 10 00 00 00 00 08 12 04"},

	{"select (6): nothing", "15 10 00 00 00 00", OUT, 0, NULL, RIG_GOOD, ""},
	{"select (6): as it is", "15 10 00 00 18 00", OUT, 24, "00 00 00 00" CACHING, RIG_GOOD,
	 NULL},
	{"select (6): header only", "15 10 00 00 04 00", OUT, 4, "00 00 00 00", RIG_GOOD, NULL},
	{"select (6): not in page format", "15 00 00 00 18 00", OUT, 24, "00 00 00 00" CACHING,
	 0x052400, ""},
	{"select (6): save", "15 11 00 00 18 00", OUT, 24, "00 00 00 00" CACHING, 0x052400, ""},
	{"select (6): torn header", "15 10 00 00 03 00", OUT, 4, "00 00 00 00", 0x051a00, ""},
	{"select (6): torn page", "15 10 00 00 17 00", OUT, 24, "00 00 00 00" CACHING, 0x051a00,
	 ""},
	{"select (6): torn page header", "15 10 00 00 05 00", OUT, 24, "00 00 00 00" CACHING,
	 0x051a00, ""},
	{"select (6): short buffer", "15 10 00 00 18 00", OUT, 23, "00 00 00 00", 0x051a00, ""},
	{"select (6): descriptors beyond", "15 10 00 00 18 00", OUT, 24, "00 00 00 15" CACHING,
	 0x051a00, ""},
	{"select (6): block descriptor", "15 10 00 00 0c 00", OUT, 12,
	 "00 00 00 08 00 00 00 00 00 00 02 00", 0x052600, ""},
	{"select (6): something else of caching", "15 10 00 00 18 00", OUT, 24,
	 "00 00 00 00 08 12 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", 0x052600, ""},
	{"select (6): other length", "15 10 00 00 10 00", OUT, 16,
	 "00 00 00 00 08 0a 04 00 00 00 00 00 00 00 00 00", 0x052600, ""},
	{"select (6): unknown page", "15 10 00 00 06 00", OUT, 6, "00 00 00 00 02 00", 0x052600,
	 ""},
	{"select (6): page with subpage", "15 10 00 00 08 00", OUT, 8, "00 00 00 00 48 02 00 00",
	 0x052600, ""},
	{"select (6): good, then bad: nothing changes", "15 10 00 00 1a 00", OUT, 26,
	 "00 00 00 00" CACHING_OFF "02 00", 0x052600, ""},
	{"still on", "1a 08 08 00 ff 00", IN, 255, NULL, RIG_GOOD, "17 00 10 00" CACHING},
	{"select (10): all pages, cache off", "55 10 00 00 00 00 00 00 34 00", OUT, 52,
	 "00 00 00 00 00 00 00 00" CACHING_OFF CONTROL EXCEPTIONS, RIG_GOOD, NULL},
	{"now off", "1a 08 08 00 ff 00", IN, 255, NULL, RIG_GOOD, "17 00 10 00" CACHING_OFF},
	{"default is on", "1a 08 88 00 ff 00", IN, 255, NULL, RIG_GOOD, "17 00 10 00" CACHING},
	{"select (10): more than we take", "55 10 00 00 00 00 00 01 01 00", OUT, 257, NULL,
	 0x051a00, ""},
	{"select (10): torn header", "55 10 00 00 00 00 00 00 07 00", OUT, 7, NULL, 0x051a00, ""},
};

static void test_rows(struct test *t)
{
	struct io_context c;
	struct scsi_unit *u;

	io_context_init(&c, NULL);
	struct block_device *b = testing_disk(&c, 1 << 20, 512, false);

	CHECK(scsi_disk_create(b, &(struct scsi_unit_config){0}, &u) == 0);
	rig_rows(t, u, &c, rows, ARRAY_LEN(rows));
	scsi_unit_destroy(u);
	block_destroy(b);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_rows)};

	return test_main(cases, ARRAY_LEN(cases));
}
