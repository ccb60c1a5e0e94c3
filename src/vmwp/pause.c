// SPDX-License-Identifier: Apache-2.0
#include "pause.h"

#include <time.h>

#include "bus.h"
#include "end.h"
#include "ic.h"
#include "machine.h"
#include "net.h"
#include "storage.h"
#include "vmbus/vmbus.h"
#include "worker.h"

#define NAP_NS 50000

static void nap(void)
{
	const struct timespec ts = {.tv_nsec = NAP_NS};

	nanosleep(&ts, NULL);
}

/*
 * Closes that the guest has asked for need the devices' threads; after this the guest has no message on its way. False: one of them waits for requests that
 * the host cannot carry out now.
 */
static bool settle_bus(struct worker *w)
{
	for (bus_poll(w); !vmbus_settled(w->machine.bus); bus_poll(w)) {
		if (storage_in_trouble(w->storage)) {
			return false;
		}
		nap();
	}
	return true;
}

/* Disk controllers may ask the bus for subchannels until they are quiet. False: one of them holds requests that the host cannot carry out now. */
static bool settle_storage(struct worker *w)
{
	storage_quiesce(w->storage);
	while (!storage_quiet(w->storage)) {
		if (storage_in_trouble(w->storage)) {
			return false;
		}
		bus_poll(w);
		nap();
	}
	bus_poll(w);
	return true;
}

/* The guest's receiver takes what is typed, or not. */
static void set_listening(struct worker *w, bool listening)
{
	pthread_mutex_lock(&w->machine.board_lock);
	w->machine.listening = listening;
	if (listening) {
		console_ready(w->console);
	}
	pthread_mutex_unlock(&w->machine.board_lock);
}

void machine_stop(struct worker *w)
{
	atomic_store(&w->machine.halt, true);
	vp_threads_kick(w);
	vp_threads_wait(w);
	vid_partition_freeze(w->machine.partition, true);
	motherboard_find_ended(w);
	loop_timer_set(w->loop, &w->board_timer, 0);
}

int machine_go(struct worker *w)
{
	int r = vid_partition_freeze(w->machine.partition, false);

	if (r == 0) {
		atomic_store(&w->machine.halt, false);
		vp_threads_start(w);
		worker_arm_board_timer(w);
	}
	return r;
}

const char *machine_pause(struct worker *w)
{
	static const char trouble[] = "requests of a disk wait for space or storage of the host: "
				      "they have to be done first";
	struct machine *m = &w->machine;

	if (m->paused) {
		return NULL;
	}
	if (m->critical) {
		return trouble;
	}
	if (net_parting(w->net)) {
		return "a network adapter is being taken away: the guest has to let go of it first";
	}
	machine_stop(w);
	if (!settle_bus(w) || !settle_storage(w)) {
		storage_resume(w->storage);
		machine_go(w);
		return trouble;
	}
	net_quiesce(w->net);
	set_listening(w, false);
	bus_pause(w);
	m->paused = true;
	return NULL;
}

int machine_resume(struct worker *w)
{
	w->machine.paused = false;
	storage_rest(w->storage);
	storage_resume(w->storage);
	net_resume(w->net);
	int r = machine_go(w);

	if (r == 0) {
		set_listening(w, true);
		ic_time_jump(w);
		bus_poll(w);
		end_ran(w);
	}
	return r;
}
