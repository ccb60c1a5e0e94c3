/* SPDX-License-Identifier: Apache-2.0 */
/* Inside machine.c, motherboard.c and kernel.c: what one boot is made of. */
#ifndef VMWP_MACHINE_H
#define VMWP_MACHINE_H

#include "firmware/loader.h"
#include "worker.h"

int motherboard_create(struct worker *w);
/* For the hypervisor, on a VP's thread: the vector of the interrupt controller, and the end of a level-triggered interrupt. */
int motherboard_extint_ack(void *ctx);
void motherboard_level_eoi(void *ctx, uint8_t vector);
/* VPs and time stand still: what the hypervisor has not reported of such ends is found out, so that it is in what is saved. */
void motherboard_find_ended(struct worker *w);

/* Loads kernel and initrd. Not END_NONE: it is on the log. */
enum worker_end kernel_load(struct worker *w, uint64_t rsdp_gpa, struct loader_start *ret);
/* The boot processor's registers; 0, -errno or a hypervisor status. */
int kernel_set_start(struct vid_vp *vp, const struct loader_start *start);

#endif
