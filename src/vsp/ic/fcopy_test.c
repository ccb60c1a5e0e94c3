// SPDX-License-Identifier: Apache-2.0
#include "test/test.h"

#include <errno.h>

#include "lib/bits.h"
#include "rig.h"

#define FILE_BYTES 15000u

static uint8_t state[64 << 10];

/* The owner's file. */
struct source {
	uint64_t fail_at; /* reading from there on fails; 0: never */
	bool short_read;
};

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 7 + offset / 251);
}

static int read_source(void *ctx, uint64_t offset, void *buf, uint32_t bytes)
{
	const struct source *s = ctx;

	for (uint32_t i = 0; i < bytes; i++) {
		((uint8_t *)buf)[i] = byte_at(offset + i);
	}
	if (s->fail_at != 0 && offset + bytes > s->fail_at) {
		return s->short_read ? (int)bytes - 1 : -EIO;
	}
	return (int)bytes;
}

static int begin(struct rig *r, struct source *s, uint64_t bytes, struct rig_answer *a)
{
	const struct vsp_ic_copy copy = {
		.folder = "/tmp/x",
		.name = "file",
		.overwrite = true,
		.create_path = true,
		.bytes = bytes,
		.read = read_source,
		.ctx = s,
	};
	int result = vsp_ic_copy(r->ic, &copy, rig_done(a));

	rig_run(r);
	return result;
}

/* Takes a message, which must be @operation, and answers it. */
static void step(struct test *t, struct rig *r, enum ic_fcopy_operation operation, uint32_t status,
		 struct rig_message *ret)
{
	struct rig_message m;

	EXPECT(t, rig_take(r, VSP_IC_FCOPY, &m));
	EXPECT_EQ(t, m.header.type, IC_MESSAGE_FCOPY);
	EXPECT_EQ(t, load_le32(m.body), operation);
	EXPECT(t, rig_answer(r, VSP_IC_FCOPY, &m, status));
	if (ret != NULL) {
		*ret = m;
	}
}

static void expect_part(struct test *t, const struct rig_message *m, uint64_t offset,
			uint32_t bytes)
{
	EXPECT_EQ(t, m->bytes, sizeof(struct ic_fcopy_write));
	EXPECT_EQ(t, m->write.offset, offset);
	EXPECT_EQ(t, m->write.bytes, bytes);
	for (uint32_t i = 0; i < bytes; i++) {
		if (m->write.data[i] != byte_at(offset + i)) {
			EXPECT_EQ(t, i, bytes);
			break;
		}
	}
}

static void test_copy(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct source s = {0};
	struct rig_answer a, b;
	struct rig_message m;

	EXPECT_EQ(t, begin(r, &s, FILE_BYTES, &a), -ENODEV);
	EXPECT(t, rig_up(r, VSP_IC_FCOPY));
	EXPECT_EQ(t, begin(r, &s, FILE_BYTES, &a), 0);
	EXPECT_EQ(t, begin(r, &s, FILE_BYTES, &b), -EBUSY);
	step(t, r, IC_FCOPY_START, 0, &m);
	EXPECT_EQ(t, m.bytes, 1088);
	EXPECT_MEM(t, m.start.name, "f\0i\0l\0e\0\0\0", 10);
	EXPECT_MEM(t, m.start.path, "/\0t\0m\0p\0/\0x\0\0\0", 14);
	EXPECT_EQ(t, m.start.flags, IC_FCOPY_OVERWRITE | IC_FCOPY_CREATE_PATH);
	EXPECT_EQ(t, m.start.bytes, FILE_BYTES);
	step(t, r, IC_FCOPY_WRITE, 0, &m);
	expect_part(t, &m, 0, 6144);
	EXPECT_EQ(t, vsp_ic_copied(r->ic), 6144);
	step(t, r, IC_FCOPY_WRITE, 0, &m);
	expect_part(t, &m, 6144, 6144);
	step(t, r, IC_FCOPY_WRITE, 0, &m);
	expect_part(t, &m, 12288, FILE_BYTES - 12288);
	EXPECT_EQ(t, a.count, 0);
	step(t, r, IC_FCOPY_COMPLETE, 0, &m);
	EXPECT_EQ(t, m.bytes, 36);
	EXPECT_EQ(t, a.count, 1);
	EXPECT_EQ(t, a.result, VSP_IC_DONE);
	EXPECT(t, !rig_take(r, VSP_IC_FCOPY, &m));
	EXPECT_EQ(t, begin(r, &s, 0, &a), 0); /* an empty file */
	step(t, r, IC_FCOPY_START, 0, NULL);
	step(t, r, IC_FCOPY_COMPLETE, 0, NULL);
	EXPECT_EQ(t, a.result, VSP_IC_DONE);
	rig_destroy(r);
}

static void test_refused(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct source s = {0};
	struct rig_answer a;
	struct rig_message m;

	EXPECT(t, rig_up(r, VSP_IC_FCOPY));
	EXPECT_EQ(t, begin(r, &s, FILE_BYTES, &a), 0);
	step(t, r, IC_FCOPY_START, IC_STATUS_EXISTS, NULL);
	EXPECT_EQ(t, a.result, VSP_IC_REFUSED);
	EXPECT_EQ(t, a.status, IC_STATUS_EXISTS);
	EXPECT(t, !rig_take(r, VSP_IC_FCOPY, &m));

	EXPECT_EQ(t, begin(r, &s, FILE_BYTES, &a), 0);
	step(t, r, IC_FCOPY_START, 0, NULL);
	step(t, r, IC_FCOPY_WRITE, IC_STATUS_DISK_FULL, NULL);
	EXPECT_EQ(t, a.count, 0);
	step(t, r, IC_FCOPY_CANCEL, IC_STATUS_FAIL, NULL);
	EXPECT_EQ(t, a.result, VSP_IC_REFUSED);
	EXPECT_EQ(t, a.status, IC_STATUS_DISK_FULL);
	EXPECT_EQ(t, a.count, 1);
	rig_destroy(r);
}

/* The file cannot be read, or has become shorter: the guest keeps no half of it. */
static void test_unreadable(struct test *t)
{
	for (unsigned i = 0; i < 2; i++) {
		struct rig *r = rig_create(NULL);
		struct source s = {.fail_at = 7000, .short_read = i == 1};
		struct rig_answer a;

		EXPECT(t, rig_up(r, VSP_IC_FCOPY));
		EXPECT_EQ(t, begin(r, &s, FILE_BYTES, &a), 0);
		step(t, r, IC_FCOPY_START, 0, NULL);
		step(t, r, IC_FCOPY_WRITE, 0, NULL);
		step(t, r, IC_FCOPY_CANCEL, 0, NULL);
		EXPECT_EQ(t, a.result, VSP_IC_REFUSED);
		EXPECT_EQ(t, a.status, 0);
		rig_destroy(r);
	}
}

static void test_timeout(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct source s = {0};
	struct rig_answer a;
	struct rig_message m;

	EXPECT(t, rig_up(r, VSP_IC_FCOPY));
	EXPECT_EQ(t, begin(r, &s, FILE_BYTES, &a), 0);
	step(t, r, IC_FCOPY_START, 0, NULL);
	EXPECT(t, rig_take(r, VSP_IC_FCOPY, &m));
	rig_pass(r, 30 * RIG_S);
	EXPECT_EQ(t, a.count, 0);
	step(t, r, IC_FCOPY_CANCEL, 0, NULL);
	EXPECT_EQ(t, a.result, VSP_IC_TIMEOUT);

	EXPECT_EQ(t, begin(r, &s, FILE_BYTES, &a), 0);
	rig_pass(r, 30 * RIG_S);
	rig_pass(r, 30 * RIG_S); /* CANCEL is not answered either */
	EXPECT_EQ(t, a.count, 1);
	EXPECT_EQ(t, a.result, VSP_IC_TIMEOUT);
	EXPECT(t, rig_close(r, VSP_IC_FCOPY));
	EXPECT_EQ(t, a.count, 1);
	rig_destroy(r);
}

static void test_names(struct test *t)
{
	static char long_name[300];
	static const struct {
		const char *folder, *name;
	} bad[] = {{"", "x"}, {"/", ""}, {"\xff", "x"}, {"/", "\xc0"}, {"/", long_name}};
	struct rig *r = rig_create(NULL);
	struct rig_answer a;

	memset(long_name, 'x', 260);
	EXPECT(t, rig_up(r, VSP_IC_FCOPY));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct vsp_ic_copy copy = {.folder = bad[i].folder, .name = bad[i].name};

		EXPECT_EQ(t, vsp_ic_copy(r->ic, &copy, rig_done(&a)), -EINVAL);
	}
	rig_destroy(r);
}

/* The owner of the copy is gone after a restore: the guest throws away what it has. */
static void test_restore(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct source s = {0};
	struct rig_answer a;
	struct rig_message m;

	EXPECT(t, rig_up(r, VSP_IC_FCOPY));
	EXPECT_EQ(t, begin(r, &s, FILE_BYTES, &a), 0);
	step(t, r, IC_FCOPY_START, 0, NULL);
	EXPECT(t, rig_take(r, VSP_IC_FCOPY, &m));
	size_t bytes = rig_save(r, state, sizeof(state));

	EXPECT(t, bytes <= sizeof(state));
	rig_replace(r);
	EXPECT(t, rig_restore(r, state, bytes));
	rig_run(r);
	EXPECT(t, rig_answer(r, VSP_IC_FCOPY, &m, 0));
	step(t, r, IC_FCOPY_CANCEL, 0, NULL);
	EXPECT_EQ(t, begin(r, &s, 1, &a), 0);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_copy),    TEST(test_refused), TEST(test_unreadable),
		TEST(test_timeout), TEST(test_names),	TEST(test_restore),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
