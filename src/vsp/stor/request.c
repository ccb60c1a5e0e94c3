// SPDX-License-Identifier: Apache-2.0
/* EXECUTE_SRB: from the packet to a command on guest memory, and back to an answer. */
#include "controller.h"

#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

/* ---- Answers ---- */

static void answer(struct stor_request *r, uint8_t srb_status)
{
	struct vstor_srb *srb = &r->answer.srb;

	srb->bytes = (uint16_t)(r->answer_bytes - sizeof(struct vstor_header));
	srb->srb_status = srb_status;
	srb->cdb_bytes = VSTOR_CDB_BYTES;
	srb->sense_bytes = VSTOR_SENSE_BYTES;
	stor_answer_status(r, vstor_nt_status(srb_status));
}

void stor_srb_fail(struct stor_request *r, uint8_t srb_status)
{
	answer(r, srb_status);
}

void stor_srb_complete(struct stor_request *r)
{
	const struct scsi_command *c = &r->command;
	struct vstor_srb *srb = &r->answer.srb;
	uint8_t srb_status = vstor_srb_status(c->status);

	srb->scsi_status = c->status;
	srb->data_bytes = (uint32_t)min_u64(c->transferred, c->data_bytes);
	if (c->status == SCSI_CHECK_CONDITION && c->sense_bytes != 0) {
		memcpy(srb->sense, c->sense, min_u64(c->sense_bytes, sizeof(c->sense)));
		srb_status |= SRB_STATUS_AUTOSENSE_VALID;
	}
	answer(r, srb_status);
}

/* ---- In a unit ---- */

static void command_begin(struct stor_request *r, struct stor_slot *slot)
{
	struct stor *s = r->channel->stor;

	r->slot = slot;
	r->resets = 0;
	slot->commands++;
	s->command_count++;
	r->list_next = s->commands;
	r->list_link = &s->commands;
	if (s->commands != NULL) {
		s->commands->list_link = &r->list_next;
	}
	s->commands = r;
}

static void command_end(struct stor_request *r)
{
	struct stor *s = r->channel->stor;

	CHECK(r->slot->commands > 0 && s->command_count > 0);
	*r->list_link = r->list_next;
	if (r->list_next != NULL) {
		r->list_next->list_link = r->list_link;
	}
	s->command_count--;
	r->slot->commands--;
	s->gone_due |= r->slot->leaving && r->slot->commands == 0;
}

/* A failed command may have written anywhere. */
static void touch(struct stor_request *r)
{
	const struct scsi_command *c = &r->command;
	const struct vmbus_packet p = {
		.type = VMBUS_PACKET_DATA_USING_GPA_DIRECT,
		.range_count = r->range_count,
		.ranges = r->ranges,
		.ranges_bytes = r->ranges_bytes,
	};
	size_t bytes =
		c->status == SCSI_GOOD ? min_u64(c->transferred, c->data_bytes) : c->data_bytes;

	if (c->direction == SCSI_DATA_IN && bytes != 0) {
		vmbus_ranges_touch(r->channel->vmbus, &p, bytes);
	}
}

/* The resets that waited for it answer after it. */
static void command_done(struct scsi_command *c)
{
	struct stor_request *r = c->ctx;
	struct stor *s = r->channel->stor;
	uint32_t resets = r->resets;

	touch(r);
	command_end(r);
	stor_srb_complete(r);
	stor_reset_progress(s, resets);
}

/* ---- From the packet ---- */

static bool srb_valid(struct stor_request *r, const struct vstor_packet *packet, size_t bytes)
{
	struct stor *s = r->channel->stor;
	const struct vstor_srb *srb = &packet->srb;
	size_t want =
		s->version >= VSTOR_VERSION_WIN8 ? VSTOR_PACKET_BYTES : VSTOR_PACKET_BYTES_WIN7;

	if (bytes < want) {
		stor_report(s, VIOLATION_PACKET_SHORT,
			    "channel %u: EXECUTE_SRB in %zu bytes, expected %zu for version 0x%x",
			    r->channel->index, bytes, want, s->version);
		return false;
	}
	if (srb->cdb_bytes == 0 || srb->cdb_bytes > VSTOR_CDB_BYTES ||
	    srb->direction > VSTOR_DATA_UNKNOWN) {
		stor_report(s, VIOLATION_SRB,
			    "channel %u: SRB with a CDB of %u bytes and direction %u, expected 1 "
			    "to %u and 0 to 2",
			    r->channel->index, srb->cdb_bytes, srb->direction, VSTOR_CDB_BYTES);
		return false;
	}
	if (srb->data_bytes > STOR_MAX_TRANSFER_BYTES) {
		stor_report(s, VIOLATION_DATA_LENGTH,
			    "channel %u: SRB for %u bytes, expected at most %u", r->channel->index,
			    srb->data_bytes, STOR_MAX_TRANSFER_BYTES);
		return false;
	}
	return true;
}

/* A buffer of unknown direction may be written: that is what it takes to be either. */
static enum scsi_direction direction(const struct vstor_srb *srb)
{
	if (srb->data_bytes == 0) {
		return SCSI_DATA_NONE;
	}
	return srb->direction == VSTOR_DATA_WRITE ? SCSI_DATA_OUT : SCSI_DATA_IN;
}

static void set_command(struct stor_request *r, const struct vstor_srb *srb)
{
	r->command = (struct scsi_command){
		.cdb_bytes = srb->cdb_bytes,
		.direction = direction(srb),
		.data_bytes = srb->data_bytes,
		.initiator = r->channel->stor->initiator,
		.done = command_done,
		.ctx = r,
	};
	memcpy(r->command.cdb, srb->cdb, srb->cdb_bytes);
}

/* The ranges are needed again when the unit has written. */
static bool keep_ranges(struct stor_request *r, const struct vmbus_packet *p)
{
	if (p->ranges_bytes > sizeof(r->ranges)) {
		stor_report(r->channel->stor, VIOLATION_RANGES,
			    "channel %u: %zu bytes of page ranges, expected at most %zu",
			    r->channel->index, p->ranges_bytes, sizeof(r->ranges));
		return false;
	}
	memcpy(r->ranges, p->ranges, p->ranges_bytes);
	r->ranges_bytes = (uint32_t)p->ranges_bytes;
	r->range_count = p->range_count;
	return true;
}

static bool map_data(struct stor_request *r, const struct vmbus_packet *p)
{
	struct scsi_command *c = &r->command;
	bool in = c->direction == SCSI_DATA_IN;
	int n;

	if (c->direction == SCSI_DATA_NONE) {
		return true;
	}
	if (p->type != VMBUS_PACKET_DATA_USING_GPA_DIRECT) {
		stor_report(r->channel->stor, VIOLATION_RANGES,
			    "channel %u: SRB for %zu bytes of data in a packet without pages",
			    r->channel->index, c->data_bytes);
		return false;
	}
	if (in && !keep_ranges(r, p)) {
		return false;
	}
	n = vmbus_ranges_map(r->channel->vmbus, p, c->data_bytes, in ? GMEM_W : GMEM_R, r->vec,
			     STOR_VECS);
	if (n < 0) {
		stor_report(r->channel->stor, VIOLATION_MEMORY,
			    "channel %u: %zu bytes of data in %u page ranges cannot be %s: %s",
			    r->channel->index, c->data_bytes, p->range_count,
			    in ? "written" : "read", strerror(-n));
		return false;
	}
	c->vec = r->vec;
	c->vec_count = (unsigned)n;
	return true;
}

/* The answer says whose it is. */
static void set_answer(struct stor_request *r, const struct vstor_srb *srb)
{
	r->answer.srb.port = srb->port;
	r->answer.srb.path = srb->path;
	r->answer.srb.target = srb->target;
	r->answer.srb.lun = srb->lun;
	r->answer.srb.direction = srb->direction;
}

void stor_execute(struct stor_request *r, const struct vmbus_packet *p,
		  const struct vstor_packet *packet)
{
	struct stor *s = r->channel->stor;
	const struct vstor_srb *srb = &packet->srb;
	unsigned lun;

	if (s->state != STOR_READY) {
		stor_report(s, VIOLATION_ORDER,
			    "channel %u: EXECUTE_SRB before the start is done (step %u)",
			    r->channel->index, s->state);
		stor_answer_status(r, STATUS_INVALID_DEVICE_STATE);
		return;
	}
	set_answer(r, srb);
	if (!srb_valid(r, packet, p->bytes)) {
		stor_srb_fail(r, SRB_STATUS_INVALID_REQUEST);
		return;
	}
	set_command(r, srb);
	if (!map_data(r, p)) {
		stor_srb_fail(r, SRB_STATUS_INVALID_REQUEST);
		return;
	}
	lun = stor_route(s, srb);
	if (stor_route_local(r, srb, lun)) {
		return;
	}
	command_begin(r, &s->slots[lun]);
	scsi_submit(s->slots[lun].unit, &r->command);
}
