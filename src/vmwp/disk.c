// SPDX-License-Identifier: Apache-2.0
#include "disk_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "host/loop.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "vsp/stor.h"

#define DVD_SECTOR_BYTES 2048u

static uint64_t clock_now_ns(void *ctx)
{
	(void)ctx;
	return host_now_ns();
}

static const struct block_clock filter_clock = {.now_ns = clock_now_ns};

static void log_request(void *ctx, const char *text)
{
	struct disk *d = ctx;

	log_line("disk %s: %s", d->config.path, text);
}

int disk_create(const struct disk_config *config, const struct scsi_luns *luns,
		const struct disk_listener *listener, struct block_counters *counters,
		struct disk **ret)
{
	struct disk *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		return -ENOMEM;
	}
	d->path = strdup(config->path);
	if (d->path == NULL) {
		free(d);
		return -ENOMEM;
	}
	d->config = *config;
	d->config.path = d->path;
	d->luns = *luns;
	d->listener = *listener;
	d->counters = counters;
	*ret = d;
	return 0;
}

void disk_destroy(struct disk *d)
{
	if (d != NULL) {
		free(d->path);
		free(d);
	}
}

const char *disk_why(const struct disk *d)
{
	return d->why;
}

const struct disk_config *disk_config(const struct disk *d)
{
	return &d->config;
}

bool disk_failed(struct disk *d, const char *what, int r)
{
	snprintf(d->why, sizeof(d->why), "disk %s: %s: %s", d->config.path, what, strerror(-r));
	return false;
}

bool disk_failed_vhd(struct disk *d, const struct vhd_error *error)
{
	snprintf(d->why, sizeof(d->why), "disk %s", error->text);
	return false;
}

/* ---- Trouble of the host ---- */

static void on_trouble(void *ctx, enum block_trouble trouble, int error)
{
	struct disk *d = ctx;
	char text[sizeof(d->why)];

	if (d->troubled) {
		return;
	}
	d->troubled = true;
	snprintf(text, sizeof(text), "disk %s: %s (%s): what the guest asked for waits",
		 d->config.path,
		 trouble == BLOCK_TROUBLE_SPACE ? "there is no space for what the guest writes"
						: "its storage does not answer",
		 strerror(-error));
	d->listener.trouble(d->listener.ctx, text);
}

static bool add_hold(struct disk *d)
{
	const struct block_hold config = {.trouble = on_trouble, .ctx = d};
	int r = block_hold_create(vhd_block(d->vhd), &config, &d->hold);

	d->top = d->hold; /* on failure the disk is closed already */
	return r == 0 || disk_failed(d, "filter", r);
}

void disk_retry(struct disk *d)
{
	if (d->hold != NULL) {
		block_hold_retry(d->hold);
	}
}

bool disk_in_trouble(const struct disk *d)
{
	return d->troubled;
}

/* Once a second things may have become better. */
static void try_again(struct disk *d, bool now)
{
	if (!d->troubled) {
		return;
	}
	if (block_hold_count(d->hold) == 0) {
		d->troubled = false;
		d->listener.trouble(d->listener.ctx, NULL);
	} else if (now) {
		block_hold_retry(d->hold);
	}
}

void disk_give_up(struct disk *d, bool give_up)
{
	if (d->hold != NULL && d->give_up != give_up) {
		d->give_up = give_up;
		block_hold_give_up(d->hold, give_up);
	}
}

/* ---- Opening ---- */

static bool open_vhd(struct disk *d, const struct vhd_host *host)
{
	const struct disk_config *c = &d->config;
	uint32_t flags =
		(c->read_only || c->temporary ? 0 : VHD_OPEN_WRITE) | (c->raw ? VHD_OPEN_RAW : 0);
	struct vhd_error error;
	int r = vhd_open(host, c->path, flags, &d->vhd, &error);

	if (r != 0) {
		return disk_failed_vhd(d, &error);
	}
	return add_hold(d);
}

static bool open_medium(struct disk *d, const struct vhd_host *host, struct block_device **ret)
{
	struct storage_file *f;
	int r;

	*ret = NULL;
	if (d->config.path[0] == '\0') {
		return true;
	}
	r = host->open(host->ctx, d->config.path, false, false, &f);
	if (r != 0) {
		return disk_failed(d, "opening", r < 0 ? r : -EWOULDBLOCK);
	}
	r = block_raw_create(f, DVD_SECTOR_BYTES, true, ret);
	return r == 0 || disk_failed(d, "medium", r);
}

bool disk_resize(struct disk *d, uint64_t bytes)
{
	struct vhd_progress progress;
	struct vhd_error error;
	struct vhd_job *job;

	if (d->vhd == NULL) {
		return disk_failed(d, "a DVD has no size to change", -EINVAL);
	}
	if (d->merge != NULL || d->branch != NULL) {
		return disk_failed(d, "a checkpoint is being made of it, or merged", -EBUSY);
	}
	int r = vhd_resize(d->vhd, bytes, &job, &error);

	if (r == 0) {
		while ((r = vhd_job_step(job, &progress, &error)) == 1) {
		}
		vhd_job_destroy(job);
	}
	return r == 0 || disk_failed_vhd(d, &error);
}

/* ---- Filters ---- */

static struct block_throttle limits_of(const struct disk *d)
{
	return (struct block_throttle){.max_iops = d->hurry ? 0 : d->config.iops};
}

/* A filter that could not be made has taken all below it along. */
static int stacked(struct disk *d, int r)
{
	if (r != 0) {
		d->top = d->hold = NULL;
	}
	return r;
}

static int add_scratch(struct disk *d)
{
	struct storage_file *scratch =
		storage_memory_file(d->top->context, "scratch", d->top->info.bytes);
	struct block_device *above = NULL;
	int r = scratch == NULL ? -ENOMEM : storage_file_set_size(scratch, d->top->info.bytes);

	if (r == 0) {
		r = block_raw_create(scratch, d->top->info.sector_bytes, false, &above);
	}
	return r == 0 ? stacked(d, block_cow_create(d->top, above, &d->top)) : r;
}

static int add_timed(struct disk *d, int r)
{
	if (stacked(d, r) == 0) {
		d->timed[d->timed_count++] = d->top;
	}
	return r;
}

/* Each filter owns what lies below it. */
static bool add_filters(struct disk *d)
{
	const struct disk_config *c = &d->config;
	const struct block_throttle limits = limits_of(d);
	const struct block_log log = {.line = log_request, .ctx = d};
	int r = c->temporary ? add_scratch(d) : 0;

	if (r == 0 && c->iops != 0) {
		r = add_timed(d, block_throttle_create(d->top, &limits, &filter_clock, &d->top));
		d->throttle = d->top;
	}
	if (r == 0 && c->delay_ns != 0) {
		r = add_timed(d, block_delay_create(d->top, c->delay_ns, &filter_clock, &d->top));
	}
	if (r == 0 && c->log) {
		r = stacked(d, block_log_create(d->top, &log, &d->top));
	}
	return r == 0 || disk_failed(d, "filter", r);
}

/* Above all else: what the guest asks for, as it finds it. */
static bool add_count(struct disk *d)
{
	int r = stacked(d, block_count_create(d->top, &filter_clock, d->counters, &d->top));

	return r == 0 || disk_failed(d, "filter", r);
}

bool disk_open(struct disk *d, const struct vhd_host *host)
{
	const struct scsi_unit_config config = {.luns = d->luns,
						.max_transfer_bytes = STOR_MAX_TRANSFER_BYTES};
	bool dvd = d->config.kind == DISK_DVD;
	int r;

	if (!(dvd ? open_medium(d, host, &d->top) : open_vhd(d, host)) ||
	    (d->top != NULL && !(add_filters(d) && add_count(d)))) {
		return false;
	}
	r = dvd ? scsi_dvd_create(d->top, host->context, &config, &d->unit)
		: scsi_disk_create(d->top, &config, &d->unit);
	return r == 0 || disk_failed(d, "SCSI unit", r);
}

/* ---- Media of a DVD drive ---- */

void disk_take_out(struct disk *d)
{
	scsi_dvd_set_medium(d->unit, NULL);
}

bool disk_let_go(struct disk *d)
{
	if (scsi_unit_block(d->unit) != NULL || scsi_dvd_reading(d->unit)) {
		return false;
	}
	block_destroy(d->top);
	d->top = NULL;
	return true;
}

bool disk_insert(struct disk *d, const struct vhd_host *host, const char *path)
{
	char *copy = strdup(path);
	struct block_device *medium;

	CHECK(d->top == NULL);
	if (copy == NULL) {
		return disk_failed(d, "medium", -ENOMEM);
	}
	free(d->path);
	d->config.path = d->path = copy;
	if (!open_medium(d, host, &medium)) {
		return false;
	}
	d->top = medium;
	if (medium != NULL && !add_count(d)) {
		return false;
	}
	scsi_dvd_set_medium(d->unit, d->top);
	return true;
}

/* ---- In use ---- */

bool disk_flush(struct disk *d)
{
	int r = d->top != NULL && !d->top->info.read_only ? block_flush(d->top) : 0;

	return r == 0 || disk_failed(d, "flushing", r);
}

bool disk_close(struct disk *d)
{
	bool flushed = true;

	if (d->unit != NULL) {
		scsi_unit_destroy(d->unit);
		d->unit = NULL;
	}
	disk_merge_cancel(d);
	disk_branch_forget(d);
	if (d->top != NULL) {
		if (!d->top->info.read_only) {
			int r = block_flush(d->top);

			flushed = r == 0 || disk_failed(d, "flushing at the end", r);
		}
		block_destroy(d->top);
		d->top = d->hold = NULL;
	}
	free(d->old_path);
	d->old_path = NULL;
	return flushed;
}

uint64_t disk_bytes(const struct disk *d)
{
	return d->top->info.bytes;
}

struct scsi_unit *disk_unit(struct disk *d)
{
	return d->unit;
}

void disk_hurry(struct disk *d, bool hurry)
{
	if (d->hurry == hurry) {
		return;
	}
	d->hurry = hurry;
	if (d->throttle != NULL) {
		const struct block_throttle limits = limits_of(d);

		block_throttle_set(d->throttle, &limits);
	}
}

uint64_t disk_upkeep(struct disk *d, bool settle)
{
	uint64_t next = UINT64_MAX;

	if (d->config.kind == DISK_DVD) {
		disk_let_go(d); /* the guest may have ejected it */
	}
	try_again(d, settle);
	if (settle && d->top != NULL) {
		block_settle(d->top);
	}
	for (unsigned i = 0; i < d->timed_count; i++) {
		next = min_u64(next, block_filter_poll(d->timed[i]));
	}
	return next;
}
