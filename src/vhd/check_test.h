/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of check and repair: damage to files, and the findings that it must lead to. */
#ifndef VHD_CHECK_TEST_H
#define VHD_CHECK_TEST_H

#include "lab_test.h"
#include "lib/bits.h"

#define FINDINGS_MAX 64

struct findings {
	struct vhd_finding list[FINDINGS_MAX];
	unsigned count;
	struct vhd_check_result result;
	int status;
};

static inline void on_finding(void *ctx, const struct vhd_finding *f)
{
	struct findings *all = ctx;

	if (all->count < FINDINGS_MAX) {
		all->list[all->count++] = *f;
	}
}

static inline void examine(struct lab *l, const char *path, bool repair, struct findings *ret)
{
	const struct vhd_check check = {.repair = repair, .finding = on_finding, .ctx = ret};

	memset(ret, 0, sizeof(*ret));
	ret->status = vhd_check(l->host, path, &check, &ret->result, &l->error);
}

static inline const struct vhd_finding *find_finding(const struct findings *all, const char *text)
{
	for (unsigned i = 0; i < all->count; i++) {
		if (strstr(all->list[i].text, text) != NULL) {
			return &all->list[i];
		}
	}
	return NULL;
}

static inline void tell_findings(const struct findings *all)
{
	for (unsigned i = 0; i < all->count; i++) {
		printf("#   %s%s%s at 0x%" PRIx64 ": %s\n",
		       all->list[i].kind == VHD_FINDING_ERROR ? "error" : "warning",
		       all->list[i].repairable ? ", repairable" : "",
		       all->list[i].repaired ? ", repaired" : "", all->list[i].file_offset,
		       all->list[i].text);
	}
}

/* One way to damage a file. */
struct damage {
	const char *name;
	void (*make)(struct lab *l);
	const char *path;
	enum vhd_finding_kind kind;
	bool repairable;
	const char *text; /* in what the finding says */
	int opens;	  /* what vhd_open for reading says */
	const char *
		says; /* in its message; or, when it opens, in that of the place which cannot be read; NULL: all can be */
	bool mixes; /* it can be read, but two blocks lie in one place */
};

#define DAMAGE_FAIL(l, d, what, all)                                                               \
	(test_fail((l)->test, __FILE__, __LINE__, "%s: %s", (d)->name, what), tell_findings(all))

/* Looks at every place of @d; 0, or what the first one said that is bad, which then cannot be read either. */
static inline int look_at_all(struct lab *l, struct vhd_disk *d)
{
	uint64_t bytes = vhd_block(d)->info.bytes;
	struct vhd_extent e = {0};
	uint8_t sector[4096];
	int r = 0;

	for (uint64_t at = 0; at < bytes && r == 0; at += e.bytes) {
		size_t n = vhd_block(d)->info.sector_bytes;

		r = vhd_map(d, at, &e, &l->error);
		EXPECT_EQ(l->test, block_read(vhd_block(d), at, sector, n), r == 0 ? 0 : -ENODATA);
	}
	return r;
}

/* What has blocks that cannot be, or not beside others, is not opened for writing: they would mix with new ones. */
static inline void refuse_writing(struct lab *l, const struct damage *d, bool bad)
{
	char text[sizeof(l->error.text)];
	struct vhd_disk *disk;

	if (!bad && !d->mixes) {
		return;
	}
	memcpy(text, l->error.text, sizeof(text));
	EXPECT_EQ(l->test, vhd_open(l->host, d->path, VHD_OPEN_WRITE, &disk, &l->error),
		  VHD_CORRUPT);
	EXPECT(l->test, strstr(l->error.text, "BAT entry ") != NULL &&
				strstr(l->error.text, " at 0x") != NULL &&
				strstr(l->error.text, "; the disk can be read only") != NULL);
	memcpy(l->error.text, text, sizeof(text));
}

/* Opening says what is wrong: in which file, where, and what is expected. */
static inline void check_opening(struct lab *l, const struct damage *d)
{
	struct vhd_disk *disk;
	int r;

	l->error.text[0] = 0;
	r = vhd_open(l->host, d->path, 0, &disk, &l->error);
	if (r != d->opens) {
		test_fail(l->test, __FILE__, __LINE__, "%s: opens with %d: %s", d->name, r,
			  l->error.text);
	}
	if (r == 0) {
		r = look_at_all(l, disk);
		lab_close(l, disk);
		refuse_writing(l, d, r != 0);
	}
	if ((r != 0) != (d->says != NULL) || (r != 0 && (strstr(l->error.text, d->says) == NULL ||
							 strstr(l->error.text, "vhd") == NULL))) {
		test_fail(l->test, __FILE__, __LINE__, "%s: %d: says: %s", d->name, r,
			  l->error.text);
	}
}

/* Check tells it; repair does away with it or says that it cannot; repairing twice changes nothing. */
static inline void check_damage(struct lab *l, const struct damage *d)
{
	struct findings *all = malloc(sizeof(*all));
	const struct vhd_finding *f;

	d->make(l);
	check_opening(l, d);
	examine(l, d->path, false, all);
	f = find_finding(all, d->text);
	if (all->status != 0 || f == NULL || f->kind != d->kind || f->repairable != d->repairable ||
	    f->repaired) {
		DAMAGE_FAIL(l, d, "not found by check as it should be", all);
	}
	examine(l, d->path, true, all);
	f = find_finding(all, d->text);
	if (all->status != 0 || f == NULL || f->repaired != d->repairable) {
		DAMAGE_FAIL(l, d, "repair did not do what it should", all);
	}
	examine(l, d->path, true, all);
	f = find_finding(all, d->text);
	if (all->status != 0 || all->result.repaired != 0 || (f != NULL) == d->repairable) {
		DAMAGE_FAIL(l, d, "repairing again found something else", all);
	}
	if (d->repairable && all->result.errors != 0) {
		DAMAGE_FAIL(l, d, "errors are left", all);
	}
	free(all);
}

static inline void peek(struct lab *l, const char *path, uint64_t offset, void *buf, size_t bytes)
{
	EXPECT_EQ(l->test, storage_file_read(vhd_testing_file(l->files, path), offset, buf, bytes),
		  0);
}

static inline void poke(struct lab *l, const char *path, uint64_t offset, const void *buf,
			size_t bytes)
{
	EXPECT_EQ(l->test, storage_file_write(vhd_testing_file(l->files, path), offset, buf, bytes),
		  0);
}

static inline void wipe(struct lab *l, const char *path, uint64_t offset, size_t bytes)
{
	EXPECT_EQ(l->test,
		  storage_file_zero(vhd_testing_file(l->files, path), offset, bytes, false), 0);
}

static inline uint64_t length(struct lab *l, const char *path)
{
	uint64_t bytes = 0;

	EXPECT_EQ(l->test, storage_file_get_size(vhd_testing_file(l->files, path), &bytes), 0);
	return bytes;
}

static inline void cut(struct lab *l, const char *path, uint64_t bytes)
{
	struct storage_file *f = vhd_testing_file(l->files, path);

	EXPECT_EQ(l->test, f->ops->set_size(f, bytes), 0);
}

/* What a crash at this moment would leave of @path, as the new file @copy. */
static inline void copy_file(struct lab *l, const char *path, const char *copy)
{
	uint64_t bytes = length(l, path);
	uint8_t *p = malloc(bytes);

	peek(l, path, 0, p, bytes);
	EXPECT_EQ(l->test, vhd_testing_add(l->files, copy, p, bytes), 0);
	free(p);
}

#endif
