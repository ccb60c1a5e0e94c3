// SPDX-License-Identifier: Apache-2.0
#include "ic.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "control.h"
#include "host/log.h"
#include "worker.h"

#define TAG_IC STATE_TAG('I', 'N', 'T', 'G')
#define VERSION 1u
#define NS_PER_100NS 100u
#define UNIX_EPOCH_100NS UINT64_C(116444736000000000) /* 1970-01-01 since 1601-01-01 */
#define CLOCK_STEP_100NS INT64_C(5000000)	      /* half a second is no drift */

struct ic {
	struct vsp_ic *vsp;
	enum vsp_ic_heartbeat told; /* the last event */
	int64_t clock_offset_100ns; /* of the time of day against the monotonic clock, when last looked at */
};

static uint64_t now_ns(void *ctx)
{
	(void)ctx;
	return host_now_ns();
}

static uint64_t utc_100ns(void *ctx)
{
	return UNIX_EPOCH_100NS + machine_wall_ns(ctx) / NS_PER_100NS;
}

static uint64_t reference_100ns(void *ctx)
{
	struct worker *w = ctx;

	return vid_reference_time_100ns(w->machine.partition);
}

static void wake(void *ctx)
{
	struct worker *w = ctx;

	loop_wake(w->loop);
}

static void log_guest(void *ctx, const char *line)
{
	(void)ctx;
	log_line("integration components: %s", line);
}

/* The component also changes in ways that watchers of the heart do not care for. */
static void tell_heartbeat(struct worker *w)
{
	enum vsp_ic_heartbeat contact = vsp_ic_get_heartbeat(w->ic->vsp, NULL);

	if (contact != w->ic->told) {
		w->ic->told = contact;
		control_event(w->control, "heartbeat", "state=%s\n", ic_heartbeat_word(w));
	}
}

static void changed(void *ctx, enum vsp_ic_kind kind)
{
	struct worker *w = ctx;

	if (kind == VSP_IC_HEARTBEAT) {
		tell_heartbeat(w);
	} else if (kind == VSP_IC_KVP) {
		control_event(w->control, "kvp", "%s", "");
	}
}

static int64_t clock_offset(struct worker *w)
{
	return (int64_t)(utc_100ns(w) - host_now_ns() / NS_PER_100NS);
}

int ic_offer(struct worker *w)
{
	const struct vsp_ic_config config = {
		.components = VSP_IC_ALL,
		.now_ns = now_ns,
		.utc_100ns = utc_100ns,
		.reference_100ns = reference_100ns,
		.wake = wake,
		.log = log_guest,
		.changed = changed,
		.ctx = w,
	};

	w->ic = calloc(1, sizeof(*w->ic));
	if (w->ic == NULL) {
		return -ENOMEM;
	}
	w->ic->clock_offset_100ns = clock_offset(w);
	return vsp_ic_create(w->machine.bus, &config, &w->ic->vsp);
}

/* Somebody has set the host's clock: guests hear of it. Slow corrections reach them as samples. */
static void look_at_clock(struct worker *w)
{
	int64_t offset = clock_offset(w), step = offset - w->ic->clock_offset_100ns;

	w->ic->clock_offset_100ns = offset;
	if (!w->config.count_instructions &&
	    (step > CLOCK_STEP_100NS || step < -CLOCK_STEP_100NS)) {
		vsp_ic_time_jump(w->ic->vsp);
	}
}

uint64_t ic_poll(struct worker *w)
{
	look_at_clock(w);
	return vsp_ic_poll(w->ic->vsp);
}

void ic_withdraw(struct worker *w)
{
	if (w->ic != NULL) {
		vsp_ic_destroy(w->ic->vsp);
		free(w->ic);
		w->ic = NULL;
	}
}

void ic_time_jump(struct worker *w)
{
	vsp_ic_time_jump(w->ic->vsp);
}

/* ---- Saved state ---- */

void ic_save(struct worker *w, struct state_writer *out)
{
	state_begin(out, TAG_IC, VERSION);
	vsp_ic_save(w->ic->vsp, out);
	state_end(out);
}

bool ic_restore(struct worker *w, const struct state_reader *run)
{
	struct state_reader r = *run, payload;
	uint16_t version;
	uint32_t tag;

	while (state_next(&r, &tag, &version, &payload)) {
		if (tag == TAG_IC) {
			return version <= VERSION && vsp_ic_restore(w->ic->vsp, &payload);
		}
	}
	return !r.bad;
}

/* ---- Asking ---- */

struct vsp_ic *ic_components(struct worker *w)
{
	return w->ic != NULL ? w->ic->vsp : NULL;
}

const char *ic_heartbeat_word(struct worker *w)
{
	static const char *const words[] = {
		[VSP_IC_NO_CONTACT] = "none",
		[VSP_IC_OK_CONTACT] = "ok",
		[VSP_IC_LOST_CONTACT] = "lost",
	};

	return w->ic != NULL && w->ic->vsp != NULL ? words[vsp_ic_get_heartbeat(w->ic->vsp, NULL)]
						   : words[VSP_IC_NO_CONTACT];
}

const char *ic_why(enum vsp_ic_kind kind, int error)
{
	static const char *const absent[VSP_IC_KINDS] = {
		[VSP_IC_SHUTDOWN] = "the guest has no shutdown component that runs",
		[VSP_IC_TIMESYNC] = "the guest has no time synchronization component that runs",
		[VSP_IC_HEARTBEAT] = "the guest has no heartbeat component that runs",
		[VSP_IC_KVP] = "the guest has no data exchange component that runs (on Linux: "
			       "hv_kvp_daemon)",
		[VSP_IC_VSS] =
			"the guest has no backup component that runs (on Linux: hv_vss_daemon)",
		[VSP_IC_FCOPY] = "the guest has no file copy component that runs (on Linux: "
				 "hv_fcopy_daemon)",
	};

	switch (error) {
	case 0:
		return NULL;
	case -ENODEV:
		return absent[kind];
	case -EBUSY:
		return "the guest has not answered the request before this one yet";
	case -ENOTSUP:
		return "the guest's version of the component cannot do that";
	case -ETIME:
		return "the guest's file systems went on by themselves: the time of the freeze had "
		       "run out";
	case -EINVAL:
		return kind == VSP_IC_VSS ? "the guest's file systems are not frozen"
					  : "a text is empty, too long, or not UTF-8";
	default:
		return "out of memory";
	}
}

static const char *press_button(struct worker *w)
{
	struct machine *m = &w->machine;

	pthread_mutex_lock(&m->board_lock);
	bool heard = board_power_button(m->board);

	pthread_mutex_unlock(&m->board_lock);
	return heard ? NULL
		     : "the guest has no shutdown component that runs, and does not listen to its "
		       "power button";
}

const char *ic_shutdown(struct worker *w, const struct vsp_ic_shutdown *how,
			struct vsp_ic_done done, bool *ret_pressed)
{
	int r = vsp_ic_shutdown(w->ic->vsp, how, done);

	*ret_pressed = r == -ENODEV && how->what == VSP_IC_POWER_OFF;
	return *ret_pressed ? press_button(w) : ic_why(VSP_IC_SHUTDOWN, r);
}

const char *ic_freeze(struct worker *w, uint64_t hold_ns, struct vsp_ic_done done)
{
	return ic_why(VSP_IC_VSS, vsp_ic_freeze(w->ic->vsp, hold_ns, done));
}

const char *ic_thaw(struct worker *w, struct vsp_ic_done done)
{
	return ic_why(VSP_IC_VSS, vsp_ic_thaw(w->ic->vsp, done));
}
