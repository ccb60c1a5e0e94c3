/* SPDX-License-Identifier: Apache-2.0 */
/* Running the guest of guest.h on each engine. */
#ifndef ENGINES_MEASURE_H
#define ENGINES_MEASURE_H

#include "engines/engines.h"

/* What a runner offers to measure_rates. */
struct measured_vp {
	/* Registers for the guest's program at @rip, @rcx; user: CPL 3. False: refused. */
	bool (*start)(struct measured_vp *vp, uint64_t rip, uint64_t rcx, bool user);
	/* Runs to the next write of GUEST_PORT_DONE; false: something else happened. */
	bool (*run)(struct measured_vp *vp);
};

/* The three rates, by GUEST_LOOP and GUEST_EXIT. No memory is allocated, nothing but clock_gettime is called beside @vp. */
bool measure_rates(struct measured_vp *vp, struct engines_rates *ret_rates);

/* On KVM behind the open @device: fills kvm_state, detail and kvm. In a process of its own, which is ended when it takes too long. */
void measure_kvm(int device, struct engines_report *ret_report);
/* On the software engine. False: no memory. */
bool measure_emu(struct engines_rates *ret_rates);

#endif
