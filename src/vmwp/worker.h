/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker, one virtual machine. Files: main.c options, worker.c life of the VM, machine.c
 * partition and board of one boot, vp_thread.c processors, intercept.c what the hypervisor passes
 * up, bus.c VMBus, storage.c disk controllers, disk.c a disk, net.c network adapters, console.c COM1,
 * hv_host.c the ground under the core.
 *
 * Threads: the loop thread (main) runs timers and the bus and decides how the VM ends; one thread per
 * VP; one per disk controller; one per network queue; four for the console. Locks: machine.board_lock around every call into the board; worker.lock around
 * start and stop. Order: lock, board_lock.
 */
#ifndef VMWP_WORKER_H
#define VMWP_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chipset/board.h"
#include "firmware/memory_map.h"
#include "host/loop.h"
#include "lib/state.h"
#include "net.h"
#include "storage.h"
#include "vid/vid.h"
#include "x86/cpu.h"

struct console;
struct control;
struct ic;
struct restore;
struct saving;
struct vmbus;
struct worker;

/* How a VM ended; also the worker's exit status (docs: virid(1)). */
enum worker_end {
	END_POWER_OFF = 0,
	END_HOST_FAILURE = 1,
	END_USAGE = 2,
	END_RESET = 3,
	END_CRASH = 4,
	END_SAVED = 5,
	END_TURNED_OFF = 6,
	END_TIMEOUT = 124,
	END_LEFT = 130, /* Ctrl-] or a signal */
	END_NONE = -1,
};

struct worker_config {
	const char *name;
	uint64_t memory_bytes;
	uint32_t processors;
	int kernel_fd;
	int initrd_fd;		 /* -1: none */
	const char *kernel_path; /* for messages */
	const char *initrd_path;
	const char *cmdline;
	const char *cpu; /* processor model as a person writes it (x86/cpu.h); "": the usual one */
	int console_in_fd;   /* -1: none */
	int console_out_fd;  /* -1: none */
	bool console_escape; /* Ctrl-] leaves */
	uint64_t timeout_ns; /* 0: none */
	bool no_reboot;
	bool no_legacy; /* a board without 8259s and 8254 */
	bool stats;
	bool count_instructions;
	const char *trace; /* NULL: nothing */
	struct storage_config storage;
	int control_fd; /* listening socket; -1: none */
	struct net_config net;
	int launcher_fd;  /* connected socket; -1: none */
	int kvm_fd;	  /* /dev/kvm, for the engine kvm; -1: emu */
	uint32_t without; /* hv/engine.h */
	int state_fd;	  /* saved state to go on from; -1: none */
	const char *state_path;
	bool eager;	     /* all of its memory before the first instruction */
	bool detached;	     /* outlives its starter */
	int end_fd;	     /* gets a report of the end; -1: none */
	uint64_t started_ns; /* when the person pressed Enter */
};

struct vp_thread {
	struct worker *worker;
	uint32_t index;
	pthread_t thread;
	bool created;
	struct vid_vp *vp;     /* this boot's */
	_Atomic uint32_t wake; /* futex: 1 when there is something to look at */
};

/* What one boot of the VM consists of; made anew after a reset. */
struct machine {
	struct vid_partition *partition;
	struct board *board;
	struct vmbus *bus;
	pthread_mutex_t board_lock;
	bool listening;			    /* the serial port takes input; under board_lock */
	_Atomic uint64_t board_deadline_ns; /* guest time */
	_Atomic uint64_t first_run_ns;	    /* host time of the first dispatch; 0: not yet */
	_Atomic bool halt;		    /* VPs shall leave the round */
	bool paused;			    /* it stands still (pause.h); loop thread */
	bool critical; /* it was stopped because of its disks (critical.h); loop thread */
};

struct worker {
	struct worker_config config;
	struct x86_cpu cpu; /* what the guest finds, in every boot */
	struct memory_map map;
	void *ram;
	uint64_t populate_gpa; /* memory that is faulted in early */
	uint64_t populate_bytes;
	struct machine machine;
	struct console *console;
	struct storage *storage; /* NULL: no disks */
	struct net *net;	 /* NULL: no adapters */
	struct ic *ic;		 /* of this boot */
	struct control *control; /* NULL: nobody asks */
	_Atomic unsigned
		changing; /* disks that are merged or getting new tops: requests that go on without their asker */
	char why[700];		 /* of the last request that failed, for its asker */
	struct restore *restore; /* what the first boot goes on from; NULL: it starts anew */
	struct saving *saving;	 /* under way; NULL: nothing */
	struct loop *loop;
	struct loop_timer board_timer;
	struct loop_timer bus_timer;
	struct loop_timer timeout_timer;
	struct vp_thread *vps;

	_Atomic bool trouble_news; /* of the disks: trouble has changed */

	pthread_mutex_t lock;
	uint64_t crash[5]; /* what the guest has said when it crashed */
	char trouble[400]; /* what held requests wait for; "": nothing */
	pthread_cond_t changed;
	uint32_t round;	  /* counts boots; VP threads run one dispatch loop per round */
	uint32_t running; /* VP threads inside the round */
	bool quitting;	  /* no further round */
	bool ran;	  /* a VP ran; loop thread */
	bool stay_paused; /* the machine that was restored stood still when it was saved */
	_Atomic int end;  /* enum worker_end: why this round ends; END_NONE while it runs */

	uint64_t resident_ram;	/* of the guest, at the end of the last round */
	struct vid_stats stats; /* summed over rounds */
	uint64_t first_user_ns; /* host time from start to the first userspace instruction of the
				   first boot; 0: none */
};

/* options.c */
/* Fills in what the options say; false: they are wrong. Strings are argv's; the lists live as long as the process. */
bool options_parse(int argc, char **argv, struct worker_config *config);
/* A single --disk=... or --file=..., whose text stays in use (and is cut up); false: it is neither, or malformed. */
bool options_storage(struct storage_config *s, char *option);

/*
 * What --net=... says: NUMBER:MAC:MTU:QUEUES:descriptors as of net_plug_take:SPEC, MAC with '-'. @fds: descriptors are places in this list of
 * exactly as many. Text stays in use.
 */
bool options_net(struct net_config *c, char *arg, const int *fds, size_t fd_count);

/* worker.c */
/* Runs the VM to its end. Reports what goes wrong on the log. */
enum worker_end worker_run(const struct worker_config *config);
/* Ends the current round with @why, unless it is ending already. Any thread; does not wait. */
void worker_end_round(struct worker *w, enum worker_end why);
/* Loop thread: the board's timers have changed, or go on. */
void worker_arm_board_timer(struct worker *w);

/* machine.c */
/* Partition, board, tables and kernel in @w->ram. Logs what failed. END_NONE: ready to run. */
enum worker_end machine_create(struct worker *w);
void machine_destroy(struct worker *w);
uint64_t machine_guest_ns(struct worker *w);
/* The time of day, since 1970 UTC. */
uint64_t machine_wall_ns(struct worker *w);

/* cpu.c */
/* The guest's processor: what the options ask for, or the saved state's. After restore_open. False: why not is on the log. */
bool cpu_choose(struct worker *w);

/* vp_thread.c */
int vp_threads_create(struct worker *w);
/* Lets every VP run (a new round), and waits until all have left it. */
void vp_threads_start(struct worker *w);
void vp_threads_wait(struct worker *w);
void vp_threads_join(struct worker *w);
void vp_threads_kick(struct worker *w);

/* intercept.c */
/* What --trace wants to see beyond ports and memory. 0, -errno or a positive HV_STATUS. */
int intercept_trace(struct worker *w);
void intercept_handle(struct vp_thread *t, const struct hv_message *message);

/* console.c */
int console_create(struct worker *w, struct console **ret);
int console_start(struct console *c);
/* Guest output; never blocks. Under board_lock. */
void console_write(struct console *c, const uint8_t *data, size_t bytes);
/* Another console on @fd (a stream, owned then): the last of what was written, then what comes. Loop thread. NULL, or why not. */
const char *console_join(struct console *c, int fd);
/* There is room in the guest's receiver again. Under board_lock. */
void console_ready(struct console *c);
/* History and what was typed and not taken yet; the machine stands still. Restore: a record of a run of which others are skipped. False: torn. */
void console_save(struct console *c, struct state_writer *w);
bool console_restore(struct console *c, const struct state_reader *run);
/* Writes what is still buffered (bounded wait) and stops the threads. */
void console_destroy(struct console *c);

/* stats.c */
/* What it has taken so far, as the answer's lines. */
struct connection;
void stats_tell(struct connection *c);
void stats_collect(struct worker *w);
void stats_print(const struct worker *w);

#endif
