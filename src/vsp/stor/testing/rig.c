// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#include "lib/be.h"
#include "lib/bits.h"
#include "lib/check.h"

/* ---- The owner of the controller ---- */

static struct guid instance_of(const struct rig_config *c)
{
	if (c->ide) {
		return (struct guid)VSTOR_IDE_INSTANCE(c->ide_path, c->ide_target);
	}
	return (struct guid)GUID(0x11223344, 0x5566, 0x7788, 1, 2, 3, 4, 5, 6, 7, 8);
}

struct rig *rig_create(const struct rig_config *config)
{
	static const struct rig_config none;
	struct rig *r = calloc(1, sizeof(*r));
	int err;

	CHECK(r != NULL);
	r->config = config != NULL ? *config : none;
	r->instance = instance_of(&r->config);
	r->g = fake_guest_create(&r->config.guest);
	r->owner.g = r->g;
	io_context_init(&r->io, NULL);
	testing_clock_init(&r->clock, 1000);
	r->stor_config = (struct stor_config){
		.instance = r->instance,
		.ide = r->config.ide,
		.ide_path = r->config.ide_path,
		.ide_target = r->config.ide_target,
		.subchannels_max = r->config.subchannels,
		.context = &r->io,
		.name = "scsi0",
		.lock = r,
		.lock_ops = {fake_owner_lock, fake_owner_unlock},
		.wake = fake_owner_wake,
		.log = fake_owner_log,
		.ctx = r,
	};
	err = stor_create(r->g->bus, &r->stor_config, &r->s);
	CHECK(err == 0);
	fake_guest_alloc(r->g, RIG_DATA_PAGES, r->data_pfns);
	return r;
}

void rig_destroy(struct rig *r)
{
	for (unsigned i = 0; i < 100 && r->s->command_count != 0; i++) {
		rig_pass(r, UINT64_C(1000000000000));
	}
	vmbus_destroy(r->g->bus);
	r->g->bus = NULL;
	stor_destroy(r->s);
	for (unsigned i = 0; i < RIG_CHANNELS; i++) {
		if (r->channels[i].pfns != NULL) {
			fake_guest_abandon(&r->channels[i]);
		}
	}
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		rig_free_disk(r, lun);
	}
	fake_guest_destroy(r->g);
	free(r);
}

/* ---- Disks ---- */

void rig_add_block(struct rig *r, unsigned lun, struct block_device *block, uint64_t delay_ns)
{
	const struct scsi_unit_config config = {.max_transfer_bytes = STOR_MAX_TRANSFER_BYTES};
	struct rig_disk *d = &r->disks[lun];
	int err = block_delay_create(block, delay_ns, &r->clock.clock, &d->block);

	CHECK(err == 0);
	err = scsi_disk_create(d->block, &config, &d->unit);
	CHECK(err == 0);
	err = stor_attach(r->s, lun, d->unit);
	CHECK(err == 0);
}

void rig_add_disk(struct rig *r, unsigned lun, uint64_t bytes, uint64_t delay_ns)
{
	rig_add_block(r, lun, testing_disk(&r->io, bytes, 512, false), delay_ns);
}

void rig_add_dvd(struct rig *r, unsigned lun)
{
	const struct scsi_unit_config config = {.max_transfer_bytes = STOR_MAX_TRANSFER_BYTES};
	int err = scsi_dvd_create(NULL, &r->io, &config, &r->disks[lun].unit);

	CHECK(err == 0);
	err = stor_attach(r->s, lun, r->disks[lun].unit);
	CHECK(err == 0);
}

static void gone(void *ctx, struct scsi_unit *unit)
{
	struct rig *r = ctx;

	r->gone++;
	r->gone_unit = unit;
}

void rig_detach(struct rig *r, unsigned lun)
{
	stor_detach(r->s, lun, gone, r);
}

void rig_free_disk(struct rig *r, unsigned lun)
{
	struct rig_disk *d = &r->disks[lun];

	if (d->unit != NULL) {
		scsi_unit_destroy(d->unit);
	}
	if (d->block != NULL) {
		block_destroy(d->block);
	}
	*d = (struct rig_disk){0};
}

/* ---- Time ---- */

static void poll_filters(struct rig *r)
{
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (r->disks[lun].block != NULL) {
			block_filter_poll(r->disks[lun].block);
		}
	}
}

/* A request passes through a few layers, one a turn: at rest when several turns brought nothing. */
void rig_run(struct rig *r)
{
	unsigned quiet = 0;

	for (unsigned i = 0; i < 100000 && quiet < 4; i++) {
		unsigned wakes = r->owner.wakes;
		bool busy;

		fake_guest_run(r->g);
		poll_filters(r);
		busy = io_poll(&r->io, false, 0) != 0;
		busy |= stor_poll(r->s);
		quiet = busy || wakes != r->owner.wakes ? 0 : quiet + 1;
	}
	CHECK(quiet == 4);
}

void rig_pass(struct rig *r, uint64_t ns)
{
	r->clock.now_ns += ns;
	rig_run(r);
}

/* ---- Saved state ---- */

size_t rig_save(struct rig *r, void *buf, size_t capacity)
{
	struct state_writer w;

	state_writer_init(&w, buf, capacity);
	vmbus_save(r->g->bus, &w);
	stor_save(r->s, &w);
	return w.used;
}

static void replace_unit(struct rig *r, unsigned lun)
{
	const struct scsi_unit_config config = {.max_transfer_bytes = STOR_MAX_TRANSFER_BYTES};
	struct rig_disk *d = &r->disks[lun];
	int err;

	scsi_unit_destroy(d->unit);
	err = d->block != NULL ? scsi_disk_create(d->block, &config, &d->unit)
			       : scsi_dvd_create(NULL, &r->io, &config, &d->unit);
	CHECK(err == 0);
	err = stor_attach(r->s, lun, d->unit);
	CHECK(err == 0);
}

void rig_replace(struct rig *r)
{
	int err;

	vmbus_destroy(r->g->bus);
	stor_destroy(r->s);
	fake_guest_new_bus(r->g, &r->config.guest.bus);
	err = stor_create(r->g->bus, &r->stor_config, &r->s);
	CHECK(err == 0);
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (r->disks[lun].unit != NULL) {
			replace_unit(r, lun);
		}
	}
}

bool rig_restore(struct rig *r, const void *buf, size_t bytes)
{
	struct state_reader reader;

	state_reader_init(&reader, buf, bytes);
	return vmbus_restore(r->g->bus, &reader) && stor_restore(r->s, &reader);
}

/* ---- Channels ---- */

bool rig_open(struct rig *r, unsigned index)
{
	uint32_t pages = r->config.ring_pages != 0 ? r->config.ring_pages : RIG_RING_PAGES;

	if (!fake_guest_open_index(r->g, &r->instance, index, pages, &r->channels[index])) {
		return false;
	}
	r->open[index] = true;
	rig_run(r);
	return true;
}

/* The bus answers the teardown when our side let go. */
bool rig_close(struct rig *r, unsigned index)
{
	r->open[index] = false;
	fake_guest_begin_close(&r->channels[index]);
	rig_run(r);
	return fake_guest_end_close(&r->channels[index]);
}

bool rig_connect(struct rig *r, uint32_t vmbus_version)
{
	return fake_guest_arrive(r->g, vmbus_version) && rig_open(r, 0);
}

/* ---- Packets ---- */

size_t rig_receive(struct rig *r, unsigned channel, uint64_t *ret_transaction, uint16_t *ret_type,
		   struct vstor_packet *ret)
{
	uint64_t buf[32];
	struct vmbus_packet_descriptor d;
	const void *payload;
	size_t bytes;

	if (fake_guest_read(&r->channels[channel], buf, sizeof(buf)) == 0) {
		return 0;
	}
	memcpy(&d, buf, sizeof(d));
	*ret_transaction = d.transaction;
	*ret_type = d.type;
	payload = fake_guest_payload(buf, &bytes);
	CHECK(bytes != 0 && bytes <= sizeof(*ret));
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, payload, bytes);
	return bytes;
}

uint32_t rig_ask(struct rig *r, unsigned channel, struct vstor_packet *packet, size_t bytes)
{
	const uint64_t id = UINT64_C(0xfffffffffffffffd);
	uint64_t transaction;
	uint16_t type;

	if (!fake_guest_send(&r->channels[channel], id, packet, bytes)) {
		return UINT32_MAX;
	}
	rig_run(r);
	while (rig_receive(r, channel, &transaction, &type, packet) != 0) {
		if (transaction == id && type == VMBUS_PACKET_COMPLETION &&
		    packet->header.operation == VSTOR_OPERATION_COMPLETE_IO) {
			return packet->header.status;
		}
	}
	return UINT32_MAX;
}

uint32_t rig_operation(struct rig *r, unsigned channel, uint32_t operation)
{
	struct vstor_packet packet = {.header = {.operation = operation, .flags = 1}};

	return rig_ask(r, channel, &packet, sizeof(packet));
}

bool rig_start(struct rig *r, uint16_t version)
{
	struct vstor_packet packet = {
		.header = {.operation = VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, .flags = 1},
		.version.version = version,
	};

	return rig_operation(r, 0, VSTOR_OPERATION_BEGIN_INITIALIZATION) == 0 &&
	       rig_ask(r, 0, &packet, sizeof(packet)) == 0 &&
	       rig_operation(r, 0, VSTOR_OPERATION_QUERY_PROPERTIES) == 0 &&
	       rig_operation(r, 0, VSTOR_OPERATION_END_INITIALIZATION) == 0;
}

bool rig_up(struct rig *r)
{
	return rig_connect(r, VERSION_WIN10_V5_3) && rig_start(r, VSTOR_VERSION_WIN10);
}

bool rig_create_subchannels(struct rig *r, uint16_t count)
{
	struct vstor_packet packet = {
		.header = {.operation = VSTOR_OPERATION_CREATE_SUB_CHANNELS, .flags = 1},
		.subchannels = count,
	};

	if (rig_ask(r, 0, &packet, sizeof(packet)) != 0) {
		return false;
	}
	for (unsigned i = 1; i <= count; i++) {
		if (!rig_open(r, i)) {
			return false;
		}
	}
	return true;
}

/* ---- SRBs ---- */

void rig_packet(const struct rig_srb *srb, struct vstor_packet *ret)
{
	*ret = (struct vstor_packet){
		.header = {.operation = VSTOR_OPERATION_EXECUTE_SRB, .flags = 1},
		.srb = {.bytes = VSTOR_SRB_BYTES,
			.path = srb->path,
			.target = srb->target,
			.lun = srb->lun,
			.cdb_bytes = srb->cdb_bytes != 0 ? srb->cdb_bytes : VSTOR_CDB_BYTES,
			.direction = (uint8_t)srb->direction,
			.data_bytes = srb->bytes,
			.queue_tag = 0xff,
			.queue_action = 0x20,
			.timeout_s = 60},
	};
	memcpy(ret->srb.cdb, srb->cdb, sizeof(srb->cdb));
}

bool rig_send(struct rig *r, unsigned channel, uint64_t transaction, const struct rig_srb *srb)
{
	struct vstor_packet packet;
	uint32_t first = srb->offset / STOR_PAGE_BYTES;

	rig_packet(srb, &packet);
	CHECK(srb->offset + srb->bytes <= RIG_DATA_PAGES * STOR_PAGE_BYTES);
	if (srb->bytes == 0) {
		return fake_guest_send(&r->channels[channel], transaction, &packet, sizeof(packet));
	}
	return fake_guest_send_gpa(&r->channels[channel], transaction, srb->bytes,
				   srb->offset % STOR_PAGE_BYTES, &r->data_pfns[first], &packet,
				   sizeof(packet));
}

uint8_t rig_execute(struct rig *r, unsigned channel, const struct rig_srb *srb,
		    struct vstor_packet *ret)
{
	const uint64_t id = 0x77;
	struct vstor_packet packet = {0};
	uint64_t transaction;
	uint16_t type;

	ret = ret != NULL ? ret : &packet;
	if (!rig_send(r, channel, id, srb)) {
		return 0;
	}
	rig_run(r);
	while (rig_receive(r, channel, &transaction, &type, ret) != 0) {
		if (transaction == id && type == VMBUS_PACKET_COMPLETION) {
			return ret->srb.srb_status;
		}
	}
	return 0;
}

static struct rig_srb transfer(uint8_t opcode, unsigned lun, uint32_t sector, uint32_t sectors)
{
	struct rig_srb srb = {.lun = (uint8_t)lun, .cdb = {opcode}, .cdb_bytes = 10};

	store_be32(srb.cdb + 2, sector);
	store_be16(srb.cdb + 7, (uint16_t)sectors);
	srb.bytes = sectors * 512;
	return srb;
}

struct rig_srb rig_read(unsigned lun, uint32_t sector, uint32_t sectors)
{
	struct rig_srb srb = transfer(0x28, lun, sector, sectors);

	srb.direction = VSTOR_DATA_READ;
	return srb;
}

struct rig_srb rig_write(unsigned lun, uint32_t sector, uint32_t sectors)
{
	return transfer(0x2a, lun, sector, sectors);
}

struct rig_srb rig_inquiry(unsigned lun)
{
	return (struct rig_srb){.lun = (uint8_t)lun,
				.cdb = {0x12, 0, 0, 0, 36},
				.cdb_bytes = 6,
				.direction = VSTOR_DATA_READ,
				.bytes = 36};
}

/* 511 LUNs and the header, as Linux asks. */
struct rig_srb rig_report_luns(void)
{
	return (struct rig_srb){.cdb = {0xa0, [8] = 0x10},
				.cdb_bytes = 12,
				.direction = VSTOR_DATA_READ,
				.bytes = 4096};
}

struct rig_srb rig_test_unit_ready(unsigned lun)
{
	return (struct rig_srb){
		.lun = (uint8_t)lun, .cdb = {0}, .cdb_bytes = 6, .direction = VSTOR_DATA_UNKNOWN};
}

/* ---- Data ---- */

void rig_data_out(struct rig *r, size_t offset, void *to, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		size_t in_page = (offset + done) % STOR_PAGE_BYTES;
		size_t n = min_u64(bytes - done, STOR_PAGE_BYTES - in_page);
		uint64_t pfn = r->data_pfns[(offset + done) / STOR_PAGE_BYTES];

		memcpy((uint8_t *)to + done, (uint8_t *)fake_guest_page(r->g, pfn) + in_page, n);
		done += n;
	}
}

void rig_data_in(struct rig *r, size_t offset, const void *from, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		size_t in_page = (offset + done) % STOR_PAGE_BYTES;
		size_t n = min_u64(bytes - done, STOR_PAGE_BYTES - in_page);
		uint64_t pfn = r->data_pfns[(offset + done) / STOR_PAGE_BYTES];

		memcpy((uint8_t *)fake_guest_page(r->g, pfn) + in_page,
		       (const uint8_t *)from + done, n);
		done += n;
	}
}

void rig_data_fill(struct rig *r, uint8_t value)
{
	for (unsigned i = 0; i < RIG_DATA_PAGES; i++) {
		memset(fake_guest_page(r->g, r->data_pfns[i]), value, STOR_PAGE_BYTES);
	}
}
