// SPDX-License-Identifier: Apache-2.0
/*
 * 256 blocks of 4 KiB. Two tables of 4 KiB at 0 and 4096, the newer valid one counts; then room for 512 blocks. Every write of a whole block goes
 * to a place that neither the table on disk nor the next one uses; a flush makes data, then the table, then itself durable.
 */
#include "mini_format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

#define BLOCK 4096u
#define BLOCKS (MINI_BYTES / BLOCK)
#define PLACES 512u
#define FIRST_PLACE 2u /* of BLOCK bytes in the file */

struct table {
	uint64_t generation, sum;
	uint64_t place[BLOCKS]; /* 0: zeros; over several sectors, so that a table can be torn */
	uint8_t rest[BLOCK - 16 - 8 * BLOCKS];
};

struct mini {
	struct block_device block;
	struct storage_file *file;
	enum mini_defect defect;
	struct table table, durable; /* as it is to be; as it is on disk */
	unsigned slot;		     /* where the durable one lies */
	unsigned next_place;
	bool dirty;
};

static uint64_t sum_of(const struct table *t)
{
	uint64_t sum = t->generation;

	for (size_t i = 0; i < BLOCKS; i++) {
		sum = sum * 31 + t->place[i];
	}
	return sum;
}

static bool in_use(const struct mini *m, unsigned place)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		if (m->table.place[i] == place ||
		    (m->durable.place[i] == place && m->defect != MINI_TABLE_WITHOUT_DATA)) {
			return true;
		}
	}
	return false;
}

static unsigned find_place(struct mini *m)
{
	do {
		m->next_place = 1 + m->next_place % PLACES;
	} while (in_use(m, m->next_place));
	return m->next_place;
}

static uint64_t offset_of(uint64_t place)
{
	return (uint64_t)(FIRST_PLACE + place - 1) * BLOCK;
}

static int commit(struct mini *m)
{
	int r = m->defect == MINI_TABLE_WITHOUT_DATA ? 0 : storage_file_flush(m->file);

	if (r != 0 || !m->dirty) {
		return r;
	}
	unsigned slot = m->defect == MINI_ONE_TABLE ? m->slot : m->slot ^ 1;

	m->table.generation++;
	m->table.sum = sum_of(&m->table);
	r = storage_file_write(m->file, slot * BLOCK, &m->table, BLOCK);
	r = r == 0 ? storage_file_flush(m->file) : r;
	if (r == 0) {
		m->durable = m->table;
		m->slot = slot;
		m->dirty = false;
	}
	return r;
}

static int read_block(struct mini *m, uint64_t block, uint8_t *ret)
{
	memset(ret, 0, BLOCK);
	return m->table.place[block] == 0
		       ? 0
		       : storage_file_read(m->file, offset_of(m->table.place[block]), ret, BLOCK);
}

static int write_block(struct mini *m, const struct io_request *r, uint64_t done, uint64_t block,
		       uint64_t at, uint64_t bytes)
{
	uint8_t data[BLOCK];
	int rc = read_block(m, block, data);
	unsigned place = find_place(m);

	if (r->op == IO_WRITE) {
		io_copy_out(r, done, data + at, bytes);
	} else {
		memset(data + at, 0, bytes);
	}
	rc = rc == 0 ? storage_file_write(m->file, offset_of(place), data, BLOCK) : rc;
	m->table.place[block] = place;
	m->dirty = true;
	return rc;
}

static int transfer(struct mini *m, struct io_request *r)
{
	uint8_t data[BLOCK];
	int rc = 0;

	for (uint64_t done = 0; done < r->bytes && rc == 0;) {
		uint64_t offset = r->offset + done, at = offset % BLOCK;
		uint64_t bytes = min_u64(BLOCK - at, r->bytes - done);

		if (r->op == IO_READ) {
			rc = read_block(m, offset / BLOCK, data);
			io_copy_in(r, done, data + at, bytes);
		} else {
			rc = write_block(m, r, done, offset / BLOCK, at, bytes);
		}
		done += bytes;
	}
	return rc;
}

static void submit(struct block_device *b, struct io_request *r)
{
	struct mini *m = container_of(b, struct mini, block);
	int rc = 0;

	if (r->op == IO_FLUSH) {
		rc = m->defect == MINI_FLUSHES_NOTHING ? 0 : commit(m);
	} else if (r->op != IO_DISCARD) {
		rc = transfer(m, r);
		if (rc == 0 && r->op != IO_READ && (r->flags & IO_FUA) != 0) {
			rc = m->defect == MINI_FORGETS_FUA ? storage_file_flush(m->file)
							   : commit(m);
		}
	}
	io_complete(b->context, r, rc);
}

static bool load(struct mini *m)
{
	struct table t;
	bool found = false;

	for (unsigned slot = 0; slot < 2; slot++) {
		if (storage_file_read(m->file, slot * BLOCK, &t, BLOCK) != 0) {
			return false;
		}
		bool valid =
			t.generation != 0 && (t.sum == sum_of(&t) || m->defect == MINI_NO_CHECKSUM);

		if (valid && (!found || t.generation > m->durable.generation)) {
			m->durable = t;
			m->slot = slot;
			found = true;
		}
	}
	m->table = m->durable;
	return found;
}

static int mini_open(const struct subject *s, const struct vhd_host *host, const char *path,
		     bool write, struct subject_disk *ret, char *why, size_t size)
{
	static const struct block_ops ops = {.submit = submit};
	struct mini *m = calloc(1, sizeof(*m));
	struct storage_file *f;
	int r = host->open(host->ctx, path, write, false, &f);

	CHECK(m != NULL);
	if (r != 0) {
		snprintf(why, size, "no file");
		free(m);
		return r;
	}
	m->file = f;
	m->defect = s->flags;
	m->block = (struct block_device){.ops = &ops, .context = host->context, .name = "mini"};
	m->block.info = (struct block_info){.bytes = MINI_BYTES,
					    .sector_bytes = 512,
					    .physical_sector_bytes = 4096,
					    .read_only = !write,
					    .discards = true};
	if (!load(m)) {
		snprintf(why, size, "no valid table");
		storage_file_close(f);
		free(m);
		return 1;
	}
	*ret = (struct subject_disk){.block = &m->block, .handle = m};
	return 0;
}

static int mini_close(struct subject_disk *d)
{
	struct mini *m = d->handle;
	int r = m->file->writable ? commit(m) : 0;

	storage_file_close(m->file);
	free(m);
	return r;
}

const struct subject mini_right = {.open = mini_open, .close = mini_close};

int mini_create(const struct vhd_host *host, const char *path)
{
	struct table t = {.generation = 1};
	struct storage_file *f;
	int r = host->open(host->ctx, path, true, true, &f);

	if (r != 0) {
		return r;
	}
	t.sum = sum_of(&t);
	r = storage_file_write(f, 0, &t, sizeof(t));
	r = r == 0 ? storage_file_flush(f) : r;
	storage_file_close(f);
	return r;
}
