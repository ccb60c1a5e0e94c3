/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of a machine that stands still, as a run of records (lib/state.h): its shape, the partition, the board, the bus, disk controllers,
 * network adapters, the console, and the time of day. Loop thread.
 */
#ifndef VMWP_DEVICE_STATE_H
#define VMWP_DEVICE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;

#define DEVICE_STATE_WHY_BYTES 300u

/* The records, in memory of malloc. -ENOMEM. */
int device_state_save(struct worker *w, uint8_t **ret, size_t *ret_bytes);
/*
 * Into a machine of the same shape that was made and never ran, with its memory restored. False: @why says what is wrong; the machine is of no use then.
 */
bool device_state_restore(struct worker *w, const void *data, size_t bytes,
			  char why[DEVICE_STATE_WHY_BYTES]);
/* The rate of the APIC timers in these records: what has to be known before a machine is made for them (vid.h). */
uint64_t device_state_apic_hz(const void *data, size_t bytes);

#endif
