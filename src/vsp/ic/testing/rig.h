/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests and fuzz targets: the components on a real bus, and a guest that answers as Linux's hv_utils does: with what it got, changed here and
 * there. All of it on one thread.
 */
#ifndef IC_RIG_H
#define IC_RIG_H

#include "service.h"
#include "vmbus/testing/owner.h"

#define RIG_RING_PAGES 4u /* as Linux: 12 KiB and the control page */
#define RIG_UTC UINT64_C(134000000000000000)
#define RIG_S IC_SECOND_NS

struct rig_config {
	uint32_t components; /* 0: all */
	uint32_t ring_pages; /* 0: RIG_RING_PAGES */
	struct fake_guest_config guest;
};

/* A message from the host. */
struct rig_message {
	uint64_t transaction; /* of the packet */
	struct vmbus_pipe_header pipe;
	struct ic_header header;
	size_t bytes; /* of the body */
	union {
		uint8_t body[IC_BODY_MAX + 8];
		struct ic_negotiate negotiate;
		struct ic_shutdown_body shutdown;
		struct ic_timesync_body timesync;
		struct ic_timesync_reference_body reference;
		struct ic_heartbeat_body heartbeat;
		struct ic_vss_body vss;
		struct ic_fcopy_start start;
		struct ic_fcopy_write write;
		struct ic_kvp_ip ip;
	};
};

/* An owner's request, for vsp_ic_done. */
struct rig_answer {
	unsigned count;
	enum vsp_ic_result result;
	uint32_t status;
};

struct rig {
	struct fake_owner owner; /* first */
	struct rig_config config;
	struct vsp_ic_config ic_config;
	struct fake_guest *g;
	struct vsp_ic *ic;
	uint64_t now_ns, utc_100ns, reference_100ns;
	struct fake_guest_channel channels[VSP_IC_KINDS];
	bool open[VSP_IC_KINDS];
	unsigned changes[VSP_IC_KINDS];
};

/* Guest, bus, components; not connected. Stops the program when there is no memory. */
struct rig *rig_create(const struct rig_config *config);
void rig_destroy(struct rig *r);

/* Bus and components work until none has anything to do at once. */
void rig_run(struct rig *r);
/* Time passes, for the components and on the calendar, and they work. */
void rig_pass(struct rig *r, uint64_t ns);

bool rig_connect(struct rig *r, uint32_t vmbus_version);
bool rig_open(struct rig *r, enum vsp_ic_kind kind);
/* The component's offer; NULL: there is none. */
const struct fake_guest_offer *rig_offer(struct rig *r, enum vsp_ic_kind kind);
bool rig_close(struct rig *r, enum vsp_ic_kind kind);
/* The next message from the host; false: none. */
bool rig_take(struct rig *r, enum vsp_ic_kind kind, struct rig_message *ret);
/* Sends @m back as its answer, and runs. False: no room. */
bool rig_answer(struct rig *r, enum vsp_ic_kind kind, const struct rig_message *m, uint32_t status);
/* Any packet. */
bool rig_send(struct rig *r, enum vsp_ic_kind kind, const void *packet, size_t bytes);
/* Takes NEGOTIATE and picks versions. False: it did not come. */
bool rig_negotiate(struct rig *r, enum vsp_ic_kind kind, struct ic_version framework,
		   struct ic_version message);
/* Connects if it is not, opens, and picks the newest versions. */
bool rig_up(struct rig *r, enum vsp_ic_kind kind);
/* The newest versions, as up picks them. */
struct ic_version rig_newest(enum vsp_ic_kind kind);

enum vsp_ic_state rig_state(const struct rig *r, enum vsp_ic_kind kind);
struct vsp_ic_done rig_done(struct rig_answer *a);

/* The process ends, and another one begins. */
size_t rig_save(struct rig *r, void *buf, size_t capacity);
void rig_replace(struct rig *r);
bool rig_restore(struct rig *r, const void *buf, size_t bytes);

#endif
