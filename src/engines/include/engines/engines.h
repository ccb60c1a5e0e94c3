/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which engine suits this host: KVM or the software engine. The presence of /dev/kvm says little: some KVM variants emulate what a
 * guest's kernel does, a thousand times slower than a processor, and lack instructions. So a tiny guest is run on both, and the choice follows
 * what was measured. A report is kept in a file and is good until the kernel, the processor, KVM's parameters or Virid change.
 */
#ifndef ENGINES_ENGINES_H
#define ENGINES_ENGINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENGINES_KVM_DEVICE "/dev/kvm"
#define ENGINES_DETAIL_BYTES 160
#define ENGINES_REASON_BYTES 320
#define ENGINES_FILE_BYTES_MAX 4096

enum engines_kvm_state {
	ENGINES_KVM_WORKS,
	ENGINES_KVM_ABSENT,    /* no device, or a device without a driver */
	ENGINES_KVM_FORBIDDEN, /* we may not open it */
	ENGINES_KVM_LACKS,     /* something that the engine or any guest needs; .detail names it */
	ENGINES_KVM_FAILED,    /* the host could not run the guest this time; .detail says why */
};

/* 0: not measured. Per second of processor time of the thread that runs the guest. */
struct engines_rates {
	uint64_t
		kernel_ips; /* instructions in kernel mode, 64 bits, paging on, memory among them */
	uint64_t user_ips;  /* the same ones in user mode */
	uint64_t exit_ns;   /* one port access: out of the guest and back */
};

struct engines_report {
	enum engines_kvm_state kvm_state;
	char detail[ENGINES_DETAIL_BYTES]; /* for ABSENT .. FAILED; printable ASCII */
	struct engines_rates kvm;
	struct engines_rates emu;
	uint64_t measured_s; /* Unix time; 0: there was nothing to measure */
	bool kept;	     /* from the file, not measured just now */
};

enum engines_engine { ENGINES_EMU, ENGINES_KVM };

struct engines_choice {
	enum engines_engine engine;
	char reason[ENGINES_REASON_BYTES]; /* one sentence without a full stop */
};

/* "emu", "kvm". */
const char *engines_name(enum engines_engine engine);
/* "works", "absent", "forbidden", "lacks", "failed". */
const char *engines_state_name(enum engines_kvm_state state);

/* A pure function of the report. */
void engines_choose(const struct engines_report *r, struct engines_choice *ret_choice);

/*
 * The report for @device (ENGINES_KVM_DEVICE): whether it can be opened is looked at each time; the rest comes from the file @path
 * (NULL: none) when it holds a report of this host and @again is false, else from a measurement, which takes about half a second of processor
 * time and is then kept there. A file that cannot be written is no error: the next call measures again. Any thread; blocks; forks.
 */
void engines_probe(const char *device, const char *path, bool again,
		   struct engines_report *ret_report);

/* The file of this user: $XDG_CACHE_HOME/virid/engines or ~/.cache/virid/engines. False: no home, or too long. */
bool engines_cache_path(char *ret_path, size_t bytes);

/* The open device, close-on-exec, or -1 with ABSENT or FORBIDDEN and the reason in @ret_report. */
int engines_open_device(const char *device, struct engines_report *ret_report);

#endif
