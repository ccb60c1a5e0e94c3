/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host side of VMBus: one bus per partition, devices that are offered on it, their channels and rings.
 *
 * Threads. The bus belongs to one thread (the worker's loop): everything here is called on it unless marked [any] or [channel]. A
 * channel's ring belongs to the device's own thread from open to close: [channel] functions are called by that thread only. The
 * hand-over is: open (bus thread) gives the channel to the device; after close (bus thread) the device lets its thread finish, and then
 * calls vmbus_channel_closed [any] exactly once per close; only then does the bus forget the ring and answer what waits for it.
 *
 * Guests are hostile: a channel that breaks the ring protocol is reported once and stops working (VMBUS_RING_BROKEN for ever) until the
 * guest closes and opens it again; the VM lives on.
 *
 * Spec: the layouts are in vmbus/protocol.h.
 */
#ifndef VMBUS_VMBUS_H
#define VMBUS_VMBUS_H

#include "lib/guid.h"
#include "lib/iovec.h"
#include "lib/state.h"
#include "vmbus/transport.h"

struct vmbus;
struct vmbus_device;
struct vmbus_channel;

#define VMBUS_RELIDS 2048u	   /* relid 0 is never used */
#define VMBUS_USER_DATA_BYTES 120u /* of an offer, and of an open */
#define VMBUS_PACKET_MAX                                                                           \
	(256u << 10) /* largest packet a reader has to expect when it says nothing else */

struct vmbus_config {
	uint32_t version_max; /* as VERSION_* in protocol.h; 0: the newest we speak */
	bool monitor; /* allocate monitor ids to channels of guests that use them (see README) */
};

/* @transport is copied. -ENOMEM. */
int vmbus_create(const struct vmbus_transport *transport, const struct vmbus_config *config,
		 struct vmbus **ret);
/* All VPs and device threads have stopped. Devices still offered are removed without a word to the guest. */
void vmbus_destroy(struct vmbus *bus);

/* A message (type 1) that the guest posted to connection 1 or 4, @bytes of it at most 240. */
void vmbus_message(struct vmbus *bus, uint32_t connection, const void *message, size_t bytes);
/* The guest signalled @connection. [any], lock-free: calls the device's signal. */
void vmbus_event(struct vmbus *bus, uint32_t connection, uint16_t flag);
/*
 * Sends what waits, finishes closes, looks at monitor pages. Returns when it wants to be called again (now_ns scale);
 * UINT64_MAX: not before transport->wake.
 */
uint64_t vmbus_poll(struct vmbus *bus);
/* The partition was reset: the guest knows nothing any more. Devices are closed as at UNLOAD, silently; completes like that. */
void vmbus_reset(struct vmbus *bus);
/* True when no channel is open or closing: nothing touches guest memory. */
bool vmbus_quiet(const struct vmbus *bus);
/*
 * False: a device has to answer first (vmbus_channel_closed) before the bus can be saved. When true it stays so until the guest's next
 * message or vmbus_device_rescind.
 */
bool vmbus_settled(struct vmbus *bus);
/* Negotiated version, 0: not connected. */
uint32_t vmbus_version(const struct vmbus *bus);

/* ---- Devices ---- */

struct vmbus_device_ops {
	/*
	 * The guest opens a channel: index 0 the device, above its subchannels. @user: 120 bytes from the guest. 0: the channel is the
	 * device's; else an NTSTATUS for the guest. The rings are ready, and may hold packets already.
	 */
	uint32_t (*open)(void *ctx, struct vmbus_channel *ch, const uint8_t *user);
	/*
	 * The channel closes (guest's request, rescind, unload, reset): stop using its ring and guest memory, then
	 * vmbus_channel_closed. Subchannels are closed before index 0.
	 */
	void (*close)(void *ctx, struct vmbus_channel *ch);
	/*
	 * The guest put something into the ring, or made room. [any]: wake the channel's thread. One that is under way may end a little
	 * after the channel was closed, never after the device is gone.
	 */
	void (*signal)(void *ctx, struct vmbus_channel *ch);
	/* The guest changed the VP that takes interrupts; may be NULL. */
	void (*target_changed)(void *ctx, struct vmbus_channel *ch, uint32_t vp);
};

struct vmbus_offer {
	struct guid type;
	struct guid instance; /* unique on the bus and stable over restarts of the VM */
	uint16_t flags;	      /* VMBUS_OFFER_* in protocol.h */
	uint16_t mmio_megabytes;
	uint8_t user[VMBUS_USER_DATA_BYTES];
	const char *name; /* for messages; copied */
};

/*
 * Offers a device (at once to a connected guest). @ctx goes to the ops. The device's memory must stay until vmbus_destroy, or until
 * vmbus_rescind and the end of all VPs' dispatches. -EEXIST: type and instance are there already; -ENOSPC: no relid.
 */
int vmbus_device_offer(struct vmbus *bus, const struct vmbus_offer *offer,
		       const struct vmbus_device_ops *ops, void *ctx, struct vmbus_device **ret);
/* Takes the device away from the guest; @gone (may be NULL) is called when the guest let go and nothing is used any more. */
void vmbus_device_rescind(struct vmbus_device *dev, void (*gone)(void *ctx), void *ctx);
/*
 * Offers subchannels 1..@count (the driver asked for them). They go when channel 0 closes. -EBUSY: there are some already; -ENOSPC.
 * -ENODEV: channel 0 is not open any more; -ENOTSUP: the guest is older than WIN8.
 * Bus thread: a device's own thread asks with vmbus_request_subchannels [channel], which answers later through @done on the bus thread; a
 * channel's next request comes after that answer, never before (a guest that asks twice is the device's to refuse).
 */
int vmbus_device_offer_subchannels(struct vmbus_device *dev, uint32_t count);
void vmbus_request_subchannels(struct vmbus_channel *ch, uint32_t count,
			       void (*done)(void *ctx, int result), void *ctx);

uint32_t vmbus_channel_index(const struct vmbus_channel *ch);	  /* [any] */
uint32_t vmbus_channel_relid(const struct vmbus_channel *ch);	  /* [any] */
uint32_t vmbus_channel_target_vp(const struct vmbus_channel *ch); /* [any] */
/* The device's pointer on a channel. [any], the device's to synchronize. */
void vmbus_channel_set_context(struct vmbus_channel *ch, void *context);
void *vmbus_channel_context(const struct vmbus_channel *ch);
/* The answer to close. [any] */
void vmbus_channel_closed(struct vmbus_channel *ch);

/* ---- Rings [channel] ---- */

enum vmbus_ring_status {
	VMBUS_RING_OK,
	VMBUS_RING_EMPTY, /* read: nothing there; the mask is off and a signal will come */
	VMBUS_RING_FULL, /* write: no room; pending send size is set and a signal will come when there is */
	VMBUS_RING_TOO_BIG, /* read: larger than the buffer, the packet was dropped; write: larger than the ring */
	VMBUS_RING_BROKEN, /* the guest broke the protocol */
};

/* A packet, copied out of the ring once: all of it is in the reader's buffer. */
struct vmbus_packet {
	uint16_t type; /* VMBUS_PACKET_* in protocol.h */
	bool wants_completion;
	uint64_t transaction;
	uint32_t
		range_count; /* GPA-direct and transfer-page packets: ranges (each validated to lie within the packet) */
	const uint8_t *
		ranges; /* {u32 bytes, u32 offset, u64 PFN[]} each (GPA-direct); {u32, u32} each (transfer pages) */
	size_t ranges_bytes;
	uint16_t pageset;    /* transfer pages */
	const uint8_t *data; /* payload */
	size_t bytes;
};

/*
 * Takes the next packet. @buf is the reader's, 8-byte aligned; what *ret points to lies in it. A reader goes on until
 * VMBUS_RING_EMPTY; while it does, interrupts of this ring are masked. Read space is given back to the guest in batches and at EMPTY.
 */
enum vmbus_ring_status vmbus_ring_read(struct vmbus_channel *ch, void *buf, size_t capacity,
				       struct vmbus_packet *ret);
/* Writes a packet: payload after the 16-byte descriptor. The guest sees it, and is signalled, at vmbus_ring_flush. */
enum vmbus_ring_status vmbus_ring_write(struct vmbus_channel *ch, uint16_t type,
					bool wants_completion, uint64_t transaction,
					const struct io_vec *payload, unsigned count);
/* A transfer-page packet (type 7) into @pageset: @ranges {bytes, offset}. */
struct vmbus_xfer_range {
	uint32_t bytes;
	uint32_t offset;
};
enum vmbus_ring_status vmbus_ring_write_xfer(struct vmbus_channel *ch, uint64_t transaction,
					     uint16_t pageset,
					     const struct vmbus_xfer_range *ranges,
					     uint32_t range_count, const void *payload,
					     size_t bytes);
/* Shows the guest what was written since, and interrupts it if it should hear of it. Once per batch, and before a thread sleeps. */
void vmbus_ring_flush(struct vmbus_channel *ch);
/*
 * Before a device is removed: from now on the guest finds no room in its ring; what it was just writing is still read. To be called again after
 * packets were read, and now and then, until it stays true: the guest has sent nothing that was not read, and has read all that it was sent. Linux does not
 * look into a ring again once it knows of the removal, but waits for answers to what it sent before.
 */
bool vmbus_ring_seal(struct vmbus_channel *ch);
/* Bytes of payload that would fit now. */
size_t vmbus_ring_room(struct vmbus_channel *ch);

/* ---- Guest memory behind packets and GPADLs [channel] ---- */

/* Each of the @count ranges of a GPA-direct packet, as they lie in @bytes bytes at @ranges, is there with all of its page frames. */
bool vmbus_ranges_valid(const uint8_t *ranges, size_t bytes, uint32_t count);
/*
 * Turns @ranges of a GPA-direct packet into host vectors for @need bytes (merging neighbours), at most @max of them, with @rights (GMEM_R or
 * GMEM_W). Returns the number of vectors; -EFAULT: a page is not there or lacks the right; -EINVAL: the ranges are shorter
 * than @need or malformed; -E2BIG: more than @max.
 */
int vmbus_ranges_map(struct vmbus_channel *ch, const struct vmbus_packet *p, size_t need,
		     uint32_t rights, struct io_vec *vec, unsigned max);
/* The same ranges were written by the host: dirty log and code watch. @bytes from the start. */
void vmbus_ranges_touch(struct vmbus_channel *ch, const struct vmbus_packet *p, size_t bytes);

/* A GPADL of this channel (receive and send buffers): copies within it. False: no such GPADL, or outside it. [any] while it is open. */
bool vmbus_gpadl_read(struct vmbus_channel *ch, uint32_t gpadl, size_t offset, void *buf,
		      size_t bytes);
bool vmbus_gpadl_write(struct vmbus_channel *ch, uint32_t gpadl, size_t offset, const void *buf,
		       size_t bytes);
/* The pieces of @vec one behind the other; those before a piece that cannot be written are written. */
bool vmbus_gpadl_write_vec(struct vmbus_channel *ch, uint32_t gpadl, size_t offset,
			   const struct io_vec *vec, unsigned count);
/*
 * Turns @bytes at @offset into host vectors with @rights, at most @max of them (0 bytes: none). Returns their number; -EINVAL: no such GPADL, or
 * outside it; -EFAULT: a page is not there or lacks the right; -E2BIG. The vectors are guest memory as long as the partition lives: what the guest
 * tears down meanwhile is still its own. Who writes has to mark it himself: vmbus_gpadl_write is for that.
 */
int vmbus_gpadl_map(struct vmbus_channel *ch, uint32_t gpadl, size_t offset, size_t bytes,
		    uint32_t rights, struct io_vec *vec, unsigned max);
/* Its length in bytes; 0: none. */
size_t vmbus_gpadl_bytes(struct vmbus_channel *ch, uint32_t gpadl);

/* ---- Saved state ---- */

/*
 * Connection, offers, channels, GPADLs, ring positions. All VPs and device threads are stopped and no close is pending. Restore: on
 * a bus with the same devices offered (found by type and instance), before any VP runs; devices of open channels get ops->open again, with
 * the user data of then, and restore their own state after that. False: torn or impossible.
 */
void vmbus_save(struct vmbus *bus, struct state_writer *w);
bool vmbus_restore(struct vmbus *bus, struct state_reader *r);

#endif
