/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests and fuzz targets: a controller with disks in memory on a real bus, and a guest that talks to it as Linux's storvsc does. All
 * of it on one thread.
 */
#ifndef STOR_RIG_H
#define STOR_RIG_H

#include "controller.h"
#include "testing.h"
#include "vmbus/testing/owner.h"

#define RIG_CHANNELS 5u
#define RIG_DATA_PAGES 300u
#define RIG_RING_PAGES 33u /* as Linux: 128 KiB and the control page */

struct rig_config {
	bool ide;
	uint8_t ide_path, ide_target;
	uint32_t subchannels;
	uint32_t ring_pages; /* 0: RIG_RING_PAGES */
	struct fake_guest_config guest;
};

struct rig_disk {
	struct block_device *block; /* a delay filter on a disk in memory */
	struct scsi_unit *unit;
};

struct rig {
	struct fake_owner owner; /* first */
	struct rig_config config;
	struct stor_config stor_config;
	struct fake_guest *g;
	struct stor *s;
	struct io_context io;
	struct testing_clock clock;
	struct rig_disk disks[STOR_LUNS];
	struct guid instance;
	struct fake_guest_channel channels[RIG_CHANNELS];
	bool open[RIG_CHANNELS];
	uint64_t data_pfns[RIG_DATA_PAGES]; /* what SRBs read and write */
	unsigned gone;
	struct scsi_unit *gone_unit;
};

/* Guest, bus, controller; not connected. Stops the program when there is no memory. */
struct rig *rig_create(const struct rig_config *config);
/* Finishes what is in flight. */
void rig_destroy(struct rig *r);

/* A disk of @bytes with 512-byte sectors; completions come @delay_ns after the request. Attached. */
void rig_add_disk(struct rig *r, unsigned lun, uint64_t bytes, uint64_t delay_ns);
/* The same on a device of the test's. */
void rig_add_block(struct rig *r, unsigned lun, struct block_device *block, uint64_t delay_ns);
/* An empty DVD drive. */
void rig_add_dvd(struct rig *r, unsigned lun);
/* Takes it away; r->gone counts when it is free. */
void rig_detach(struct rig *r, unsigned lun);
/* Destroys a disk that is not attached. */
void rig_free_disk(struct rig *r, unsigned lun);

/* Bus, I/O and controller work until none has anything to do. */
void rig_run(struct rig *r);
/* Lets time pass, and runs. */
void rig_pass(struct rig *r, uint64_t ns);

/* Bus and controller saved; rests when the controller is idle. The number of bytes; above capacity: they did not fit. */
size_t rig_save(struct rig *r, void *buf, size_t capacity);
/* The process ends, and another one begins: new bus, new controller, new units on the same disks, in the same guest. */
void rig_replace(struct rig *r);
bool rig_restore(struct rig *r, const void *buf, size_t bytes);

/* Connects, and opens the primary channel. */
bool rig_connect(struct rig *r, uint32_t vmbus_version);
bool rig_open(struct rig *r, unsigned index);
bool rig_close(struct rig *r, unsigned index);
/* The whole start as Linux does it, with @version alone. */
bool rig_start(struct rig *r, uint16_t version);
/* Connects with the newest bus version and starts with WIN10. */
bool rig_up(struct rig *r);
/* CREATE_SUB_CHANNELS and opening them. */
bool rig_create_subchannels(struct rig *r, uint16_t count);

/*
 * A packet that is not about I/O: @bytes of @packet; then it holds the answer. Returns the NTSTATUS; UINT32_MAX: no answer.
 */
uint32_t rig_ask(struct rig *r, unsigned channel, struct vstor_packet *packet, size_t bytes);
uint32_t rig_operation(struct rig *r, unsigned channel, uint32_t operation);

/* An SRB. Data lies in rig_data from @offset on. */
struct rig_srb {
	uint8_t path, target, lun;
	uint8_t cdb[16];
	uint8_t cdb_bytes; /* 0: 16 */
	enum vstor_direction direction;
	uint32_t bytes;
	uint32_t offset; /* of the data, in the pages */
};
void rig_packet(const struct rig_srb *srb, struct vstor_packet *ret);
/* False: the ring is full. */
bool rig_send(struct rig *r, unsigned channel, uint64_t transaction, const struct rig_srb *srb);
/* The next packet from the host: its payload; returns its size, 0: none. @ret_type: VMBUS_PACKET_*. */
size_t rig_receive(struct rig *r, unsigned channel, uint64_t *ret_transaction, uint16_t *ret_type,
		   struct vstor_packet *ret);
/* Sends, runs, receives: the SRB status; 0: no answer. @ret may be NULL. */
uint8_t rig_execute(struct rig *r, unsigned channel, const struct rig_srb *srb,
		    struct vstor_packet *ret);

/* SRBs that tests often need. */
struct rig_srb rig_read(unsigned lun, uint32_t sector, uint32_t sectors);
struct rig_srb rig_write(unsigned lun, uint32_t sector, uint32_t sectors);
struct rig_srb rig_inquiry(unsigned lun);
struct rig_srb rig_report_luns(void);
struct rig_srb rig_test_unit_ready(unsigned lun);

/* Copies between the data pages and memory. */
void rig_data_out(struct rig *r, size_t offset, void *to, size_t bytes);
void rig_data_in(struct rig *r, size_t offset, const void *from, size_t bytes);
void rig_data_fill(struct rig *r, uint8_t value);

#endif
