// SPDX-License-Identifier: Apache-2.0
/* File copy, host to guest: START, WRITEs in order, COMPLETE; CANCEL when one of them fails, and then the guest removes what it had. */
#include <errno.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/utf16.h"
#include "service.h"

static uint64_t due_ns(const struct ic_channel *ch)
{
	return ch->ic->fcopy.active ? 0 : IC_NEVER;
}

static void cancel(struct ic_fcopy *f, enum vsp_ic_result result, uint32_t status)
{
	f->operation = IC_FCOPY_CANCEL;
	f->result = result;
	f->status = status;
}

static size_t build_simple(const struct ic_fcopy *f, uint8_t *body)
{
	const struct ic_fcopy_header h = {.operation = (uint32_t)f->operation};

	memcpy(body, &h, sizeof(h));
	return sizeof(h);
}

/* The whole structure each time: Linux reads all of it. */
static size_t build_write(struct ic_fcopy *f, uint8_t *body)
{
	uint32_t want = (uint32_t)min_u64(f->copy.bytes - f->offset, IC_FCOPY_DATA_BYTES);
	const struct ic_fcopy_write head = {
		.header.operation = IC_FCOPY_WRITE,
		.offset = f->offset,
		.bytes = want,
	};
	int r;

	memcpy(body, &head, sizeof(head));
	r = f->copy.read(f->copy.ctx, f->offset, body + offsetof(struct ic_fcopy_write, data),
			 want);
	if (r < 0 || (uint32_t)r != want) {
		cancel(f, VSP_IC_REFUSED, 0);
		return build_simple(f, body);
	}
	f->part = want;
	return sizeof(head);
}

static size_t build(struct ic_channel *ch, uint8_t *body)
{
	struct ic_fcopy *f = &ch->ic->fcopy;

	switch (f->operation) {
	case IC_FCOPY_START:
		memcpy(body, &f->start, sizeof(f->start));
		return sizeof(f->start);
	case IC_FCOPY_WRITE:
		return build_write(f, body);
	case IC_FCOPY_COMPLETE:
	case IC_FCOPY_CANCEL:
	default:
		return build_simple(f, body);
	}
}

static void finish(struct ic_fcopy *f, enum vsp_ic_result result, uint32_t status)
{
	f->active = false;
	ic_finish(&f->done, result, status);
}

static void advance(struct ic_fcopy *f)
{
	if (f->operation == IC_FCOPY_WRITE) {
		f->offset += f->part;
	}
	f->operation = f->offset < f->copy.bytes ? IC_FCOPY_WRITE : IC_FCOPY_COMPLETE;
}

static void answered(struct ic_channel *ch, uint32_t status, const uint8_t *body, size_t bytes)
{
	struct ic_fcopy *f = &ch->ic->fcopy;

	if (f->operation == IC_FCOPY_CANCEL) {
		finish(f, f->result, f->status);
	} else if (status != IC_STATUS_OK && f->operation == IC_FCOPY_START) {
		finish(f, VSP_IC_REFUSED, status); /* there is nothing to remove */
	} else if (status != IC_STATUS_OK) {
		cancel(f, VSP_IC_REFUSED, status);
	} else if (f->operation == IC_FCOPY_COMPLETE) {
		finish(f, VSP_IC_DONE, status);
	} else {
		advance(f);
	}
}

static void lost(struct ic_channel *ch, enum vsp_ic_result why)
{
	struct ic_fcopy *f = &ch->ic->fcopy;

	if (!f->active) {
		return;
	}
	if (why == VSP_IC_TIMEOUT && f->operation != IC_FCOPY_CANCEL) {
		cancel(f, why, 0);
	} else {
		finish(f, why, 0);
	}
}

/* Where a copy was under way, nobody goes on with it: the guest shall remove what it has. */
static void save(const struct ic_channel *ch, struct state_writer *w)
{
	state_put_u8(w, ch->ic->fcopy.active);
}

static bool restore(struct ic_channel *ch, struct state_reader *r)
{
	uint8_t active = state_get_u8(r);

	if (r->bad || active > 1) {
		return false;
	}
	ch->ic->fcopy.active = active != 0;
	cancel(&ch->ic->fcopy, VSP_IC_GONE, 0);
	return true;
}

const struct ic_component ic_fcopy_component = {
	.name = "file-copy",
	.type = IC_FCOPY_TYPE,
	.instance = IC_FCOPY_INSTANCE,
	.message_type = IC_MESSAGE_FCOPY,
	.versions = {{1, 1}},
	.version_count = 1,
	.timeout_ns = 30 * IC_SECOND_NS,
	.due_ns = due_ns,
	.build = build,
	.answered = answered,
	.lost = lost,
	.save = save,
	.restore = restore,
};

/* ---- Asking ---- */

static bool put_name(const char *text, uint8_t *ret)
{
	size_t bytes;

	return text[0] != '\0' &&
	       utf16_encode(text, UTF16_LE, ret, IC_FCOPY_NAME_BYTES - 2, &bytes) &&
	       bytes <= IC_FCOPY_NAME_BYTES - 2;
}

int vsp_ic_copy(struct vsp_ic *ic, const struct vsp_ic_copy *copy, struct vsp_ic_done done)
{
	struct ic_fcopy *f = &ic->fcopy;
	struct ic_fcopy_start start = {
		.header.operation = IC_FCOPY_START,
		.flags = (copy->overwrite ? IC_FCOPY_OVERWRITE : 0) |
			 (copy->create_path ? IC_FCOPY_CREATE_PATH : 0),
		.bytes = copy->bytes,
	};

	if (!ic_channel_ready(&ic->channels[VSP_IC_FCOPY])) {
		return -ENODEV;
	}
	if (f->active) {
		return -EBUSY;
	}
	if (!put_name(copy->name, start.name) || !put_name(copy->folder, start.path)) {
		return -EINVAL;
	}
	*f = (struct ic_fcopy){.active = true,
			       .operation = IC_FCOPY_START,
			       .copy = *copy,
			       .done = done,
			       .start = start};
	ic_wake(ic);
	return 0;
}

uint64_t vsp_ic_copied(const struct vsp_ic *ic)
{
	return ic->fcopy.offset;
}
