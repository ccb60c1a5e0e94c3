// SPDX-License-Identifier: Apache-2.0
/*
 * The N-th allocation fails, for every N: everything that was taken over is gone (sanitizers look), a request ends with -ENOMEM, a
 * command with BUSY, and what comes after works.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/bits.h"
#include "scsi_testing.h"

#define SIZE (1u << 20)

void *__real_calloc(size_t n, size_t bytes);
void *__real_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_malloc(size_t bytes);

/* What the linker wraps has no other way to know. */
static struct {
	bool armed;
	unsigned left; /* allocations until one fails */
	bool failed;
} memory;

static bool fails(void)
{
	if (!memory.armed || memory.left-- != 0) {
		return false;
	}
	memory.armed = false;
	memory.failed = true;
	return true;
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	return fails() ? NULL : __real_calloc(n, bytes);
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

static void no_line(void *ctx, const char *text)
{
}

static int make_memory_disk(struct io_context *c, struct block_device **ret)
{
	struct storage_file *f = storage_memory_file(c, "memory", UINT64_MAX);

	if (f == NULL) {
		return -ENOMEM;
	}
	int rc = storage_file_set_size(f, SIZE);

	if (rc != 0) {
		storage_file_close(f);
		return rc;
	}
	return block_raw_create(f, 512, false, ret);
}

/* All filters on each other. Each takes over what it is given, also when it fails. */
static int make_stack(struct io_context *c, struct testing_clock *clock,
		      struct block_counters *counters, struct block_device **ret)
{
	const struct block_log log = {.line = no_line};
	struct block_device *b, *above;
	int rc = make_memory_disk(c, &b);

	if (rc != 0) {
		return rc;
	}
	rc = make_memory_disk(c, &above);
	if (rc != 0) {
		block_destroy(b);
		return rc;
	}
	rc = block_cow_create(b, above, &b);
	rc = rc != 0 ? rc : block_error_create(b, NULL, 0, &b);
	rc = rc != 0 ? rc : block_delay_create(b, 0, &clock->clock, &b);
	rc = rc != 0 ? rc
		     : block_throttle_create(b, &(struct block_throttle){0}, &clock->clock, &b);
	rc = rc != 0 ? rc : block_count_create(b, &clock->clock, counters, &b);
	rc = rc != 0 ? rc : block_log_create(b, &log, &b);
	if (rc == 0) {
		*ret = b;
	}
	return rc;
}

struct step {
	const char *cdb;
	enum scsi_direction direction;
	size_t bytes;
	const char *out;
};

static const struct step steps[] = {
	{"2a 00 00 00 00 00 00 00 10 00", SCSI_DATA_OUT, 8192, NULL},
	{"28 00 00 00 00 08 00 00 10 00", SCSI_DATA_IN, 8192, NULL},
	{"2e 02 00 00 00 40 00 00 10 00", SCSI_DATA_OUT, 8192, NULL},
	{"41 00 00 00 00 10 00 00 f0 00", SCSI_DATA_OUT, 512, NULL},
	{"41 08 00 00 00 10 00 00 10 00", SCSI_DATA_OUT, 512, "00 00"},
	{"42 00 00 00 00 00 00 00 18 00", SCSI_DATA_OUT, 24,
	 "00 16 00 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 20 00 00 00 00"},
	{"35 00 00 00 00 00 00 00 00 00", SCSI_DATA_NONE, 0, NULL},
};

static uint32_t send(struct scsi_unit *u, struct io_context *c, const struct step *step)
{
	bool armed = memory.armed;
	struct rig_command r;

	memory.armed = false; /* the test's own memory */
	rig_prepare(&r, step->cdb, step->direction, step->bytes, 0);
	if (step->out != NULL) {
		rig_parse(step->out, r.data, step->bytes);
	}
	memory.armed = armed;
	scsi_submit(u, &r.scsi);
	for (unsigned i = 0; i < 10000 && r.calls == 0; i++) {
		io_poll(c, false, 0);
		block_filter_poll(scsi_unit_block(u));
	}
	CHECK(r.calls == 1);
	uint32_t result = rig_result(&r);

	rig_free(&r);
	return result;
}

/* Returns whether an allocation failed. */
static bool run(struct test *t, unsigned n)
{
	struct io_context c;
	struct testing_clock clock;
	struct block_device *b;
	struct scsi_unit *u;

	io_context_init(&c, NULL);
	testing_clock_init(&clock, 1);
	memory.armed = true;
	memory.left = n;
	memory.failed = false;
	struct block_counters counters = {0};
	int rc = make_stack(&c, &clock, &counters, &b);

	EXPECT_EQ(t, -rc, memory.failed ? ENOMEM : 0);
	if (rc != 0) {
		return true;
	}
	rc = scsi_disk_create(b, &(struct scsi_unit_config){0}, &u);
	EXPECT_EQ(t, -rc, memory.failed ? ENOMEM : 0);
	for (unsigned i = 0; rc == 0 && i < ARRAY_LEN(steps); i++) {
		bool before = memory.failed;
		uint32_t result = send(u, &c, &steps[i]);

		EXPECT_EQ(t, result, memory.failed && !before ? RIG_BUSY : RIG_GOOD);
	}
	memory.armed = false;
	if (rc == 0) {
		scsi_unit_destroy(u);
	}
	block_destroy(b);
	return memory.failed;
}

static void test_each_allocation(struct test *t)
{
	unsigned n = 0;

	while (run(t, n) && n < 10000) {
		n++;
	}
	/* the stack alone has ten; the commands make chunks, pages, wrappers */
	EXPECT(t, n > 60 && n < 10000);
}

static void test_dvd(struct test *t)
{
	struct io_context c;
	struct scsi_unit *u;

	io_context_init(&c, NULL);
	memory.armed = true;
	memory.left = 0;
	EXPECT_EQ(t, -scsi_dvd_create(NULL, &c, &(struct scsi_unit_config){0}, &u), ENOMEM);
	EXPECT(t, !memory.armed);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_each_allocation), TEST(test_dvd)};

	return test_main(cases, ARRAY_LEN(cases));
}
