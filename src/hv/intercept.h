/* SPDX-License-Identifier: Apache-2.0 */
/* intercept.c: which events go to the parent, and their messages. */
#ifndef HV_INTERCEPT_H
#define HV_INTERCEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/hv.h"
#include "hv/engine.h"

struct hv_partition;
struct hv_vp;

struct intercepts {
	uint32_t *port_read; /* two pages each: one bit per port */
	uint32_t *port_write;
	uint32_t *port_read_high;
	uint32_t *port_write_high;
	struct intercept_entry *entries; /* MSR and CPUID indexes */
	uint32_t msr_any;		 /* access mask: every MSR that is not implemented */
	uint32_t cpuid_any;
	uint32_t mmio; /* access mask of unmapped GPAs */
	uint32_t exceptions;
	bool hypercall; /* codes that are not implemented */
	bool unknown_connection;
};

uint16_t intercept_install(struct hv_partition *p, const struct hv_input_install_intercept *in);
void intercept_fini(struct hv_partition *p);
bool intercept_port(const struct hv_partition *p, uint16_t port, bool write);
bool intercept_msr(const struct hv_partition *p, uint32_t index, bool write);
bool intercept_cpuid(const struct hv_partition *p, uint32_t leaf);

/* Build the message of an exit in *ret. */
void message_port(struct hv_vp *vp, const struct hv_exit *exit, struct hv_message *ret);
void message_memory(struct hv_vp *vp, const struct hv_exit *exit, struct hv_message *ret);
void message_msr(struct hv_vp *vp, uint32_t index, bool write, uint64_t data,
		 struct hv_message *ret);
void message_cpuid(struct hv_vp *vp, const struct hv_exit *exit, const uint32_t answer[4],
		   struct hv_message *ret);
void message_exception(struct hv_vp *vp, const struct hv_exit *exit, struct hv_message *ret);
void message_simple(struct hv_vp *vp, uint32_t type, struct hv_message *ret);
void message_text(struct hv_vp *vp, uint32_t type, const char *text, struct hv_message *ret);
void message_hypercall(struct hv_vp *vp, struct hv_message *ret);
void message_apic_eoi(struct hv_vp *vp, uint8_t vector, struct hv_message *ret);

#endif
