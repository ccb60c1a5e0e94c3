/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The integration components: what a host asks of the system in a VM, and tells it. Shutdown, time synchronization, heartbeat, key-value
 * pairs, backup, file copy: each a VMBus channel of its own on which the host asks and the guest answers.
 *
 * Threads: everything here belongs to the bus thread. Only the bus's signals come from others; they lead to vsp_ic_config.wake.
 *
 * What takes time answers through a struct vsp_ic_done: called exactly once, from vsp_ic_poll, from the bus (the guest closed the channel) or
 * from vsp_ic_destroy; never from within the function that asked. The callback may ask for something else, but not destroy.
 *
 * Spec: Linux drivers/hv/hv_util.c, hv_kvp.c, hv_snapshot.c, hv_fcopy.c; protocol.h of this folder.
 */
#ifndef VSP_IC_H
#define VSP_IC_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/state.h"
#include "vmbus/vmbus.h"

struct vsp_ic;

enum vsp_ic_kind {
	VSP_IC_SHUTDOWN,
	VSP_IC_TIMESYNC,
	VSP_IC_HEARTBEAT,
	VSP_IC_KVP,
	VSP_IC_VSS,
	VSP_IC_FCOPY,
	VSP_IC_KINDS,
};

#define VSP_IC_ALL ((1u << VSP_IC_KINDS) - 1)

struct vsp_ic_config {
	uint32_t components;		  /* bit n: enum vsp_ic_kind n is offered */
	uint64_t (*now_ns)(void *ctx);	  /* monotonic: periods and time limits */
	uint64_t (*utc_100ns)(void *ctx); /* the time of day, since 1601-01-01 UTC */
	uint64_t (*reference_100ns)(
		void *ctx);	 /* the partition's reference time at the same moment */
	void (*wake)(void *ctx); /* any thread: vsp_ic_poll shall be called soon */
	/* What a guest does wrong, without VM name or newline; bounded: the 1st, 2nd, 4th, 8th of a kind. May be NULL. */
	void (*log)(void *ctx, const char *line);
	/* What vsp_ic_get_status says of @kind has changed. May be NULL. */
	void (*changed)(void *ctx, enum vsp_ic_kind kind);
	void *ctx;
};

/* Offers the components on @bus. @config is copied. 0 or -errno. */
int vsp_ic_create(struct vmbus *bus, const struct vsp_ic_config *config, struct vsp_ic **ret);
/* After vmbus_destroy. What has no answer yet ends with VSP_IC_GONE. NULL: nothing. */
void vsp_ic_destroy(struct vsp_ic *ic);
/* Sends and receives. Returns when it wants to be called again (now_ns scale); UINT64_MAX: not before wake. */
uint64_t vsp_ic_poll(struct vsp_ic *ic);

/* ---- What is there ---- */

enum vsp_ic_state {
	VSP_IC_CLOSED,	    /* the guest has no driver for it, or none that runs yet */
	VSP_IC_NEGOTIATING, /* it opened the channel and has not agreed on versions yet */
	VSP_IC_READY,
	VSP_IC_INCOMPATIBLE, /* it knows none of our versions */
	VSP_IC_BROKEN, /* it broke the protocol: nothing more until it opens the channel again */
};

enum vsp_ic_heartbeat {
	VSP_IC_NO_CONTACT, /* never answered since the channel was opened, or there is none */
	VSP_IC_OK_CONTACT,
	VSP_IC_LOST_CONTACT, /* answered once, and does not now */
};

struct vsp_ic_status {
	bool offered;
	enum vsp_ic_state state;
	uint16_t framework_major, framework_minor; /* from VSP_IC_READY on */
	uint16_t message_major, message_minor;
};

const char *
vsp_ic_name(enum vsp_ic_kind
		    kind); /* "shutdown", "timesync", "heartbeat", "kvp", "backup", "file-copy" */
void vsp_ic_get_status(const struct vsp_ic *ic, enum vsp_ic_kind kind, struct vsp_ic_status *ret);
/* *ret_application: what the guest says of its applications (0: nothing); may be NULL. */
enum vsp_ic_heartbeat vsp_ic_get_heartbeat(const struct vsp_ic *ic, uint32_t *ret_application);

/* ---- Asking ---- */

enum vsp_ic_result {
	VSP_IC_DONE,
	VSP_IC_REFUSED, /* the guest answered with a failure: @status */
	VSP_IC_TIMEOUT, /* it does not answer */
	VSP_IC_GONE,	/* the channel was closed meanwhile, or the guest broke the protocol */
};

struct vsp_ic_done {
	void (*fn)(void *ctx, enum vsp_ic_result result,
		   uint32_t status); /* NULL: nobody wants to know */
	void *ctx;
};

/*
 * All that ask return 0, -ENODEV (the guest does not have the component, or not yet), -EBUSY (one such request is on its way), or what is
 * said with them.
 */

enum vsp_ic_power {
	VSP_IC_POWER_OFF,
	VSP_IC_POWER_RESTART,
	VSP_IC_POWER_HIBERNATE,
};

struct vsp_ic_shutdown {
	enum vsp_ic_power what;
	bool force;	 /* without asking people that are logged in */
	uint32_t reason; /* for the guest's event log: SHTDN_REASON_* of Windows; 0: none */
	uint32_t timeout_seconds; /* what the guest shall give its programs */
	const char
		*text; /* shown to people; NULL: none; what is not UTF-8 or too long is left out */
};

/* Done: the guest accepted, and shuts down in its own time. -ENOTSUP: its version of the component cannot do that. */
int vsp_ic_shutdown(struct vsp_ic *ic, const struct vsp_ic_shutdown *how, struct vsp_ic_done done);

/*
 * Time did not pass for the guest as it did outside (resumed, restored), or the host's clock was set: its clock is set anew at once, and
 * what was waited for gets its whole time again.
 */
void vsp_ic_time_jump(struct vsp_ic *ic);

/* ---- Key-value pairs ---- */

enum vsp_ic_pool {
	VSP_IC_POOL_EXTERNAL,  /* the host tells the guest */
	VSP_IC_POOL_GUEST,     /* the guest's administrator tells the host */
	VSP_IC_POOL_INTRINSIC, /* the guest's system tells the host */
	VSP_IC_POOLS,
};

struct vsp_ic_item {
	const char *key;   /* UTF-8, from the guest: any characters but NUL */
	const char *value; /* numbers in decimal */
};

/*
 * The intrinsic items as last read (OSName, NetworkAddressIPv4, ...): *ret_items until the next vsp_ic_poll. Read when the guest is ready, once a
 * minute, and by vsp_ic_kvp_refresh. None when the guest has no such component.
 */
unsigned vsp_ic_kvp_items(const struct vsp_ic *ic, const struct vsp_ic_item **ret_items);
/* Reads them now. Done: all of them are new. */
int vsp_ic_kvp_refresh(struct vsp_ic *ic, struct vsp_ic_done done);

/* -EINVAL: no UTF-8, or too long (255 UTF-16 units for keys, 1023 for values); -EINVAL also for an empty key. -EBUSY: 16 wait already. */
int vsp_ic_kvp_set(struct vsp_ic *ic, enum vsp_ic_pool pool, const char *key, const char *value,
		   struct vsp_ic_done done);
int vsp_ic_kvp_delete(struct vsp_ic *ic, enum vsp_ic_pool pool, const char *key,
		      struct vsp_ic_done done);
/* Done: vsp_ic_kvp_value gives the value, within the callback only. */
int vsp_ic_kvp_get(struct vsp_ic *ic, enum vsp_ic_pool pool, const char *key,
		   struct vsp_ic_done done);
const char *vsp_ic_kvp_value(const struct vsp_ic *ic);

/* Addresses of an adapter; lists are separated by ';', subnets of IPv6 are "/64". */
struct vsp_ic_ip {
	bool ipv6, ipv4; /* families */
	bool dhcp;
	char addresses[1024], subnets[1024], gateways[512], dns[1024];
};

/*
 * The adapter goes by its VMBus instance when addresses are set, and by its MAC address when they are asked for. Interop: Linux's hv_kvp_daemon
 * compares exactly these texts.
 * -ENOTSUP: the guest's version of the component cannot do that (before 4.0). -EINVAL: a text is not UTF-8.
 */
int vsp_ic_kvp_set_ip(struct vsp_ic *ic, const struct guid *instance, const struct vsp_ic_ip *ip,
		      struct vsp_ic_done done);
/* Done: vsp_ic_kvp_ip gives the answer, within the callback only. */
int vsp_ic_kvp_get_ip(struct vsp_ic *ic, const uint8_t mac[6], struct vsp_ic_done done);
const struct vsp_ic_ip *vsp_ic_kvp_ip(const struct vsp_ic *ic);

/* ---- Backup ---- */

/*
 * Has the guest write out and stop its file systems (production checkpoints). Done: they stand still, until vsp_ic_thaw, or for @hold_ns at most:
 * then they go on by themselves, and vsp_ic_thaw says so (once). Any other result: they are not stopped (or go on as soon as the guest listens again).
 * -EBUSY also: they are stopped.
 */
int vsp_ic_freeze(struct vsp_ic *ic, uint64_t hold_ns, struct vsp_ic_done done);
/* Done: they go on, and stood still until now. -ETIME: the time of the freeze ran out, they went on before. -EINVAL: they are not stopped. */
int vsp_ic_thaw(struct vsp_ic *ic, struct vsp_ic_done done);

/* ---- File copy ---- */

struct vsp_ic_copy {
	const char *folder, *name; /* in the guest */
	bool overwrite, create_path;
	uint64_t bytes;
	/* Up to @bytes at @offset; -errno. Called from vsp_ic_poll; short reads are an end of the file that came too early. */
	int (*read)(void *ctx, uint64_t offset, void *buf, uint32_t bytes);
	void *ctx;
};

/* Done: the file is there. VSP_IC_REFUSED with 0: reading failed, and the guest threw away what it had. -EINVAL: a path is no UTF-8, or too long. */
int vsp_ic_copy(struct vsp_ic *ic, const struct vsp_ic_copy *copy, struct vsp_ic_done done);
/* Bytes that have arrived. */
uint64_t vsp_ic_copied(const struct vsp_ic *ic);

/* ---- Saved state ---- */

/*
 * Bus thread, VPs stopped. Restore: after vmbus_restore opened the channels again, before vsp_ic_poll. The guest's clock is set anew and file
 * systems that were stopped go on by themselves after a restore; who waited for an answer is not there any more. False: torn.
 */
void vsp_ic_save(const struct vsp_ic *ic, struct state_writer *w);
bool vsp_ic_restore(struct vsp_ic *ic, struct state_reader *r);

#endif
