/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of chains in use: a disk that gets new tops, and what each of its files must show for ever. */
#ifndef VHD_PAST_TEST_H
#define VHD_PAST_TEST_H

#include "format.h"
#include "model_test.h"

#define DISK "disk.vhdx" /* whatever is in it */
#define STATES_MAX 64

/* What the disk was when each file was closed to writing. */
struct past {
	struct test *t;
	struct vhd_testing *w;
	struct model m;
	struct vhd_error error;
	unsigned count; /* of files below the top */
	unsigned made;
	char path[STATES_MAX][32];
	uint8_t *bytes[STATES_MAX]; /* NULL: nobody's any more */
};

static inline void past_init(struct past *p, struct test *t, const struct vhd_create *c)
{
	memset(p, 0, sizeof(*p));
	p->t = t;
	p->w = vhd_testing_create(UINT64_MAX);
	EXPECT_EQ(t, vhd_create(host_of(p->w), DISK, c, &p->error), 0);
	start_model(&p->m, p->w, DISK, c->bytes);
	snprintf(p->path[0], sizeof(p->path[0]), DISK);
}

static inline void open_raw(struct past *p, uint64_t bytes)
{
	EXPECT_EQ(
		p->t,
		vhd_open(host_of(p->w), DISK, VHD_OPEN_WRITE | VHD_OPEN_RAW, &p->m.disk, &p->error),
		0);
	p->m.unit = 1;
	p->m.size = bytes;
}

static inline void past_fini(struct past *p)
{
	EXPECT_EQ(p->t, p->m.errors, 0);
	for (unsigned i = 0; i < p->count; i++) {
		free(p->bytes[i]);
	}
	free(p->m.bytes);
	vhd_testing_destroy(p->w);
}

#define PAST_EXPECT(p, got, want)                                                                  \
	do {                                                                                       \
		int got_ = (got);                                                                  \
		if (got_ != (want)) {                                                              \
			test_fail((p)->t, __FILE__, __LINE__, "%s: got %d, want %d: %s", #got,     \
				  got_, (int)(want), (p)->error.text);                             \
		}                                                                                  \
	} while (0)

static inline struct vhd_disk *make(struct past *p, const char *name)
{
	struct vhd_disk *child = NULL;

	vhd_testing_add(p->w, name, "", 0);
	PAST_EXPECT(p, vhd_branch_create(host_of(p->w), name, p->m.disk, &child, &p->error), 0);
	return child;
}

static inline void remember(struct past *p)
{
	p->bytes[p->count] = malloc(p->m.size);
	memcpy(p->bytes[p->count], p->m.bytes, p->m.size);
	p->count++;
}

/* Requests between making the child and the switch, and between that and bringing the parent into order. */
static inline void checkpoint(struct past *p, unsigned rounds)
{
	char *name = p->path[p->count + 1];

	snprintf(name, sizeof(p->path[0]), "disk-%u.avhdx", ++p->made);
	struct vhd_disk *child = make(p, name);

	exercise(&p->m, rounds);
	PAST_EXPECT(p, vhd_branch_switch(child, p->m.disk, &p->error), 0);
	remember(p);
	p->m.disk = child;
	exercise(&p->m, rounds);
	PAST_EXPECT(p, vhd_branch_finish(child, &p->error), 0);
	exercise(&p->m, rounds);
}

static inline void finding(void *ctx, const struct vhd_finding *f)
{
	printf("# %s\n", f->text);
}

static inline void check_file(struct past *p, const char *path, bool raw)
{
	const struct vhd_check check = {.finding = finding};
	struct vhd_check_result result = {0};

	if (!raw) {
		PAST_EXPECT(p, vhd_check(host_of(p->w), path, &check, &result, &p->error), 0);
		EXPECT_EQ(p->t, result.errors, 0);
	}
}

/* Each file, opened as the disk that it was. */
static inline void look_back(struct past *p, bool raw)
{
	uint8_t *buf = malloc(p->m.size);

	for (unsigned i = 0; i < p->count; i++) {
		struct vhd_disk *d = NULL;

		check_file(p, p->path[i], raw && i == 0);
		PAST_EXPECT(p,
			    vhd_open(host_of(p->w), p->path[i], raw && i == 0 ? VHD_OPEN_RAW : 0,
				     &d, &p->error),
			    0);
		EXPECT_EQ(p->t, block_read(vhd_block(d), 0, buf, p->m.size), 0);
		if (p->bytes[i] != NULL) {
			EXPECT_MEM(p->t, buf, p->bytes[i], p->m.size);
		}
		vhd_close(d);
	}
	free(buf);
}

/* The disk is closed: its files are what they were. */
static inline void look_at_files(struct past *p, bool raw)
{
	look_back(p, raw);
	if (p->count != 0) {
		p->m.disk = open_disk(p->w, p->path[p->count], 0);
		check_all(p->t, &p->m);
		vhd_close(p->m.disk);
	}
}

static inline void end(struct past *p, bool raw)
{
	check_all(p->t, &p->m);
	EXPECT_EQ(p->t, vhd_close(p->m.disk), 0);
	look_at_files(p, raw);
}

#endif
