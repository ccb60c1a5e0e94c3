// SPDX-License-Identifier: Apache-2.0
/* Merges of disks in use, on the thread of their controller, a little at a time. */
#include <stdlib.h>
#include <string.h>

#include "controller.h"
#include "host/log.h"
#include "host/loop.h"

#define TELL_NS UINT64_C(250000000)

void storage_set_merge(struct storage *s, void (*fn)(void *ctx, const struct storage_merge *m),
		       void *ctx)
{
	if (s != NULL) {
		s->merge = fn;
		s->merge_ctx = ctx;
	}
}

static void tell(struct controller *c, unsigned lun, enum storage_merge_state state,
		 const struct vhd_progress *progress)
{
	struct disk *d = c->disks[lun];
	const struct storage_merge m = {
		.slot = c->ide ? STORAGE_CONTROLLERS + c->number : c->number,
		.lun = lun,
		.state = state,
		.done_bytes = progress->done_bytes,
		.total_bytes = progress->total_bytes,
		.phase = progress->phase != NULL ? progress->phase : "",
		.path = disk_config(d)->path,
		.why = state == STORAGE_MERGE_FAILED ? disk_why(d) : "",
	};

	if (state == STORAGE_MERGE_FAILED) {
		log_line("merging: %s", disk_why(d));
	}
	if (c->storage->merge != NULL) {
		c->storage->merge(c->storage->merge_ctx, &m);
	}
}

void controller_merge(struct controller *c, struct storage_request *r, struct disk *d)
{
	struct vhd_host host;
	int result = backend_vhd_host_handed(c->backend, r->files, r->file_count, &host);

	if (result != 0) {
		controller_drop_files(r);
		r->done(r, strerror(-result));
		return;
	}
	bool ok = disk_merge(d, &host, r->depth, r->count);

	backend_vhd_host_drop(&host);
	r->done(r, ok ? NULL : disk_why(d));
}

void controller_merge_cancel(struct controller *c, struct storage_request *r, struct disk *d)
{
	const struct vhd_progress none = {0};
	unsigned lun = r->disk.lun;

	if (!disk_merges(d)) {
		r->done(r, "no files of that disk are being merged");
		return;
	}
	if (disk_merge_decided(d)) {
		r->done(r, "the merge is all but done, and cannot be given up any more");
		return;
	}
	disk_merge_cancel(d);
	controller_show(c, lun);
	r->done(r, NULL);
	tell(c, lun, STORAGE_MERGE_CANCELLED, &none);
}

static void step(struct controller *c, unsigned lun)
{
	struct disk *d = c->disks[lun];
	struct vhd_progress progress = {0};
	int r = disk_merge_step(d, &progress);

	if (r != 1) {
		controller_show(c, lun);
		tell(c, lun, r == 0 ? STORAGE_MERGED : STORAGE_MERGE_FAILED, &progress);
	} else if (disk_merge_due(d, host_now_ns(), TELL_NS)) {
		controller_show(c, lun);
		tell(c, lun, STORAGE_MERGES, &progress);
	}
}

bool controller_merges(struct controller *c)
{
	bool any = false;

	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (c->disks[lun] != NULL && disk_merges(c->disks[lun])) {
			step(c, lun);
			any = true;
		}
	}
	return any;
}
